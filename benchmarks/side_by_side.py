"""What every comparison measures alike: turns that alternate, the peak of memory, the exponent of a growth.

A comparison first makes sure that both sides give the same answer (`agreed`), then lets them take turns
(`side_by_side`) and reports the figures of `ratios`.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
STATUS = Path("/proc/self/status")
"""Linux alone has it."""


class Spent(NamedTuple):
    """One turn."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Timing:
    """Medians over turns; `low` and `high` are the quartiles of `seconds`.

    CPU seconds are those of all threads of this process and of its child processes that ended within the turn.
    """

    seconds: float
    cpu_seconds: float
    low: float
    high: float
    turns: int


def side_by_side(contenders: Mapping[str, Callable[[], object]], turns: int) -> dict[str, Timing]:
    """Time what is compared, one turn of each after the other, after a turn of each that does not count.

    What else the machine does meanwhile falls upon all of them alike.
    """
    return {name: timing(spent) for name, spent in alternate(contenders, turns).items()}


def alternate(contenders: Mapping[str, Callable[[], object]], turns: int) -> dict[str, list[Spent]]:
    """As `side_by_side`, every turn."""
    spent: dict[str, list[Spent]] = {name: [] for name in contenders}
    for compute in contenders.values():
        compute()
    for _ in range(turns):
        for name, compute in contenders.items():
            started, used = time.perf_counter(), _cpu_seconds()
            compute()
            spent[name].append(Spent(time.perf_counter() - started, _cpu_seconds() - used))
    return spent


def ratios(
    ours: Timing, peer: Timing, limit: Timing | None = None, clock: Literal["seconds", "cpu_seconds"] = "seconds"
) -> dict[str, float]:
    """Figures `ours`, `peer`, `limit` (seconds), `ratio` (peer ÷ ours) and `share_of_limit` (limit ÷ ours).

    Args:
        clock: CPU seconds for what one thread computes, on which other programs have little influence; otherwise the
            clock on the wall.
    """
    mine, theirs = getattr(ours, clock), getattr(peer, clock)
    figures = {"ours": mine, "peer": theirs, "ratio": theirs / mine}
    if limit is not None:
        least = getattr(limit, clock)
        figures |= {"limit": least, "share_of_limit": least / mine}
    return figures


class Disagreement(Exception):
    """The two sides of a comparison do not give the same answer, so their times mean nothing."""


def agreed(difference: float, bound: float, what: str) -> float:
    """The difference, which must be at most the bound. Raises `Disagreement` otherwise, also for NaN."""
    if not difference <= bound:
        msg = f"{what}: the answers are {difference:.3g} apart, at most {bound:.3g} is accepted"
        raise Disagreement(msg)
    return difference


def timing(spent: Sequence[Spent]) -> Timing:
    """What the turns say together."""
    wall, cpu = np.array(spent).T
    low, middle, high = np.quantile(wall, (0.25, 0.5, 0.75))
    return Timing(float(middle), float(np.median(cpu)), float(low), float(high), len(spent))


def _cpu_seconds() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


def alone(function: Callable[..., T], *arguments: object) -> T:
    """What the function returns in a new process of its own; it and its arguments must be picklable."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_memory(function: Callable[..., object], *arguments: object) -> int:
    """Bytes that a process of its own holds at most while the function runs, above what it held before the call.

    The function's module and the arguments are loaded before. A function that has to prepare something that is not to
    count asks for `forget_peak` and `peak` itself, and is run by `alone`.
    """
    return alone(_peak_of, function, arguments)


def _peak_of(function: Callable[..., object], arguments: tuple[object, ...]) -> int:
    held = forget_peak()
    function(*arguments)
    return peak() - held


def forget_peak() -> int:
    """Forget the peak of this process's memory so far, where the system can. Returns what it holds now, bytes."""
    if not STATUS.is_file():
        return peak()
    (STATUS.parent / "clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> int:
    """Peak of this process's memory, bytes."""
    if STATUS.is_file():
        return _status("VmHWM")  # ru_maxrss would begin with the parent's
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)


def _status(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """b of values ≈ a · sizeᵇ: least squares over the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
