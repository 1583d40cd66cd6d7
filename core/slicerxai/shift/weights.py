"""Importance weights of coalitions of mechanisms.

w_I = product over i in I of the mechanisms' density ratios; the product is truncated, never its factors
(Ionides 2008), and weights are normalised once, where they are used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def memberships(mechanisms: int) -> NDArray[np.bool_]:
    """(2**n, n): whether mechanism i belongs to coalition I, whose number has bit i set."""
    return (np.arange(2**mechanisms)[:, None] >> np.arange(mechanisms)) & 1 == 1


def product(log_ratios: Array, coalitions: NDArray[np.bool_]) -> Array:
    """Weights of coalitions before truncation.

    Args:
        log_ratios: (..., mechanisms, n). coalitions: (C, mechanisms).

    Returns:
        (..., C, n).
    """
    return np.exp(np.clip(coalitions.astype(np.float64) @ log_ratios, -50.0, 50.0))


def truncate(weights: Array, largest: float) -> Array:
    """Weights of at most `largest`."""
    return np.minimum(weights, largest)


def default_limit(cases: int) -> float:
    """√n, which lets the bias of truncation vanish with the variance (Ionides 2008)."""
    return float(np.sqrt(cases))


def effective_sample_size(weights: Array) -> Array:
    """(Σw)² / Σw² over the last axis (Kish 1965); 0 where all weights are 0."""
    squares = (weights**2).sum(-1)
    return np.where(squares > 0, weights.sum(-1) ** 2 / np.where(squares > 0, squares, 1.0), 0.0)


def clipped_share(weights: Array, largest: float) -> Array:
    """Share of weights above `largest`, over the last axis."""
    return (weights > largest).mean(-1)
