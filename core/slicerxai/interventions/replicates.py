"""Consistency of a property's effect over patients, or over random realisations of one path."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.interventions.permutation import TOLERANCE

Array = NDArray[np.float64]
ENUMERATED = 14
"""Largest number of replicates whose 2^P signs are all visited."""


def sign_flip_test(slopes: Array, permutations: int = 9999, seed: int = 0) -> Array:
    """p of "the mean slope is 0", (O,), two-sided, from flipping the signs of replicates.

    Valid where each replicate's slope is symmetric about 0 under H₀ and replicates are independent; outputs of one
    replicate are flipped together. Exact by visiting all 2^P signs up to 14 replicates, else (b + 1) / (K + 1) of
    random ones. P replicates cannot give a p below 2^(1−P): 6 are needed for 0.05, 8 for 0.01.

    Args:
        slopes: (P, O) signed effect of each replicate, such as `Effect.mean_gradient`.
        permutations: random signs K where there are more than 14 replicates.
        seed: of the random signs.
    """
    slopes = np.asarray(slopes, np.float64)
    if slopes.ndim != 2 or not len(slopes) or not np.isfinite(slopes).all():
        msg = f"slopes have shape (P, O) with at least one replicate and are finite; got {slopes.tolist()}"
        raise InputError(msg)
    count, exact = len(slopes), len(slopes) <= ENUMERATED
    observed = np.abs(slopes.sum(0))
    sums = np.abs(signs(count, permutations, seed) @ slopes)
    extreme = (sums >= observed - TOLERANCE * np.abs(slopes).sum(0)).sum(0)
    return np.asarray(extreme / len(sums) if exact else (extreme + 1) / (len(sums) + 1))


def smallest_p(replicates: int, permutations: int = 9999) -> float:
    """The smallest p that so many replicates can give."""
    return 2.0 ** (1 - replicates) if replicates <= ENUMERATED else max(2.0 ** (1 - replicates), 1 / (permutations + 1))


def signs(count: int, draws: int, seed: int) -> Array:
    """All 2^count rows of ±1 up to 14, else `draws` random ones."""
    if count <= ENUMERATED:
        bits = np.arange(1 << count)[:, None] >> np.arange(count) & 1
        return 1.0 - 2.0 * bits
    return np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), (draws, count))
