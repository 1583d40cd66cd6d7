"""Has a mechanism shifted at all? A test of each conditional, P(V | PA, e=0) = P(V | PA, e=1).

The statistic is a ridge-regularised Hotelling's T² of the variable, adjusted for its parents by linear regression (Li
et al., Annals of Statistics 48:1815, 2020). Its null distribution is drawn by labelling the same cases anew from
P(e | PA), subject by subject (a conditional randomisation test, Candès et al. 2018; a permutation test for a mechanism
without parents).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import t

from slicerxai.shift.basis import parents_design, products, standardised
from slicerxai.shift.discriminators import reduce_features

Array = NDArray[np.float64]
State = Literal["shifted", "uncertain", "untestable", "not seen"]
RIDGE = 1.0


@dataclass(frozen=True)
class Evidence:
    """About one mechanism.

    Attributes:
        p_value: of the hypothesis that it did not shift.
        adjusted: p-value after Holm's correction over the mechanisms.
        state: "shifted" (adjusted p at or below the level), "not seen" (p above `quiet`), "uncertain" in between.
            "untestable" is for estimators: the parents alone tell the environments apart.
    """

    p_value: float
    adjusted: float
    state: State


def relabel(subjects: NDArray[np.str_], labels: Array, log_odds: Array, draws: int, seed: int) -> Array:
    """Environments of all cases under the null, (draws, n).

    A subject with cases in both environments has them exchanged or not; the cases of any other subject get one label,
    and as many subjects are labelled target as are in truth.

    Args:
        log_odds: (n,), of the target given the parents; constant for a permutation test.
    """
    rng = np.random.default_rng(seed)
    _, index = np.unique(subjects, return_inverse=True)
    count = np.bincount(index)
    share = np.bincount(index, labels) / count
    both = (share > 0) & (share < 1)
    mean_odds = np.bincount(index, log_odds) / count
    target_odds = np.bincount(index, labels * log_odds) / np.maximum(np.bincount(index, labels), 1)
    source_odds = np.bincount(index, (1 - labels) * log_odds) / np.maximum(np.bincount(index, 1 - labels), 1)
    keep = rng.random((draws, len(count))) < expit(target_odds - source_odds)
    targets = int((share[~both] > 0.5).sum())
    drawn = np.zeros((draws, len(count)), bool)
    if targets:
        single = np.flatnonzero(~both)
        chosen = _fixed_size(mean_odds[single], targets, draws, rng)
        drawn[:, single] = chosen
    swapped = np.where(keep[:, index], labels, 1 - labels)
    return np.where(both[index], swapped, drawn[:, index].astype(np.float64))


def _fixed_size(log_odds: Array, size: int, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Subsets of fixed size with odds exp(log_odds), by swaps of a Markov chain (Berrett et al. 2020)."""
    n = len(log_odds)
    state = np.zeros((draws, n), bool)
    state[np.arange(draws)[:, None], np.argsort(rng.random((draws, n)), 1)[:, :size]] = True
    if np.ptp(log_odds) < 1e-12:
        return state
    rows = np.arange(draws)[:, None]
    for _ in range(60):
        order = np.argsort(rng.random((draws, n)), 1)
        half = n // 2
        a, b = order[:, :half], order[:, half : 2 * half]
        in_a, in_b = state[rows, a], state[rows, b]
        accept_a = rng.random((draws, half)) < expit(log_odds[a] - log_odds[b])
        differ = in_a != in_b
        state[rows, a] = np.where(differ, accept_a, in_a)
        state[rows, b] = np.where(differ, ~accept_a, in_b)
    return state


