"""What the benchmarks of growth share: points, their exponents, and the picture of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.side_by_side import exponent, forget_peak, peak

MIB = 1024**2


@dataclass(frozen=True)
class Point:
    """What one size costs.

    Attributes:
        size: in the benchmark's unit.
        seconds, cpu_seconds: by the clock, and of all threads.
        memory: peak above what the process held before, bytes.
    """

    size: int
    seconds: float
    cpu_seconds: float
    memory: int


def spent(size: int, prepare: Callable[[int], Callable[[], object]], smallest: int) -> Point:
    """What a computation costs in this process, after one of the smallest size that does not count.

    Args:
        prepare: makes the computation of a size; what it makes does not count.
    """
    prepare(smallest)()
    compute = prepare(size)
    held = forget_peak()
    started, used = time.perf_counter(), time.process_time()
    compute()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - used
    return Point(size, seconds, cpu_seconds, peak() - held)


def grown(name: str, unit: str, points: Sequence[Point], memory: bool = True) -> dict[str, Any]:
    """Figures and rows of one growth: exponents of CPU seconds and of memory, over all points and stepwise.

    Args:
        name: of the figures. unit: of the sizes, a column's name.
        memory: whether it is to be fitted too; what is less than 1 MiB, which nobody can measure, counts as that.
    """
    held = [max(point.memory, MIB) / MIB if memory else point.memory / MIB for point in points]
    rows: list[dict[str, Any]] = [
        {unit: point.size, "CPU seconds": point.cpu_seconds, "seconds": point.seconds, "peak MiB": peak_mib}
        for point, peak_mib in zip(points, held, strict=True)
    ]
    measures = {"seconds": [point.cpu_seconds for point in points]} | ({"memory": held} if memory else {})
    figures = {}
    for measure, values in measures.items():
        figures[f"exponent_{measure}_{name}"] = exponent([point.size for point in points], values)
        for index, row in enumerate(rows):
            ends = slice(index - 1, index + 1)
            sizes = [point.size for point in points[ends]]
            row[f"exponent of {measure}"] = exponent(sizes, values[ends]) if index else None
    return {"figures": figures, "rows": rows, "notes": []}
