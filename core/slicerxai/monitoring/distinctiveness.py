"""Class distinctiveness: how different the maps of the classes are (Shu et al. 2024, INFORMER, equation 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slicerxai.errors import InputError

Array = NDArray[np.float64]


def cosine_distances(maps: ArrayLike) -> Array:
    """d_ij = 1 − S_i · S_j / (|S_i| |S_j|) between the maps of each image (equation 1).

    A map of zeros has no direction: its distance from every other map is 1, as scikit-learn has it.

    Args:
        maps: (B, L, ...), L ≥ 2 maps of each image, of any number of axes (channels and space are treated alike).

    Returns:
        (B, L, L), symmetric, in [0, 2], the diagonal 0.

    Raises:
        InputError: fewer than two classes, or values that are not finite.
    """
    array = np.asarray(maps)
    if array.ndim < 3 or array.shape[1] < 2:
        msg = f"distances need maps of shape (images, classes ≥ 2, ...), got {array.shape}"
        raise InputError(msg)
    flat = array.reshape(*array.shape[:2], -1).astype(np.float64)
    if not np.isfinite(flat).all():
        msg = "a map has values that are not finite"
        raise InputError(msg)
    largest = np.abs(flat).max(2, keepdims=True)
    flat /= np.where(largest > 0, largest, 1.0)
    norms = np.linalg.norm(flat, axis=2, keepdims=True)
    flat /= np.where(norms > 0, norms, 1.0)
    distances = np.clip(1.0 - flat @ flat.transpose(0, 2, 1), 0.0, 2.0)
    classes = np.arange(array.shape[1])
    distances[:, classes, classes] = 0.0
    return distances


def distinctiveness(distances: Array) -> Array:
    """d_i = Σ_{j≠i} d_ij, (B, L) from (B, L, L); in [0, 2 (L − 1)]. Low: the class's map resembles the others."""
    return distances.sum(2)


def nearest_distance(distances: Array) -> Array:
    """min_{j≠i} d_ij, (B, L) from (B, L, L); in [0, 2]. Low: some other class's map resembles this one."""
    others = np.array(distances)
    classes = np.arange(others.shape[1])
    others[:, classes, classes] = np.inf
    return np.asarray(others.min(2))
