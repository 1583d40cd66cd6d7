"""Discriminators between environments: held-out, calibrated log-odds of the target.

A discriminator is fitted on other subjects than it is asked about (cross-fitting by subject), and its scores are
calibrated on held-out folds only (Platt 1999).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from slicerxai.shift import logistic

Array = NDArray[np.float64]
Folds = NDArray[np.int64]
CALIBRATION_RIDGE = 0.5


class Discriminator(Protocol):
    """Tells the environments apart."""

    @property
    def refits(self) -> bool:
        """Whether it is cheap enough to be fitted again whenever subjects are drawn or left out."""
        ...

    def scores(self, train: Array, labels: Array, weights: Array, offset: Array, test: Array) -> Array:
        """Log-odds of the target of held-out cases, on top of a known part.

        Args:
            train: (m, d) features. labels: (m,), 1 for the target. weights: (B, m), one fit for each row.
            offset: (B, m), the known part of the training cases' log-odds, 0 for none.
            test: (k, d) features.

        Returns:
            (B, k) without the known part.
        """
        ...


@runtime_checkable
class CaseDiscriminator(Discriminator, Protocol):
    """One that looks at the cases themselves where a variable is an image, and at features elsewhere."""

    def sees(self, variables: tuple[str, ...]) -> bool:
        """Whether it has anything else than features of these variables."""
        ...

    def held_out(self, variables: tuple[str, ...], labels: Array, offset: Array, folds: Folds) -> Array:
        """Log-odds (n,) of the target of every case, on top of the offset (n,), each learnt from the other folds."""
        ...


@dataclass(frozen=True)
class LogisticDiscriminator:
    """Ridge-penalised logistic regression on standardised features.

    Attributes:
        ridge: penalty of the slopes, in cases.
        components: more features than this are replaced by as many principal components of the training cases.
    """

    ridge: float = 1.0
    components: int = 8
    refits: bool = True

    def scores(self, train: Array, labels: Array, weights: Array, offset: Array, test: Array) -> Array:
        fitted, asked = reduce_features(train, test, self.components)
        coefficients = logistic.fit(fitted, labels, weights, self.ridge, offset)
        return coefficients[:, :-1] @ asked.T + coefficients[:, -1:]


@dataclass(frozen=True)
class BoostedDiscriminator:
    """Gradient-boosted shallow trees (Friedman 2001) that start from the known part of the log-odds."""

    trees: int = 40
    depth: int = 2
    rate: float = 0.1
    seed: int = 0
    refits: bool = False

    def scores(self, train: Array, labels: Array, weights: Array, offset: Array, test: Array) -> Array:
        from sklearn.tree import DecisionTreeRegressor

        smallest = max(3, len(train) // 20)
        out = np.zeros((len(weights), len(test)))
        known = np.broadcast_to(offset, weights.shape)
        for row, (weight, start) in enumerate(zip(weights, known, strict=True)):
            used = weight > 0
            x, y, w = train[used], labels[used], weight[used]
            rng = np.random.default_rng(self.seed)
            base = logistic.fit(np.empty((len(x), 0)), y, w[None], 0.0, start[used])[0, 0]
            current = start[used] + base
            out[row] = base
            for _ in range(self.trees):
                drawn = w * (rng.random(len(x)) < 0.7)
                if np.count_nonzero(drawn) < 2 * smallest:
                    drawn = w
                probability = expit(current)
                tree = DecisionTreeRegressor(max_depth=self.depth, min_samples_leaf=smallest, random_state=0)
                tree.fit(x, y - probability, sample_weight=drawn)
                leaf = tree.apply(x)
                step = np.zeros(tree.tree_.node_count)
                gain = np.bincount(leaf, drawn * (y - probability), len(step))
                curve = np.bincount(leaf, drawn * probability * (1 - probability), len(step))
                step = self.rate * np.clip(gain / (curve + 1.0), -4, 4)
                current = current + step[leaf]
                out[row] += step[tree.apply(test)]
        return out


def reduce_features(train: Array, test: Array, components: int) -> tuple[Array, Array]:
    """Standardise by the training cases; more than `components` features become their leading principal components.

    Returns:
        (m, k), (n, k) with k <= components; a feature that is constant in training is 0.
    """
    mean, spread = train.mean(0), train.std(0)
    usable = spread > 1e-9 * np.maximum(1.0, np.abs(mean))
    scale = np.where(usable, spread, 1.0)
    fitted = np.where(usable, (train - mean) / scale, 0.0)
    asked = np.where(usable, (test - mean) / scale, 0.0)
    if train.shape[1] <= components:
        return fitted, asked
    _, _, axes = np.linalg.svd(fitted, full_matrices=False)
    axes = axes[:components].T
    fitted, asked = fitted @ axes, asked @ axes
    size = np.maximum(fitted.std(0).max(), 1e-9)
    return fitted / size, asked / size


def subject_folds(subjects: NDArray[np.str_], labels: Array, folds: int, seed: int) -> Folds:
    """Fold of every case, (n,): all cases of a subject in one, environments spread evenly.

    There are never more folds than subjects in the smaller environment.
    """
    rng = np.random.default_rng(seed)
    names, index = np.unique(subjects, return_inverse=True)
    share = np.bincount(index, labels) / np.bincount(index)
    count = min(folds, len(np.unique(subjects[labels == 0])), len(np.unique(subjects[labels == 1])))
    order = rng.permutation(len(names))
    order = order[np.argsort(share[order], kind="stable")]
    assigned = np.empty(len(names), np.int64)
    assigned[order] = np.arange(len(names)) % count
    return assigned[index]


def cross_fit(
    discriminator: Discriminator, features: Array, labels: Array, weights: Array, offset: Array, folds: Folds
) -> Array:
    """Held-out scores (B, n) of every case, without the offset.

    Args:
        features: (n, d); without columns, the score is an intercept. weights, offset: (B, n).
    """
    scores = np.empty(weights.shape)
    offset = np.broadcast_to(offset, weights.shape)
    for fold in np.unique(folds):
        out = folds == fold
        scores[:, out] = discriminator.scores(
            features[~out], labels[~out], weights[:, ~out], offset[:, ~out], features[out]
        )
    return scores


def calibrate(scores: Array, labels: Array, weights: Array, offset: Array, folds: Folds) -> Array:
    """Calibrated held-out scores (B, n): slope and intercept for a fold come from the other folds."""
    spread = np.maximum(scores.std(1, keepdims=True), 1e-9)
    centre = scores.mean(1, keepdims=True)
    unit = np.where(scores.std(1, keepdims=True) > 1e-7, (scores - centre) / spread, 0.0)
    offset = np.broadcast_to(offset, scores.shape)
    calibrated = np.empty(scores.shape)
    for fold in np.unique(folds):
        out = folds == fold
        slope, intercept = logistic.platt(
            unit[:, ~out], labels[~out], weights[:, ~out], offset[:, ~out], CALIBRATION_RIDGE
        )
        calibrated[:, out] = slope[:, None] * unit[:, out] + intercept[:, None]
    return calibrated


def prior_log_odds(labels: Array, weights: Array, folds: Folds) -> Array:
    """Log of target over source counts of the cases that each fold's model was fitted on, (B, n)."""
    prior = np.empty(weights.shape)
    for fold in np.unique(folds):
        out = folds == fold
        target = (weights[:, ~out] * labels[~out]).sum(1)
        source = (weights[:, ~out] * (1 - labels[~out])).sum(1)
        prior[:, out] = np.log(np.maximum(target, 0.5) / np.maximum(source, 0.5))[:, None]
    return prior


def auc(scores: Array, labels: Array) -> float:
    """Area under the ROC curve of (n,) scores, ties counted half (Mann-Whitney)."""
    positive = labels > 0.5
    n1, n0 = int(positive.sum()), int((~positive).sum())
    return float((rankdata(scores)[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
