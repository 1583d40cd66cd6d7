"""Ridge regression of the metric on the cases' features, one model for both environments.

m = a + b x + e (c + d x) with e = -1/2 in the source and +1/2 in the target. The shift c of the level is free, the
slopes b are penalised, and the differences d between the environments' slopes more so: with 15 cases an environment
cannot afford slopes of its own, with hundreds it gets them.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        design = self._design(self.labels)
        fitted = design[train]
        used = weights[:, train]
        size = design.shape[1]
        outer = (fitted[:, :, None] * fitted[:, None, :]).reshape(len(fitted), size * size)
        gram = (used @ outer).reshape(len(used), size, size)
        gram[:, np.arange(size), np.arange(size)] += self._penalty()
        moment = (used * np.broadcast_to(response, weights.shape)[:, train]) @ fitted
        coefficients = np.linalg.solve(gram, moment[:, :, None])[:, :, 0]
        either = [coefficients @ self._design(np.full(len(self.labels), e)).T for e in (0.0, 1.0)]
        return np.stack(either, 1)

    def _design(self, labels: Array) -> Array:
        sign = (labels - 0.5)[:, None]
        return np.concatenate([np.ones_like(sign), sign, self.features, sign * self.features], 1)

    def _penalty(self) -> Array:
        d = self.features.shape[1]
        return np.concatenate([[1e-6, 1e-2], np.full(d, self.ridge), np.full(d, DIFFERENCE * self.ridge)])


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