def gain(parents: Array, variable: Array, labels: Array, ridge: float = RIDGE) -> Array:
    """How much of the environment the variable tells beside its parents, for each labelling.

    The share of the squares of the environment, left by a linear regression on the parents, that a ridge regression on
    the variable, left by the same regression, explains. Without a ridge this orders labellings as Hotelling's T²
    adjusted for the parents does; the ridge weighs directions by how much patients vary along them, which with a dozen
    correlated features and some dozens of cases finds shifts that T² spreads too thin to see.

    Args:
        parents: (n, d). variable: (n, k), about standardised. labels: (B, n).
        ridge: variance of a direction that counts half.
    """
    ones = np.ones((len(parents), 1))
    given = _basis(np.concatenate([ones, parents], 1))
    left = variable - given @ (given.T @ variable)
    vectors, sizes, _ = np.linalg.svd(left, full_matrices=False)
    real = sizes > 1e-8 * max(float(sizes.max(initial=0.0)), 1e-8)
    vectors, sizes = vectors[:, real], sizes[real]
    shrunk = sizes**2 / (sizes**2 + ridge * len(left))
    rest = labels - labels @ given @ given.T
    return np.asarray(((rest @ vectors) ** 2 @ shrunk) / np.maximum((rest**2).sum(1), 1e-9))


def _basis(columns: Array) -> Array:
    """Orthonormal basis of the span of the columns, (n, rank)."""
    if columns.shape[1] == 0:
        return columns
    vectors, values, _ = np.linalg.svd(columns, full_matrices=False)
    return vectors[:, values > 1e-8 * max(float(values.max()), 1e-8)]


def p_value(
    parents: list[Array],
    variable: Array,
    labels: Array,
    subjects: NDArray[np.str_],
    log_odds: Array,
    components: int,
    draws: int,
    seed: int,
) -> float:
    """(1 + draws at least as extreme) / (1 + draws).

    Args:
        parents: features of each parent, (n, d) each. variable: (n, k).
        log_odds: (n,), held-out log-odds of the target given the parents.
        components: more parents' features than this are replaced by as many principal components.
    """
    joined = parents_design(parents) if parents else np.empty((len(labels), 0))
    given = reduce_features(joined, joined, components)[0] if parents else joined
    mixed = [products(parent, variable) for parent in parents]
    own = np.concatenate([standardised(variable), *mixed], 1)
    null = relabel(subjects, labels, log_odds, draws, seed)
    observed = gain(given, own, labels[None])[0]
    return float((1 + np.count_nonzero(gain(given, own, null) >= observed - 1e-9)) / (1 + draws))


def gain_p_value(given: Array, full: Array, labels: Array, subjects: NDArray[np.str_]) -> float:
    """One-sided t-test over subjects: does knowing the variable make held-out environments more likely?

    For log-odds whose null distribution cannot be drawn because refitting costs too much. What was learnt from other
    subjects cannot predict better than the truth, so the mean gain is not positive when the variable tells nothing.

    Args:
        given, full: (n,), held-out log-odds of the target given the parents, and given the variable too; the share of
            the target's cases is added to both.
    """
    prior = np.log(labels.sum() / (1 - labels).sum())
    sign = np.where(labels > 0.5, 1.0, -1.0)
    gains = np.logaddexp(0, -sign * (given + prior)) - np.logaddexp(0, -sign * (full + prior))
    _, index = np.unique(subjects, return_inverse=True)
    mean = np.bincount(index, gains) / np.bincount(index)
    error = mean.std(ddof=1) / np.sqrt(len(mean))
    return float(t.sf(mean.mean() / error, len(mean) - 1)) if error > 0 else 1.0


def holm(p_values: Array) -> Array:
    """Step-down adjusted p-values (Holm 1979)."""
    order = np.argsort(p_values)
    scaled = p_values[order] * (len(p_values) - np.arange(len(p_values)))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def judge(p_values: Array, level: float, quiet: float) -> list[Evidence]:
    """State of every mechanism."""

    def state(p: float, adjusted: float) -> State:
        return "shifted" if adjusted <= level else "not seen" if p > quiet else "uncertain"

    return [Evidence(float(p), float(q), state(p, q)) for p, q in zip(p_values, holm(p_values), strict=True)]
