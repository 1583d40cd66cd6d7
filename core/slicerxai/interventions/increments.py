"""A test of one curve that allows neighbouring predictions to depend on one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.interventions.effect import curves
from slicerxai.interventions.permutation import TOLERANCE
from slicerxai.interventions.replicates import ENUMERATED, signs, smallest_p

Array = NDArray[np.float64]
BLOCK = 1 << 21
"""Largest number of cumulated increments held at once."""


@dataclass(frozen=True)
class IncrementTest:
    """Of O outputs.

    Attributes:
        p: (O,).
        statistic: (O,) range of the curve, in output units.
        permutations: signs that were compared.
        resolution: the smallest p that a curve of this length can get.
    """

    p: Array
    statistic: Array
    permutations: int
    resolution: float


def increment_test(predictions: Array, permutations: int = 9999, seed: int = 0) -> IncrementTest:
    """Does the curve go further than a random walk with steps of the same sizes?

    Flips the signs of the increments F(xᵢ₊₁) − F(xᵢ) and compares the range, max F − min F. Exact where increments are
    independent and symmetric about 0 (a random walk); where they are negatively correlated (independent noise,
    stationary autocorrelation) a curve stays closer to its origin, and the test is conservative. A smooth drift is
    rejected like any trend: from one curve alone it cannot be told from an effect.

    Args:
        predictions: (N, O), in the order of the property, N ≥ 2.
        permutations: random signs where N is above 15; up to there all signs are visited.
        seed: of the random signs.
    """
    predictions = curves(predictions)
    if permutations < 1:
        msg = f"a test needs at least 1 permutation; got {permutations}"
        raise InputError(msg)
    steps = np.diff(predictions, axis=0)
    observed = np.ptp(predictions, axis=0)
    margin = TOLERANCE * np.abs(steps).sum(0)
    rows = signs(len(steps), permutations, seed)
    extreme = np.zeros(predictions.shape[1], np.int64)
    for block in np.array_split(rows, -(-rows.shape[0] * predictions.size // BLOCK)):
        extreme += (_range(block[:, :, None] * steps) >= observed - margin).sum(0)
    exact = len(steps) <= ENUMERATED
    p = extreme / len(rows) if exact else (extreme + 1) / (len(rows) + 1)
    return IncrementTest(p, observed, len(rows), smallest_p(len(steps), permutations))


def _range(steps: Array) -> Array:
    """max − min, (count, O), of curves from their increments (count, N − 1, O)."""
    walk = steps.cumsum(1)
    return np.maximum(walk.max(1), 0) - np.minimum(walk.min(1), 0)
