"""What the tests let real worker processes do; imported there, so it must stay light."""

import hashlib
import os
import signal
import time

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.explain.contract import Check, Explanation, Overlay, Table
from slicerxai.explain.folder import save


def count(progress, steps, pause):
    for step in range(steps):
        progress(step / steps, f"step {step}")
        time.sleep(pause)
    return steps


def native_call(progress):
    """Deaf to SIGTERM, as a long convolution is."""
    progress(0.5, "in native code")
    hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)


def die(progress):
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(progress):
    msg = "bad image"
    raise InputError(msg)


def crash(progress):
    return 1 / 0


def pid(progress):
    return os.getpid()


def mark(progress, path):
    """Leaves a trace of each run."""
    with path.open("a") as file:
        file.write("run\n")
    time.sleep(0.5)


def infer(progress, work):
    """Stands for the segmentation: leaves a trace beside the image, and says what it was computed from."""
    (path,) = work.paths.values()
    with (path.parent / "trace").open("a") as file:
        file.write("run\n")
    time.sleep(1.0)
    if path.read_bytes() == b"bad":
        msg = "<FLAIR image>: 3 voxels are NaN"
        raise InputError(msg)
    work.out.write_bytes(b"labels of " + path.read_bytes())
    return {"seconds": 1.0}


def explain(progress, work):
    """A stand-in that takes `steps` times 50 ms and makes one overlay of 3 x 4 x 5 voxels; it refuses seed 13."""
    if work.parameters["seed"] == 13:
        msg = "image 'case1' is empty"
        raise InputError(msg)
    for step in range(work.parameters["steps"]):
        progress(step / work.parameters["steps"], f"step {step}")
        time.sleep(0.05)
    volume = Volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5), np.diag([1.0, 2, 3, 1]))
    explanation = Explanation(
        method=work.method,
        parameters=dict(work.parameters),
        image_id=work.image_id,
        overlays={"saliency": Overlay(volume, "saliency", "logit", "where")},
        tables={"lesions": Table(title="Lesions", columns=["number"], rows=[[1]])},
        checks=[Check(name="gap", value=0.0, limit=0.1, verdict="reliable", reason="The gap is small.")],
    )
    save(explanation, work.result)
