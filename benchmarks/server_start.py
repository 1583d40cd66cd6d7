"""Benchmark `server_start`: seconds until the server serves and the memory it holds idle, beside stock MONAI Label.

Both start in turns over the same image, after a start of each that does not count. Ready is the first good answer of
`/info/`. Ours then has its workers import in the background, and holds what they hold: memory is measured once it has
stood still for a while, of the server and of all processes that it started, pages that they share counted once (of a
file, those of the process that holds most of it). `first_ratio` is of the seconds from the start to the first
segmentation, for which stock MONAI Label computes in the server itself.

Checked every turn: the segmentation is the same as in the turn before.
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.server_case import PATIENCE_SECONDS, running, segmented
from benchmarks.side_by_side import agreed
from tests.support.server import Server
from tests.support.stock import StockServer

KINDS: dict[str, tuple[type[Server], str]] = {"slicerxai": (Server, "tiny"), "stock": (StockServer, "segmentation")}
NETWORK = {"spacing": 3.0, "features": (8, 16), "patch": 48}
SETTINGS = {"SLICERXAI_DEVICE": "cpu"}
STILL_SECONDS, STILL_MB = 6.0, 5.0
MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)$", re.MULTILINE)
"""First line of a mapping in /proc/PID/smaps, and its file."""


@dataclass(frozen=True)
class Memory:
    """MB that processes hold together, and how many they are."""

    mb: float
    server_mb: float
    processes: int


@dataclass(frozen=True)
class Start:
    """One start."""

    ready: float
    first: float
    memory: Memory
    voxels: bytes


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    turns = 2 if quick else 5
    starts: dict[str, list[Start]] = {name: [] for name in KINDS}
    for turn in range(turns + 1):
        for name in KINDS:
            start = _start(name)
            if turn:
                starts[name].append(start)
    difference = agreed(
        max(_difference(start.voxels, found[0].voxels) for found in starts.values() for start in found), 0.0, "voxels"
    )
    typical = {
        name: {
            "ready": float(np.median([start.ready for start in found])),
            "first": float(np.median([start.first for start in found])),
            "mb": float(np.median([start.memory.mb for start in found])),
            "server_mb": float(np.median([start.memory.server_mb for start in found])),
        }
        for name, found in starts.items()
    }
    ours, peer = typical["slicerxai"], typical["stock"]
    figures = {"ours": ours["ready"], "peer": peer["ready"], "ratio": peer["ready"] / ours["ready"]} | {
        "memory_ratio": peer["mb"] / ours["mb"],
        "server_memory_ratio": peer["server_mb"] / ours["server_mb"],
        "first_ratio": peer["first"] / ours["first"],
        "idle_mb": ours["mb"],
        "stock_idle_mb": peer["mb"],
        "max_abs_difference": difference,
    }
    rows = [
        {"who": name, "ready s": start.ready, "first segmentation s": start.first, "idle MB": start.memory.mb}
        | {"server alone MB": start.memory.server_mb, "processes": start.memory.processes}
        for name, found in starts.items()
        for start in found
    ]
    return {"figures": figures, "rows": rows, "notes": [f"Medians of {turns} starts; ours with its default settings."]}


def _start(name: str) -> Start:
    """Start, let it come to rest, segment, end."""
    kind, model = KINDS[name]
    with running(kind, model, NETWORK, SETTINGS) as server:
        started = time.monotonic() - server.ready_after
        voxels = segmented(server, model)
        first = time.monotonic() - started
    with running(kind, model, NETWORK, SETTINGS) as server:
        return Start(server.ready_after, first, _idle(server.process.pid), voxels)


def _difference(one: bytes, other: bytes) -> float:
    return float(np.abs(np.frombuffer(one, np.uint8).astype(int) - np.frombuffer(other, np.uint8)).max())


def _idle(pid: int) -> Memory:
    """Memory once it has not changed for a while. Raises `RuntimeError` when it goes on changing."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    samples = [_memory(pid)]
    since = time.monotonic()
    while time.monotonic() < deadline:
        time.sleep(1.0)
        samples.append(_memory(pid))
        if abs(samples[-1].mb - samples[-2].mb) > STILL_MB or samples[-1].processes != samples[-2].processes:
            since = time.monotonic()
        elif time.monotonic() - since > STILL_SECONDS:
            return samples[-1]
    msg = f"memory of the server went on changing: {[round(sample.mb) for sample in samples[-10:]]} MB"
    raise RuntimeError(msg)


def _memory(pid: int) -> Memory:
    server = psutil.Process(pid)
    processes = [server, *server.children(recursive=True)]
    return Memory(_held(processes), _held([server]), len(processes))


def _held(processes: list[psutil.Process]) -> float:
    """MB that processes hold together."""
    kilobytes = 0
    files: dict[str, int] = defaultdict(int)
    for process in processes:
        folder = Path(f"/proc/{process.pid}")
        kilobytes += sum(_numbers("Pss_Anon", (folder / "smaps_rollup").read_text()))  # each page by its share
        held: dict[str, int] = defaultdict(int)
        for name, values in _mappings((folder / "smaps").read_text()):
            held[name] += sum(_numbers("Rss", values)) - sum(_numbers("Anonymous", values))
        for name, size in held.items():
            files[name] = max(files[name], size)
    return (kilobytes + sum(files.values())) * 1024 / 1e6


def _mappings(text: str) -> Iterator[tuple[str, str]]:
    """File and values of each mapping that has one."""
    _, *rest = MAPPING.split(text)
    return zip(rest[::2], rest[1::2], strict=True)


def _numbers(key: str, text: str) -> list[int]:
    return [int(found) for found in re.findall(rf"^{key}: *(\d+) kB$", text, re.MULTILINE)]
