"""Benchmark `http_overhead`: explaining over HTTP, beside the direct call in a process that holds the model.

A phantom patient is explained by input × gradient with a small network that has learned from another patient, with a
new seed each turn, the same for both, so that nothing is taken from the store. Direct is reading the file and
computing, nothing stored. Over HTTP it is the request, the queue, a worker that computes, packs and stores the result,
and the client that has fetched and unpacked it. Both compute with one thread. The limit is the direct call:
`share_of_limit` is direct ÷ HTTP, and `overhead_ms` is to be at most `accepted_ms`, a tenth of the direct call and
150 ms.

Checked every turn: volumes and measurements of both are the same bits; `max_abs_difference` says so.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import requests
import torch

from benchmarks.printer import Printer
from benchmarks.side_by_side import agreed, ratios, side_by_side
from slicerxai import runtime
from slicerxai.data.phantom.cohort import write_cohort
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.explain.contract import Explanation
from slicerxai.explain.multipart import decode
from slicerxai.explain.run import parse_parameters
from slicerxai.explain.run import run as explain
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train
from tests.support.server import Server

MODEL, IMAGE, METHOD = "small", "patient", "saliency"
ACCEPTED_SHARE, ACCEPTED_SECONDS = 0.10, 0.150
PATIENCE_SECONDS = 900.0


class _Direct:
    """Explains in this process; every call has the next seed."""

    def __init__(self, store: Path, image: Path) -> None:
        self._model = ModelStore(store).load(MODEL, torch.device("cpu"))
        self._image, self._seeds = image, itertools.count()
        self.made: list[Explanation] = []

    def __call__(self) -> None:
        parameters = parse_parameters(METHOD, _values(next(self._seeds)))
        self.made.append(explain(METHOD, parameters, self._model, IMAGE, {"FLAIR": self._image}))


class _OverHttp:
    """Explains by the server; every call has the next seed."""

    def __init__(self, url: str) -> None:
        self._url, self._seeds, self._session = url, itertools.count(), requests.Session()
        self.made: list[Explanation] = []

    def __call__(self) -> None:
        body = {"image": IMAGE, "model": MODEL, "parameters": _values(next(self._seeds))}
        url = f"{self._url}/explain/{METHOD}?wait=true"
        answer = self._session.post(url, json=body, timeout=PATIENCE_SECONDS)
        answer.raise_for_status()
        self.made.append(decode(answer.content, answer.headers["content-type"]))


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data
    spacing, turns = (2.0, 3) if quick else (1.0, 7)
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    runtime.configure()
    torch.set_num_threads(1)
    try:
        models, image = _prepared(out / "http_overhead", spacing)
        with _running(models, image) as server:
            direct = _Direct(models, image)
            http = _OverHttp(server.url)
            times = side_by_side({"direct": direct, "HTTP": http}, turns)
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
    pairs = list(zip(direct.made, http.made, strict=True))
    difference = agreed(max(_difference(*pair) for pair in pairs), 0.0, "volumes and measurements")
    if not http.made[-1].metrics["lesions"]:
        msg = "no lesion is predicted, so that nothing was explained"
        raise RuntimeError(msg)
    overhead = times["HTTP"].seconds - times["direct"].seconds
    figures = ratios(times["HTTP"], times["direct"], times["direct"]) | {
        "overhead_ms": 1000 * overhead,
        "accepted_ms": 1000 * (ACCEPTED_SHARE * times["direct"].seconds + ACCEPTED_SECONDS),
        "max_abs_difference": difference,
        "result_mb": sum(o.volume.array.nbytes for o in http.made[-1].overlays.values()) / 1e6,
    }
    rows = [
        {"who": name, "seconds": t.seconds, "lower quartile": t.low, "upper quartile": t.high}
        for name, t in times.items()
    ]
    shape = "×".join(map(str, direct.made[-1].overlays["FLAIR"].volume.shape))
    return {"figures": figures, "rows": rows, "notes": [f"Image of {shape} voxels, {turns} turns."]}


@contextmanager
def _running(models: Path, image: Path) -> Iterator[Server]:
    """A server with one worker over one image."""
    with tempfile.TemporaryDirectory(prefix="http-overhead-") as root:
        server = Server(Path(root), SLICERXAI_WORKERS="1", SLICERXAI_THREADS="1", SLICERXAI_DEVICE="cpu")
        shutil.copytree(models, server.home / "models")
        shutil.copyfile(image, server.studies / f"{IMAGE}.nii.gz")
        server.start()
        try:
            yield server
        finally:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()


def _prepared(folder: Path, spacing: float) -> tuple[Path, Path]:
    """A store with a network that has learned from one phantom patient for a minute, and the scan of another one."""
    parameters = PhantomParameters(patients=2, spacing=spacing, centres=("01",), raters=("1",), load_min_ml=8.0)
    known, other = write_cohort(folder / "cohort", parameters, Printer("phantom"))
    shutil.rmtree(folder / "models", ignore_errors=True)
    store = ModelStore(folder / "models")
    settings = FastTrainingParameters(
        spacing=spacing,
        patch=32,
        features=(8, 16),
        steps=300,
        lr=1e-2,
        augmentation=0,
        validation_share=0,
        precision="float32",
    )
    train("fast", [known], "consensus", settings, store, MODEL, torch.device("cpu"), Printer("train"))
    return store.root, other.images["FLAIR"]


def _values(seed: int) -> dict[str, Any]:
    return {"method": "input_x_gradient", "seed": seed}


def _difference(one: Explanation, other: Explanation) -> float:
    """Largest difference of a voxel or a measurement; infinite when they do not have the same ones."""
    if one.overlays.keys() != other.overlays.keys() or one.metrics.keys() != other.metrics.keys():
        return float("inf")
    volumes = [
        float(np.abs(overlay.volume.array.astype(float) - other.overlays[name].volume.array.astype(float)).max())
        for name, overlay in one.overlays.items()
    ]
    return max([*volumes, *(abs(value - other.metrics[name]) for name, value in one.metrics.items())])
