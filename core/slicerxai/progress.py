"""Progress of long work, and the place where cancelling is noticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


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


def each(progress: Progress, items: Sequence[T]) -> Iterator[tuple[T, Progress]]:
    """Every item with the progress of its equal part of the whole."""
    for index, item in enumerate(items):
        yield item, part(progress, index / len(items), (index + 1) / len(items))
