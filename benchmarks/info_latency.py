"""Benchmark `info_latency`: how long `/info` takes while a segmentation is computed, here and at stock MONAI Label.

Both servers run at once and take turns: while one segments the same image over and over, one request after the other,
a probe in a process of its own asks it for `/info/` ten times a second, whether or not earlier answers have come;
meanwhile nobody asks the other. The networks are untrained, and rows say how long one segmentation takes. Figures are
over the probe's answers of all turns.

Checked: every segmentation that a server made while it was probed is, bit for bit, the one that it makes alone.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.server_case import running, segmented
from benchmarks.server_load_clients import Log, probe
from benchmarks.side_by_side import agreed, alone
from tests.support.server import Server
from tests.support.stock import StockServer

MODELS = {"slicerxai": "tiny", "stock": "slow"}
NETWORK = {"spacing": 1.5, "features": (16, 32, 64), "patch": 64}
SETTINGS = {"SLICERXAI_WORKERS": "1", "SLICERXAI_THREADS": "1", "SLICERXAI_DEVICE": "cpu"}
PER_SECOND = 10.0


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    turns, seconds = (1, 20.0) if quick else (3, 60.0)
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(running(kind, MODELS[name], NETWORK, SETTINGS))
            for name, kind in (("slicerxai", Server), ("stock", StockServer))
        }
        expected = {name: segmented(server, MODELS[name]) for name, server in servers.items()}
        answers: dict[str, list[float]] = {name: [] for name in servers}
        inferences: dict[str, list[float]] = {name: [] for name in servers}
        furthest = 0.0
        for _ in range(turns):
            for name, server in servers.items():
                found = _Segmenting(server, MODELS[name], expected[name])
                with found:
                    answers[name] += _probed(server.url, seconds)
                inferences[name] += found.seconds
                furthest = max(furthest, found.furthest)
    difference = agreed(furthest, 0.0, "segmentations while probed and alone")
    late = {name: float(np.percentile(values, 95)) for name, values in answers.items()}
    figures = {
        "ours": late["slicerxai"],
        "peer": late["stock"],
        "ratio": late["stock"] / late["slicerxai"],
        "p95_ms": 1000 * late["slicerxai"],
        "stock_p95_ms": 1000 * late["stock"],
        "max_abs_difference": difference,
    }
    rows = [
        {"who": name, "requests": len(values), "segmentations": len(inferences[name])}
        | {"seconds of one": float(np.median(inferences[name])) if inferences[name] else None}
        | {f"p{percent} ms": 1000 * float(np.percentile(values, percent)) for percent in (50, 95, 99)}
        | {"most ms": 1000 * max(values)}
        for name, values in answers.items()
    ]
    return {"figures": figures, "rows": rows, "notes": [f"{turns} turns of {seconds:g} s each."]}


class _Segmenting:
    """Segments again and again from `with` on; the end waits for the last one.

    Attributes:
        seconds: of each. furthest: the largest difference of a voxel from what is expected.
    """

    def __init__(self, server: Server, model: str, expected: bytes) -> None:
        self._server, self._model, self._expected = server, model, np.frombuffer(expected, np.uint8)
        self.seconds: list[float] = []
        self.furthest = 0.0
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while not self._stop.is_set():
                started = time.perf_counter()
                voxels = np.frombuffer(segmented(self._server, self._model), np.uint8)
                self.seconds.append(time.perf_counter() - started)
                self.furthest = max(self.furthest, float(np.abs(voxels.astype(int) - self._expected).max()))
        except Exception as error:
            self._error = error


def _probed(url: str, seconds: float) -> list[float]:
    """Seconds until each answer. Raises `RuntimeError` when a request was not answered well."""
    log = alone(_probe, url, seconds)
    if log.errors:
        msg = f"{url}: {log.errors[:3]}"
        raise RuntimeError(msg)
    return [taken for _, _, taken, _ in log.requests]


def _probe(url: str, seconds: float) -> Log:
    with suppress(OSError):
        os.nice(-5)  # it is to tell the server's delays and not its own
    return asyncio.run(probe(url, ["/info/"], seconds, PER_SECOND))
