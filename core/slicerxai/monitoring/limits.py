"""Limits of a measure beyond which a class's prediction is turned round, chosen for the F1 that results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
STEP = 0.001
"""Interval of the grid of limits (Shu et al. 2024)."""
BANDS = 10
"""Bands of equal number of cases between which the rule "steps" chooses."""
ITERATIONS = 50


class Band(BaseModel):
    """A range of the measure, both ends included; None is unbounded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float | None = None
    high: float | None = None

    def holds(self, measure: Array) -> Flags:
        """Where the measure lies in it."""
        inside = np.ones(np.shape(measure), bool)
        if self.low is not None:
            inside &= measure >= self.low
        if self.high is not None:
            inside &= measure <= self.high
        return inside


Bands = tuple[Band, ...]
"""Empty: nothing is flagged."""


def flagged(bands: Bands, measure: Array) -> Flags:
    """Where the measure lies in any of the bands."""
    inside = np.zeros(np.shape(measure), bool)
    for band in bands:
        inside |= band.holds(measure)
    return inside


def swapped(predicted: Flags, flags: Flags) -> Flags:
    """Predictions with the flagged ones turned round."""
    return predicted ^ flags


def f1_of(positives: NDArray[np.int_] | int, predicted: NDArray[np.int_] | int, true: NDArray[np.int_] | int) -> Array:
    """2 TP / (predicted + true), 0 where neither has any; counts may be arrays."""
    both = np.asarray(predicted) + np.asarray(true)
    return np.where(both > 0, 2 * np.asarray(positives) / np.maximum(both, 1), 0.0)


def f1(predicted: Flags, truth: Flags) -> float:
    """F1 of one class; 0 without positives in either."""
    return float(f1_of(int((predicted & truth).sum()), int(predicted.sum()), int(truth.sum())))


def fit_threshold(measure: Array, predicted: Flags, truth: Flags, *, low_is_suspicious: bool) -> Bands:
    """The limit τ on a grid of 0.001 from 0 whose flags, turned round, give this class the highest F1.

    Flagged is what lies at or beyond τ on the suspicious side. Among equal F1 the limit that flags fewest wins, and
    then the one nearest to flagging nothing; without gain nothing is flagged. The same as trying every τ in turn, from
    one pass over the counts.

    Args:
        measure, predicted, truth: (N,), measure ≥ 0.
    """
    steps = int(np.ceil(measure.max() / STEP)) if len(measure) else 0
    grid = np.arange(steps + 1) * STEP
    if low_is_suspicious:
        first = np.searchsorted(grid, measure, side="left")  # smallest τ with measure <= τ
        order = np.arange(len(grid))
    else:
        first = np.searchsorted(grid, measure, side="right") - 1  # largest τ with measure >= τ
        order = np.arange(len(grid))[::-1]
    gain = np.where(truth, np.where(predicted, -1, 1), 0)
    change = np.where(predicted, -1, 1)
    count = len(grid)

    def running(values: NDArray[np.int_]) -> NDArray[np.int_]:
        return np.cumsum(np.bincount(first, values, count).astype(int)[order])

    hits = int((predicted & truth).sum()) + running(gain)
    called = int(predicted.sum()) + running(change)
    scores = f1_of(hits, called, int(truth.sum()))
    best = int(np.argmax(scores))  # the first: fewest flagged
    if not len(measure) or scores[best] <= f1(predicted, truth):
        return ()
    limit = float(grid[order[best]])
    return (Band(high=limit),) if low_is_suspicious else (Band(low=limit),)
