"""Benchmark `growth_volume`: time and memory of `slicerxai explain saliency` against the volume's size, up to 512³.

The command as people run it, from the image's file to the report, in a process of its own for each size, one thread.
The network has the default size and patches and works on the image's own grid of 1 mm. It is not trained, but what is
bright is a lesion to it: the head, an ellipsoid that touches the edges, has one in every cube of 96 mm, so that as much
is explained in each part of a larger image. Memory is the peak above what the process held after the same command on
an image of 64³, and `gib_EDGE` the peak of the whole process, with libraries and network.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth import Point, grown
from benchmarks.side_by_side import alone, forget_peak, peak

EDGES = (96, 192, 288, 384, 512)
QUICK = (96, 128)
WARM = 64
CELL = 96
"""mm; each cube of this size holds one lesion where its centre is inside the head."""
RADIUS = 5.0
GAIN, LIMIT = 4.0, 3.0
"""Log-odds of lesion are GAIN (x − LIMIT) for a normalised intensity x."""
GIB = 1024**3


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    edges = QUICK if quick else EDGES
    with tempfile.TemporaryDirectory(prefix="growth-volume-") as name:
        folder = Path(name)
        alone(store_network, folder)
        alone(write_image, folder, WARM)
        found = []
        for edge in edges:
            alone(write_image, folder, edge)
            found.append(alone(explained, folder, edge))
    result = grown("volume", "voxels", [point for point, _ in found])
    for edge, row, (_, more) in zip(edges, result["rows"], found, strict=True):
        row.update({"edge": edge} | more)
    result["figures"][f"gib_{edges[-1]}"] = result["rows"][-1]["whole process GiB"]
    return result


def explained(folder: Path, edge: int) -> tuple[Point, dict[str, float]]:
    """What the command costs, and what it found."""
    os.environ |= {"SLICERXAI_HOME": str(folder), "SLICERXAI_DEVICE": "cpu", "SLICERXAI_THREADS": "1"}
    from slicerxai.cli.main import run as slicerxai

    def explain(size: int) -> Path:
        target = folder / f"why-{edge}-{size}"
        command = ["explain", "saliency", "--image", str(folder / f"{size}.nii"), "--out", str(target)]
        if slicerxai(command) != 0:
            msg = f"failed: slicerxai {' '.join(command)}"
            raise RuntimeError(msg)
        return target

    explain(WARM)
    held = forget_peak()
    started, used = time.perf_counter(), time.process_time()
    target = explain(edge)
    seconds, cpu_seconds, most = time.perf_counter() - started, time.process_time() - used, peak()
    metrics = json.loads((target / "explanation.json").read_text())["metrics"]
    about = {"whole process GiB": most / GIB, "lesions": metrics["lesions"], "patches explained": metrics["patches"]}
    return Point(edge**3, seconds, cpu_seconds, most - held), about


def store_network(folder: Path) -> None:
    """A segmenter of the default size with random weights, but for the path that takes the intensity to the logit."""
    import torch

    from slicerxai.models.fast import LABELS, WEIGHTS, FastConfig
    from slicerxai.models.fast_parameters import FastTrainingParameters
    from slicerxai.models.store import ModelStore
    from slicerxai.models.unet import DETAIL, FastUNet

    default = FastTrainingParameters()
    config = FastConfig(spacing=1.0, patch_size=(default.patch,) * 3, features=default.features)
    torch.manual_seed(0)
    network = FastUNet(1, len(LABELS), default.features)
    weights = network.state_dict()  # shares the network's memory
    for layer, source in (("detail.0", 0), ("refine.0", DETAIL)):  # the finer path comes second
        weights[f"{layer}.weight"][0] = 0.0
        weights[f"{layer}.weight"][0, source, 1, 1, 1] = 1.0
    weights["head.weight"] *= 0.01
    weights["head.weight"][:, 0] = torch.tensor([0.0, GAIN])[:, None, None, None]
    weights["head.bias"].copy_(torch.tensor([GAIN * LIMIT, 0.0]))
    description = {
        "name": "bright",
        "kind": "fast",
        "channels": ["FLAIR"],
        "labels": LABELS,
        "config": config.model_dump(mode="json"),
        "provenance": {},
    }
    with ModelStore(folder / "models").create("bright") as model:
        torch.save(weights, model / WEIGHTS)
        (model / "model.json").write_text(json.dumps(description))


def write_image(folder: Path, edge: int) -> None:
    """A head of `edge` mm with bright lesions, int16 in voxels of 1 mm."""
    from slicerxai.data.io import write_volume
    from slicerxai.data.volume import Volume

    random = np.random.default_rng(0)
    array = np.zeros((edge, edge, edge), np.int16)
    along = (np.arange(edge) + 0.5) * 2 / edge - 1
    flat = along[:, None] ** 2 + along[None, :] ** 2
    for plane, height in zip(array, along, strict=True):
        inside = flat + height**2 < 1
        plane[inside] = random.normal(300, 30, np.count_nonzero(inside))
    reach = np.arange(-RADIUS, RADIUS + 1)
    ball = (reach[:, None, None] ** 2 + reach[None, :, None] ** 2 + reach**2) <= RADIUS**2
    middles = np.arange(min(CELL, edge) // 2, edge, CELL)
    for place in np.stack(np.meshgrid(middles, middles, middles), -1).reshape(-1, 3):
        around = tuple(slice(int(p - RADIUS), int(p + RADIUS + 1)) for p in place)
        if (array[around] != 0).all():
            array[around][ball] += 300
    write_volume(folder / f"{edge}.nii", Volume(array, np.eye(4)))
