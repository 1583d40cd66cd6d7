"""Intensity normalisation of skull-stripped images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError

SIGNAL = 4.0
"""Distance of no signal from the median in normalised units, where the interquartile range is a quarter of the median,
about as in FLAIR."""


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


def normalised(array: NDArray[np.float32], mask: NDArray[np.bool_], name: str) -> NDArray[np.float32]:
    """2 (x - median) / √(median · IQR) over the mask; zero outside it.

    Half way between two scales that each fail somewhere: the interquartile range follows a scanner's tone curve, but
    also how bright grey matter and fluid are, which says nothing about lesions; the median follows neither.

    Args:
        array: shape (I, J, K).
        mask: same shape, at least one true voxel.
        name: the modality, for messages.

    Raises:
        InputError: the median is not positive, or the middle half of the voxels is constant.
    """
    low, median, high = np.percentile(array[mask], (25, 50, 75))
    if not high > low:
        msg = f"{name} has no contrast: its middle half of voxels all have the value {median:g}"
        raise InputError(msg)
    if not median > 0:
        msg = (
            f"{name} has a median of {median:g} in the brain; intensities as scanners store them, above 0, are accepted"
        )
        raise InputError(msg)
    values = array - np.float32(median)
    values *= np.float32(2 / np.sqrt(median * (high - low)))
    values[~mask] = 0
    return values
