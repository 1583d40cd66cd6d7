r"""Importance weighting of the source's cases, the estimator of the paper.

.. math:: v(I) = \frac{\sum_j w_I(z_j)\, M(z_j)}{\sum_j w_I(z_j)}, \qquad w_I = \prod_{i \in I} r_i .
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.shift.estimators.game import Members, Overlap
from slicerxai.shift.ratios import RatioModel
from slicerxai.shift.weights import (
    clipped_share,
    effective_sample_size,
    memberships,
    product,
    truncate,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WeightingGame:
    """Values of coalitions from reweighted source cases.

    Attributes:
        limit: largest weight; infinity for no truncation, as in the paper.
    """

    ratios: RatioModel
    limit: float

    def values(self, weights: Array, coalitions: Members | None = None) -> Array:
        metric = self.ratios.pair.source.metric
        return weighted_values(self._log_ratios(weights), metric, weights[:, : len(metric)], self.limit, coalitions)

    def overlap(self, coalitions: Members | None = None) -> Overlap:
        n = len(self.ratios.pair.source)
        coalitions = memberships(len(self.ratios.graph)) if coalitions is None else coalitions
        raw = product(self._log_ratios(np.ones((1, len(self.ratios.pair.labels))))[0], coalitions)
        share = effective_sample_size(truncate(raw, self.limit)) / n
        return Overlap(share, np.full(len(raw), n), clipped_share(raw, self.limit), coalitions)

    def _log_ratios(self, weights: Array) -> Array:
        """Of the source's cases, (B, mechanisms, n)."""
        return self.ratios.log_ratios(weights)[:, :, : len(self.ratios.pair.source)]


def weighted_values(
    log_ratios: Array, metric: Array, weights: Array, limit: float, coalitions: Members | None = None
) -> Array:
    """Self-normalised weighted means for coalitions.

    Args:
        log_ratios: (B, mechanisms, n), or (mechanisms, n) when they do not depend on the draw. metric: (n,).
        weights: (B, n), case weights of the draws. limit: largest importance weight.
        coalitions: (C, mechanisms); None for all 2**mechanisms.

    Returns:
        (B, C). Memory grows with B x C; coalitions are done in blocks.
    """
    coalitions = memberships(log_ratios.shape[-2]) if coalitions is None else coalitions
    out = np.empty((len(weights), len(coalitions)))
    for start in range(0, len(coalitions), 256):
        block = slice(start, start + 256)
        importance = truncate(product(log_ratios, coalitions[block]), limit)
        if importance.ndim == 2:
            total = weights @ importance.T
            out[:, block] = (weights * metric) @ importance.T / total
        else:
            total = np.einsum("bn,bcn->bc", weights, importance)
            out[:, block] = np.einsum("bn,bcn->bc", weights * metric, importance) / total
    return out
