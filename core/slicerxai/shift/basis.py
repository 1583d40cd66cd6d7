"""Second-order terms for variables of few features.

A binary mask label that flips with a binary patient trait shifts only in their product; a linear model of either would
see nothing. With many features the products would cost more cases than they are worth, and none are made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST_PRODUCTS = 6
MOST_SQUARES = 3


def standardised(values: Array) -> Array:
    """Columns with mean 0 and SD 1; constant columns are 0."""
    spread = values.std(0)
    usable = spread > 1e-9 * np.maximum(1.0, np.abs(values.mean(0)))
    return np.where(usable, (values - values.mean(0)) / np.where(usable, spread, 1.0), 0.0)


def products(one: Array, other: Array) -> Array:
    """All products of a column of one with a column of the other, (n, k); none beyond `MOST_PRODUCTS`."""
    if one.shape[1] * other.shape[1] > MOST_PRODUCTS:
        return np.empty((len(one), 0))
    return (standardised(one)[:, :, None] * standardised(other)[:, None, :]).reshape(len(one), -1)


def parents_design(parents: list[Array]) -> Array:
    """Features of several parents side by side, with the products between different parents, (n, k)."""
    pairs = [products(a, b) for k, a in enumerate(parents) for b in parents[:k]]
    return np.concatenate([*parents, *pairs], 1)


def squares(values: Array) -> Array:
    """Squares of columns that are not binary, (n, k); none of more than `MOST_SQUARES` columns."""
    if values.shape[1] > MOST_SQUARES:
        return np.empty((len(values), 0))
    many = [column for column in range(values.shape[1]) if len(np.unique(values[:, column])) > 2]
    return standardised(values[:, many]) ** 2
