"""Limits of a measure beyond which a class's prediction is turned round, chosen for the F1 that results."""

from __future__ import annotations

from collections.abc import Sequence

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
    if not len(measure):
        return ()
    count = int(measure.max() / STEP) + 2  # up to the first τ beyond the largest value
    grid = np.arange(count) * STEP
    if low_is_suspicious:
        first = np.searchsorted(grid, measure, side="left")  # smallest τ with measure <= τ
        order = np.arange(count)
    else:
        first = np.searchsorted(grid, measure, side="right") - 1  # largest τ with measure >= τ
        order = np.arange(count)[::-1]
    gain = np.where(truth, np.where(predicted, -1, 1), 0)
    change = np.where(predicted, -1, 1)

    def running(values: NDArray[np.int_]) -> NDArray[np.int_]:
        return np.cumsum(np.bincount(first, values, count).astype(int)[order])

    hits = int((predicted & truth).sum()) + running(gain)
    called = int(predicted.sum()) + running(change)
    scores = f1_of(hits, called, int(truth.sum()))
    best = int(np.argmax(scores))  # the first: fewest flagged
    if scores[best] <= f1(predicted, truth):
        return ()
    limit = float(grid[order[best]])
    return (Band(high=limit),) if low_is_suspicious else (Band(low=limit),)


def fit_bands(measure: Array, predicted: Flags, truth: Flags) -> Bands:
    """The bands, out of ten with about as many cases each, that give the highest F1 when turned round.

    F1 is a ratio of counts to which each band adds its own, so the best set is found by Dinkelbach's iteration (1967):
    with the F1 reached so far as the price λ, a band belongs to it when 2 ΔTP − λ Δ(predicted) > 0.
    """
    edges = _edges(measure)
    place = np.searchsorted(edges, measure)
    gain = np.bincount(place, np.where(truth, np.where(predicted, -1, 1), 0), len(edges) + 1)
    change = np.bincount(place, np.where(predicted, -1, 1), len(edges) + 1)
    hits, called, true = int((predicted & truth).sum()), int(predicted.sum()), int(truth.sum())
    price, chosen = f1(predicted, truth), np.zeros(len(edges) + 1, bool)
    for _ in range(ITERATIONS):
        better = 2 * gain - price * change > 1e-12
        reached = float(f1_of(hits + int(gain[better].sum()), called + int(change[better].sum()), true))
        if reached <= price:
            break
        price, chosen = reached, better
    return _merged(edges, chosen)


def majority(votes: Sequence[Bands]) -> Bands:
    """What more than half of the fits flag; of one-sided limits it is their median."""
    ends = {end for bands in votes for band in bands for end in (band.low, band.high) if end is not None}
    edges = np.array(sorted(ends))
    if not len(edges):
        return (Band(),) if 2 * sum(bool(bands) for bands in votes) > len(votes) else ()
    inside = np.concatenate([[edges[0] - 1], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 1]])
    count = np.sum([flagged(bands, inside) for bands in votes], axis=0)
    return _merged(edges, 2 * count > len(votes))


def _edges(measure: Array) -> Array:
    """Half-way between neighbouring values at the deciles."""
    values = np.sort(measure)
    cuts = [round(len(values) * part / BANDS) for part in range(1, BANDS)]
    pairs = [(values[cut - 1], values[cut]) for cut in cuts if 0 < cut < len(values)]
    return np.unique([(low + high) / 2 for low, high in pairs if high > low])


def _merged(edges: Array, chosen: Flags) -> Bands:
    """Chosen ranges between the edges, neighbours as one."""
    bands, start = [], None
    for place, wanted in enumerate([*chosen, False]):
        if wanted and start is None:
            start = place
        elif not wanted and start is not None:
            low = float(edges[start - 1]) if start else None
            high = float(edges[place - 1]) if place - 1 < len(edges) else None
            bands.append(Band(low=low, high=high))
            start = None
    return tuple(bands)
