"""Several tests at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError

Array = NDArray[np.float64]


def holm(p: Array) -> Array:
    """Adjusted p, (M,): reject where ≤ δ, and the chance of any false rejection is at most δ, whatever the dependence.

    (Holm, Scandinavian Journal of Statistics 1979.)
    """
    p = _probabilities(p)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return _returned(stepped, order)


def benjamini_hochberg(p: Array) -> Array:
    """Adjusted p, (M,): reject where ≤ δ, and at most a share δ of the rejections is expected to be false.

    For independent or positively dependent tests. (Benjamini and Hochberg, JRSS B 1995.)
    """
    p = _probabilities(p)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    return _returned(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _returned(adjusted: Array, order: NDArray[np.intp]) -> Array:
    found = np.empty_like(adjusted)
    found[order] = np.minimum(adjusted, 1)
    return found


def _probabilities(p: Array) -> Array:
    p = np.asarray(p, np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        msg = f"p values are a list of numbers in [0, 1]; got {p.tolist()}"
        raise InputError(msg)
    return p
