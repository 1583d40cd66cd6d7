"""One property on many patients: which effect is largest, and do they respond to the property itself?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError

Array = NDArray[np.float64]
BLOCK = 256
"""Draws of the bootstrap that are held at once."""


@dataclass(frozen=True)
class Ranking:
    """Of M properties; intervals are percentiles over a bootstrap of the patients.

    Attributes:
        mean: (M,) effect, mean over the patients that have one.
        interval: (M, 2) of the mean.
        rank: (M,) 1 for the largest mean; equal means share the middle of their ranks.
        rank_interval: (M, 2).
        first: (M,) probability that the mean is the largest, over draws of the patients; ties share it.
        first_share: (M,) share of the patients in whom the effect is the largest; ties share it.
    """

    mean: Array
    interval: Array
    rank: Array
    rank_interval: Array
    first: Array
    first_share: Array


def rank_effects(effects: Array, bootstraps: int = 2000, level: float = 0.95, seed: int = 0) -> Ranking:
    """Rank properties by their mean effect over patients.

    The same patients are drawn for all properties, so that what patients have in common cancels in the comparison.

    Args:
        effects: (P, M) of P patients, such as `Effect.over_range`; NaN where a property cannot be changed on a patient.
        bootstraps: draws of P patients with replacement.
        level: of the intervals.

    Raises:
        InputError: a property without any patient, or no patient at all.
    """
    effects = np.asarray(effects, np.float64)
    if effects.ndim != 2 or not effects.size or np.isinf(effects).any() or np.isnan(effects).all(0).any():
        msg = f"effects have shape (P, M), finite, and each of the M properties on at least one patient; got {effects}"
        raise InputError(msg)
    known = ~np.isnan(effects)
    values = np.where(known, effects, 0.0)
    generator = np.random.default_rng(seed)
    drawn = []
    for start in range(0, bootstraps, BLOCK):
        chosen = generator.integers(len(effects), size=(min(BLOCK, bootstraps - start), len(effects)))
        total, count = values[chosen].sum(1), known[chosen].sum(1)
        drawn.append(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
    means = np.concatenate(drawn)
    share = 50 * (1 - level)
    mean = values.sum(0) / known.sum(0)
    ends = np.nanpercentile(means, (share, 100 - share), axis=0).T
    places = np.array([_ranks(row) for row in means])
    rank_ends = np.nanpercentile(places, (share, 100 - share), axis=0).T
    return Ranking(mean, ends, _ranks(mean), rank_ends, _first(means), _first(effects))


def _ranks(values: Array) -> Array:
    """1 for the largest; ties get their middle rank; NaN stays NaN."""
    above = (values[None, :] > values[:, None]).sum(1)
    equal = (values[None, :] == values[:, None]).sum(1)
    return np.where(np.isnan(values), np.nan, above + (equal + 1) / 2)


def _first(values: Array) -> Array:
    """Share of the rows in which each column is the largest."""
    best = values == np.nanmax(values, axis=1, keepdims=True)
    return np.asarray((best / best.sum(1, keepdims=True)).mean(0))


@dataclass(frozen=True)
class CombinedTest:
    """The tests of several patients against control paths as one.

    Attributes:
        p: of "no patient responds more to the property than to arbitrary changes of its size".
        resolution: the smallest p that so many patients and controls can give, ∏ 1 / (Kᵢ + 1).
    """

    p: float
    resolution: float


def combine_controls(exceedances: Sequence[int], controls: Sequence[int]) -> CombinedTest:
    """Combine patients by the sum of their exceedances, with its exact distribution.

    bᵢ of the Kᵢ controls of patient i had a statistic at least as large as the property. Under H₀ the property is as
    good as one more control, so its place bᵢ among them is uniform on 0 … Kᵢ (larger in tendency where values tie:
    conservative), and patients are independent: p = P(ΣUᵢ ≤ Σbᵢ), by convolution. This is Edgington's sum of p values
    (Journal of Psychology 1972) with the discrete distribution that p values of few controls have, and the stratified
    rank test of van Elteren (1960) with one property against Kᵢ controls in each stratum. Few controls suffice: four
    for each of eight patients can give p = 3e-6. All controls must have been drawn.

    Args:
        exceedances: bᵢ of each patient.
        controls: Kᵢ of each patient, at least 1.
    """
    pairs = list(zip(exceedances, controls, strict=True))
    if not pairs or any(most < 1 or not 0 <= count <= most for count, most in pairs):
        msg = f"every patient has at least 1 control and between 0 and all exceedances; got {pairs}"
        raise InputError(msg)
    distribution = np.ones(1)
    for _, most in pairs:
        distribution = np.convolve(distribution, np.full(most + 1, 1 / (most + 1)))
    total = sum(count for count, _ in pairs)
    return CombinedTest(min(1.0, float(distribution[: total + 1].sum())), float(distribution[0]))
