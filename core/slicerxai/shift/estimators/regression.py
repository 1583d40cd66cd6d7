"""Ridge regression of the metric on the cases' features, one model for both environments.

m = a + b x + e (c + d x) with e = -1/2 in the source and +1/2 in the target. The shift c of the level is free, the
slopes b are penalised, and the differences d between the environments' slopes more so: with 15 cases an environment
cannot afford slopes of its own, with hundreds it gets them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from slicerxai.shift.discriminators import Folds

Array = NDArray[np.float64]
DIFFERENCE = 4.0
"""How much harder differing slopes are penalised than common ones."""
GRID = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True)
class PooledRidge:
    """Fitted for any weighting of the cases.

    Attributes:
        features: (n, d), about standardised. labels: (n,), environment of every case.
        ridge: penalty of the common slopes, in cases.
    """

    features: Array
    labels: Array
    ridge: float

    def predict(self, response: Array, weights: Array, train: NDArray[np.bool_]) -> Array:
        """Expected response of every case, were it of the source and were it of the target.

        Args:
            response: (B, n) or (n,). weights: (B, n). train: (n,), the cases to fit on.

        Returns:
            (B, 2, n).
        """
        fit = self.fitted(weights, train)
        return np.stack([fit.predict(response, environment) for environment in (0, 1)], 1)

    def fitted(self, weights: Array, train: NDArray[np.bool_]) -> PooledFit:
        """What all responses share. Arguments as for `predict`."""
        design = _design(self.features, self.labels)[train]
        return PooledFit(self._either, train, design, weights[:, train], self._gram(design, weights[:, train]))

    def _gram(self, design: Array, weights: Array) -> Array:
        size = design.shape[1]
        outer = (design[:, :, None] * design[:, None, :]).reshape(len(design), size * size)
        gram = (weights @ outer).reshape(len(weights), size, size)
        gram[:, np.arange(size), np.arange(size)] += self._penalty()
        return gram

    @cached_property
    def _either(self) -> tuple[Array, Array]:
        """The designs of all cases, were they of the source and were they of the target."""
        n = len(self.labels)
        return _design(self.features, np.zeros(n)), _design(self.features, np.ones(n))

    def _penalty(self) -> Array:
        d = self.features.shape[1]
        return np.concatenate([[1e-6, 1e-2], np.full(d, self.ridge), np.full(d, DIFFERENCE * self.ridge)])


@dataclass(frozen=True)
class PooledFit:
    """The regression of any response under one weighting of some training cases.

    Attributes:
        either: designs of all cases in the source and in the target, (n, k) each.
        train: (n,). design: (m, k) and weights: (B, m) of the training cases.
        gram: (B, k, k), with the penalty.
    """

    either: tuple[Array, Array]
    train: NDArray[np.bool_]
    design: Array
    weights: Array
    gram: Array

    def predict(self, response: Array, environment: int) -> Array:
        """Expected response (B, n) of every case, were it of the environment; response: (B, n) or (n,)."""
        moment = (self.weights * response[..., self.train]) @ self.design
        coefficients = np.linalg.solve(self.gram, moment[:, :, None])[:, :, 0]
        return np.asarray(coefficients @ self.either[environment].T)


def _design(features: Array, labels: Array) -> Array:
    sign = (labels - 0.5)[:, None]
    return np.concatenate([np.ones_like(sign), sign, features, sign * features], 1)


def choose_ridge(features: Array, labels: Array, response: Array, folds: Folds) -> float:
    """The penalty of `GRID` with the least squared error on held-out folds."""
    ones = np.ones((1, len(response)))
    errors = []
    for ridge in GRID:
        model = PooledRidge(features, labels, ridge)
        error = 0.0
        for fold in np.unique(folds):
            out = folds == fold
            both = model.predict(response, ones, ~out)[0]
            error += float(((np.where(labels > 0.5, both[1], both[0]) - response)[out] ** 2).sum())
        errors.append(error)
    return GRID[int(np.argmin(errors))]
