"""Intensity normalisation of skull-stripped images: robust, so that lesions and artefacts do not move the scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError

NORMAL_QUARTILE_RANGE = 1.349
"""Interquartile range of the standard normal distribution."""


def foreground(array: NDArray[np.generic], name: str) -> NDArray[np.bool_]:
    """Voxels of the head or brain: those that are not exactly zero.

    Args:
        array: shape (I, J, K).
        name: the modality, for messages.

    Returns:
        Boolean array of the same shape with at least one true voxel.

    Raises:
        InputError: NaN or infinite values, complex or other non-real values, or no voxel other than zero.
    """
    if array.dtype.kind not in "biuf":
        msg = f"{name} holds values of type {array.dtype}; real numbers are accepted"
        raise InputError(msg)
    if not np.isfinite(array).all():
        msg = f"{name} contains NaN or infinite values; all voxels must be finite numbers"
        raise InputError(msg)
    mask = array != 0
    if not mask.any():
        msg = f"{name} is empty: every voxel is zero"
        raise InputError(msg)
    return mask


def robust_zscore(array: NDArray[np.float32], mask: NDArray[np.bool_], name: str) -> NDArray[np.float32]:
    """(x - median) / (interquartile range / 1.349) over the mask; zero outside it.

    For a normal distribution this is the z-score. Lesions, vessels and CSF, each under a quarter of the voxels, hardly
    move it.

    Args:
        array: shape (I, J, K).
        mask: same shape, at least one true voxel.
        name: the modality, for messages.

    Raises:
        InputError: the middle half of the voxels is constant, so that there is no scale.
    """
    values = array[mask]
    low, median, high = np.percentile(values, (25, 50, 75))
    scale = (high - low) / NORMAL_QUARTILE_RANGE
    if not scale > 0:
        msg = f"{name} has no contrast: its middle half of voxels all have the value {median:g}"
        raise InputError(msg)
    return np.where(mask, (array - np.float32(median)) / np.float32(scale), np.float32(0)).astype(np.float32)
