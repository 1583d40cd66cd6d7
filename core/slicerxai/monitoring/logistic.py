"""The chance that a prediction is wrong, by a small logistic regression whose coefficients are plain numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, logit

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
INVERSE_PENALTY = 1.0
"""Of the squared slopes, with features of unit spread."""


class Logistic(BaseModel):
    """P(wrong) = σ(intercept + Σ weight (x − centre) / scale)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float

    def probability(self, features: Array) -> Array:
        """(N,) in (0, 1) from (N, F)."""
        standard = (features - np.array(self.centre)) / np.array(self.scale)
        return np.asarray(expit(standard @ np.array(self.weights) + self.intercept))


def fit_logistic(features: Array, wrong: Flags, *, rising: int | None = None) -> Logistic:
    """Fit with a ridge penalty.

    Where no case is wrong, or all are, the chance is a constant, half a case away from 0 or 1.

    Args:
        features: (N, F). wrong: (N,).
        rising: column whose weight must not be negative: it is left out (weight 0) where it would be.
    """
    centre, spread = features.mean(0), features.std(0)
    scale = np.where(spread > 1e-12, spread, 1.0)
    standard = (features - centre) / scale
    used = np.ones(features.shape[1], bool)
    weights, intercept = _solve(standard, wrong, used)
    if rising is not None and weights[rising] < 0:
        used[rising] = False
        weights, intercept = _solve(standard, wrong, used)
    return Logistic(
        centre=tuple(centre.tolist()), scale=tuple(scale.tolist()), weights=tuple(weights.tolist()), intercept=intercept
    )


def _solve(standard: Array, wrong: Flags, used: Flags) -> tuple[Array, float]:
    weights = np.zeros(standard.shape[1])
    if wrong.all() or not wrong.any() or not used.any():
        return weights, float(logit((wrong.sum() + 0.5) / (len(wrong) + 1)))
    from sklearn.linear_model import LogisticRegression  # takes long to import; judging by a fitted one needs none

    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(standard[:, used], wrong)
    weights[used] = model.coef_[0]
    return weights, float(model.intercept_[0])
