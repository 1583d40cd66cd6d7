"""How good multi-label predictions are, and how good a suspicion is at finding the wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import f1_score, recall_score, roc_auc_score

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
LEVEL = 0.95


@dataclass(frozen=True)
class ClassScores:
    """Quality of each class's predictions, all (L,).

    Attributes:
        f1: 0 where the class neither occurs nor is predicted.
        sensitivity, specificity: NaN where the class never occurs, or always does.
    """

    f1: Array
    sensitivity: Array
    specificity: Array


def class_scores(predicted: Flags, truth: Flags) -> ClassScores:
    """Of predictions (N, L)."""
    found = [
        (
            f1_score(truth[:, c], predicted[:, c], zero_division=0),
            recall_score(truth[:, c], predicted[:, c], zero_division=np.nan),
            recall_score(~truth[:, c], ~predicted[:, c], zero_division=np.nan),
        )
        for c in range(truth.shape[1])
    ]
    return ClassScores(*np.array(found, np.float64).T)


def mean_f1(predicted: Flags, truth: Flags) -> float:
    """F1 averaged over classes, in [0, 1]."""
    both = predicted.sum(0) + truth.sum(0)
    return float(np.mean(2 * (predicted & truth).sum(0) / np.maximum(both, 1)))


def bootstrap_f1(
    predictions: Mapping[str, Flags],
    truth: Flags,
    *,
    draws: int = 30,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> dict[str, Array]:
    """Mean F1 of several sets of predictions on the same resampled test sets, (draws,) each.

    Args:
        groups: subject of each image: whole subjects are drawn. By default images are, as published.
    """
    generator = np.random.default_rng(seed)
    _, place = np.unique(np.arange(len(truth)) if groups is None else np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(place == group) for group in range(int(place.max()) + 1)]
    samples = [
        np.concatenate([members[m] for m in generator.integers(len(members), size=len(members))]) for _ in range(draws)
    ]
    return {name: np.array([mean_f1(p[s], truth[s]) for s in samples]) for name, p in predictions.items()}


@dataclass(frozen=True)
class Comparison:
    """Mean difference over bootstrapped test sets, the paired t-test's p, and the percentile interval at 95 %."""

    difference: float
    p: float
    low: float
    high: float


def compare(one: Array, other: Array) -> Comparison:
    """`one` minus `other`, on the same draws.

    The paired t-test is the published one, and its p is too small: draws from one test set are not independent
    samples of test sets, and p falls without bound as they are added, whatever the test set's size. The percentile
    interval of the difference does not have that fault; believe it where the two disagree. p is 1 where no draw
    differs.
    """
    differences = one - other
    low, high = np.percentile(differences, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    constant = np.ptp(differences) == 0
    p = float(differences[0] == 0) if constant else float(stats.ttest_rel(one, other).pvalue)
    return Comparison(float(differences.mean()), p, float(low), float(high))


def error_auroc(suspicion: Array, wrong: Flags) -> float:
    """Chance that a wrong prediction is more suspicious than a right one; NaN where all or none are wrong."""
    if wrong.all() or not wrong.any():
        return float("nan")
    return float(roc_auc_score(wrong.ravel(), suspicion.ravel()))


def risk_coverage(suspicion: Array, wrong: Flags) -> tuple[Array, Array]:
    """Share of predictions kept, least suspicious first, and the share of wrong ones among them (Geifman and El-Yaniv
    2017, arXiv:1705.08500), (M,) each. Predictions that are equally suspicious share their errors evenly.
    """
    order = np.argsort(suspicion.ravel(), kind="stable")
    values, errors = suspicion.ravel()[order], wrong.ravel()[order].astype(np.float64)
    _, place = np.unique(values, return_inverse=True)
    even = (np.bincount(place, errors) / np.bincount(place))[place]
    kept = np.arange(1, len(values) + 1)
    return kept / len(values), np.cumsum(even) / kept


def aurc(suspicion: Array, wrong: Flags) -> float:
    """Area under the risk–coverage curve: mean error over all coverages; the error rate if suspicion is noise."""
    return float(risk_coverage(suspicion, wrong)[1].mean())


def calibration_error(chance: Array, happened: Flags, bins: int = 10) -> float:
    """Expected calibration error: |mean chance − share| over equal-width bins, weighted by their counts; in [0, 1]."""
    place = np.minimum((chance.ravel() * bins).astype(int), bins - 1)
    gap = np.bincount(place, chance.ravel() - happened.ravel(), bins)
    return float(np.abs(gap).sum() / chance.size)
