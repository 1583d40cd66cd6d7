"""Intervals over subjects: BCa bootstrap (Efron 1987) and the studentised jackknife.

A draw is a row of case weights: how often each case's subject was drawn. Subjects are drawn within their stratum (in
the source only, in the target only, in both), and all cases of a subject come along.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from slicerxai.progress import Progress

Array = NDArray[np.float64]
Statistic = Callable[[Array], Array]
"""Weights (B, n) to (B, k) numbers."""
BLOCK = 100
JACKKNIFE_GROUPS = 60


def strata(subjects: NDArray[np.str_], labels: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Subject's number of every case (n,), and stratum of every subject: 0 source, 1 target, 2 both."""
    _, index = np.unique(subjects, return_inverse=True)
    share = np.bincount(index, labels) / np.bincount(index)
    return index, np.where(share == 0, 0, np.where(share == 1, 1, 2)).astype(np.int64)


def draw(subjects: NDArray[np.str_], labels: Array, draws: int, seed: int) -> Array:
    """Case weights of bootstrap draws, (draws, n)."""
    rng = np.random.default_rng(seed)
    index, stratum = strata(subjects, labels)
    counts = np.zeros((draws, len(stratum)))
    for kind in np.unique(stratum):
        members = np.flatnonzero(stratum == kind)
        counts[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), draws)
    return counts[:, index]


def leave_out(subjects: NDArray[np.str_], labels: Array, seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Case weights with one subject, or one group of subjects of a stratum, left out at a time.

    Returns:
        weights (G, n) and the stratum of each group (G,).
    """
    rng = np.random.default_rng(seed)
    index, stratum = strata(subjects, labels)
    largest = int(np.ceil(len(stratum) / JACKKNIFE_GROUPS))
    rows, kinds = [], []
    for kind in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == kind))
        for group in np.array_split(members, int(np.ceil(len(members) / largest))):
            rows.append(~np.isin(index, group))
            kinds.append(kind)
    return np.array(rows, dtype=np.float64), np.array(kinds)


def evaluate(statistic: Statistic, weights: Array, progress: Progress, message: str) -> Array:
    """The statistic of all rows, in blocks, (B, k)."""
    blocks = []
    for start in range(0, len(weights), BLOCK):
        progress(start / len(weights), message)
        blocks.append(statistic(weights[start : start + BLOCK]))
    return np.concatenate(blocks)


def jackknife_error(left_out: Array, kinds: NDArray[np.int64]) -> tuple[Array, Array]:
    """Standard error from values with one group left out at a time, stratum by stratum, and its degrees of freedom.

    The variance of a stratum of G groups is (G - 1)/G times the sum of squares about its mean (Tukey 1958); degrees of
    freedom combine as in Satterthwaite 1946.

    Args:
        left_out: (G, k). kinds: (G,).

    Returns:
        error (k,), degrees of freedom (k,).
    """
    parts, squares = np.zeros(left_out.shape[1]), np.zeros(left_out.shape[1])
    for kind in np.unique(kinds):
        values = left_out[kinds == kind]
        g = len(values)
        if g < 2:
            continue
        variance = (g - 1) / g * ((values - values.mean(0)) ** 2).sum(0)
        parts += variance
        squares += variance**2 / (g - 1)
    freedom = np.where(squares > 0, parts**2 / np.where(squares > 0, squares, 1.0), 1.0)
    return np.sqrt(parts), np.maximum(freedom, 1.0)


def studentised(estimate: Array, error: Array, freedom: Array, level: float) -> Array:
    """(k, 2): estimate ± t error."""
    half = t.ppf(0.5 + level / 2, freedom) * error
    return np.stack([estimate - half, estimate + half], 1)


def bca(estimate: Array, draws: Array, left_out: Array, kinds: NDArray[np.int64], level: float) -> Array:
    """Bias-corrected, accelerated intervals (Efron 1987).

    The acceleration is that of several samples: Σ l³ / (6 (Σ l²)^1.5) over the jackknife influences l of all strata,
    each centred in its own stratum and divided by its number of groups.

    Args:
        estimate: (k,). draws: (B, k). left_out: (G, k). kinds: (G,).

    Returns:
        (k, 2).
    """
    influence = np.empty_like(left_out)
    for kind in np.unique(kinds):
        own = kinds == kind
        influence[own] = (left_out[own].mean(0) - left_out[own]) * (own.sum() - 1) / own.sum()
    cubes, squares = (influence**3).sum(0), (influence**2).sum(0)
    acceleration = np.where(squares > 0, cubes / (6 * np.where(squares > 0, squares, 1.0) ** 1.5), 0.0)
    below = (draws < estimate).mean(0) + 0.5 * (draws == estimate).mean(0)
    shift = norm.ppf(np.clip(below, 0.5 / len(draws), 1 - 0.5 / len(draws)))
    out = np.empty((len(estimate), 2))
    for column, probability in enumerate((0.5 - level / 2, 0.5 + level / 2)):
        z = shift + norm.ppf(probability)
        adjusted = norm.cdf(shift + z / np.maximum(1 - acceleration * z, 0.05))
        out[:, column] = [np.quantile(draws[:, k], adjusted[k]) for k in range(len(estimate))]
    return out
