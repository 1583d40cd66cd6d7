"""The published hypothesis test of a curve of predictions: does their order matter?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations as all_orders
from math import factorial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.interventions.effect import curves, mean_steps

Array = NDArray[np.float64]
Alternative = Literal["two-sided", "greater"]
ENUMERATED = 8
"""Largest N whose N! orders are visited."""
BLOCK = 1 << 19
"""Largest number of permuted predictions of an output held at once."""
TOLERANCE = 100 * float(np.finfo(np.float64).eps)
"""Relative difference below which two statistics are equal: the same differences summed up in another order."""


@dataclass(frozen=True)
class PermutationTest:
    """Of O outputs.

    Attributes:
        p: (O,) (exceedances + 1) / (permutations + 1).
        statistic: (O,) mean |∇F| with unit spacing of the curve as it is.
        exceedances: (O,) permutations that are at least as extreme.
        permutations: that were drawn.
        resolution: the smallest p that a curve of this length can get which rises, or falls, throughout:
            the larger of 1 / (permutations + 1) and `smallest_share`. Five steps cannot reach 0.05 (1 / 15), six can.
    """

    p: Array
    statistic: Array
    exceedances: NDArray[np.int64]
    permutations: int
    resolution: float


def permutation_test(
    predictions: Array, permutations: int = 1000, seed: int = 0, alternative: Alternative = "two-sided"
) -> PermutationTest:
    """Shuffle the predictions of a path and compare mean |∇F| (algorithm 1 of the publication).

    H₀: the N predictions are exchangeable, that is, a sequence without any order. Every smooth curve violates it, also
    one that drifts for reasons that have nothing to do with the property: a small p says that the prediction changes in
    an orderly way, not that the property is what changes it. `control_test` asks that.

    Two-sided, a permutation is extreme when its statistic is at least as far from the mean over *all* N! permutations,
    (N + 2) / (2N) times the mean absolute difference of two predictions, as the curve's own. The published code takes
    the mean of the permutations that were drawn, which tends to this one; the exact one does not depend on the draws
    and makes p = (b + 1) / (K + 1) valid for every K (the published p = b / K is not, it can be 0).

    Args:
        predictions: (N, O), in the order of the property.
        permutations: to draw, K. The same ones for all outputs.
        seed: of the draws.
        alternative: "greater" counts only permutations with a statistic at least as large.
    """
    predictions = curves(predictions)
    if permutations < 1:
        msg = f"a permutation test needs at least 1 permutation; got {permutations}"
        raise InputError(msg)
    statistic = mean_steps(predictions)
    centre = mean_over_permutations(predictions) if alternative == "two-sided" else None
    generator = np.random.default_rng(seed)
    exceedances = np.zeros(len(statistic), np.int64)
    rows = max(1, BLOCK // len(predictions))
    for start in range(0, permutations, rows):
        found = _shuffled(predictions, min(rows, permutations - start), generator)
        exceedances += _extreme(found, statistic, centre)
    resolution = max(1 / (permutations + 1), smallest_share(len(predictions)))
    return PermutationTest((exceedances + 1) / (permutations + 1), statistic, exceedances, permutations, resolution)


def exact_permutation_p(predictions: Array, alternative: Alternative = "two-sided") -> Array:
    """p over all N! permutations, (O,), for N ≤ 8."""
    predictions = curves(predictions)
    if len(predictions) > ENUMERATED:
        msg = f"all permutations of {len(predictions)} predictions are too many; at most {ENUMERATED} are enumerated"
        raise InputError(msg)
    order = np.array(list(all_orders(range(len(predictions)))))
    centre = mean_over_permutations(predictions) if alternative == "two-sided" else None
    found = _extreme(mean_steps(predictions[order.T]), mean_steps(predictions), centre)
    return found / len(order)


@cache
def smallest_share(steps: int) -> float:
    """Share of the permutations that are as extreme (two-sided) as a monotone curve, whatever its values, (0, 1].

    Of a monotone curve, the statistic of each permutation is a weighted sum of its gaps F(xᵢ₊₁) − F(xᵢ) ≥ 0. A
    permutation none of whose weights is above (or none below) those of the curve itself lies on the same side of it for
    all gaps; likewise on the far side of their mean, about which the test is two-sided (with four steps, eight
    permutations always lie exactly there). Counted up to 8 steps; above, a curve and its reverse (2 / N!).
    """
    if steps > ENUMERATED:
        return 2 / factorial(steps)
    order = np.array(list(all_orders(range(steps)))).T
    gaps = np.tri(steps, steps - 1, -1)
    weights, own = mean_steps(gaps[order]), mean_steps(gaps)
    mirrored = 2 * weights.mean(0) - own
    below = (weights <= own + 1e-12).all(1) | (weights >= mirrored - 1e-12).all(1)
    above = (weights >= own - 1e-12).all(1) | (weights <= mirrored + 1e-12).all(1)
    return float(min(below.mean(), above.mean()))


def mean_over_permutations(predictions: Array) -> Array:
    """Mean of the statistic over all N! orders, (O,): each of the N − 2 inner gradients halves a difference."""
    count = len(predictions)
    ordered = np.sort(predictions, axis=0)
    ordered = ordered - ordered[0]  # a high level would cost the digits that ties are told by
    rank = 2 * np.arange(count) - (count - 1)
    mean_difference = rank @ ordered / (count * (count - 1) / 2)
    return mean_difference * (count + 2) / (2 * count)


def _shuffled(predictions: Array, count: int, generator: np.random.Generator) -> Array:
    """The statistic (count, O) of random orders, the same ones for all outputs."""
    steps = np.broadcast_to(np.arange(len(predictions)), (count, len(predictions)))
    orders = np.ascontiguousarray(generator.permuted(steps, axis=1).T)
    return np.stack([mean_steps(output[orders]) for output in predictions.T], 1)


def _extreme(found: Array, observed: Array, centre: Array | None) -> NDArray[np.int64]:
    """Rows of (count, O) at least as extreme as the observed statistic."""
    margin = TOLERANCE * np.abs(observed)
    if centre is None:
        return np.asarray((found >= observed - margin).sum(0), np.int64)
    return np.asarray((np.abs(found - centre) >= np.abs(observed - centre) - margin).sum(0), np.int64)
