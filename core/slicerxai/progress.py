"""Progress of long work, and the place where cancelling is noticed."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called often with the fraction done in [0, 1] and a short message; raises `Cancelled` to stop the work."""

    def __call__(self, fraction: float, message: str) -> None: ...


def silent(fraction: float, message: str) -> None:
    """Progress that nobody watches."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """Progress of one step, mapped into [start, stop] of the whole."""

    def inner(fraction: float, message: str) -> None:
        progress(start + (stop - start) * fraction, message)

    return inner
