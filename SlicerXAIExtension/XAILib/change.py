"""Where the change of a counterfactual lies. Arrays are indexed (i, j, k); affines map such an index to RAS mm."""

from __future__ import annotations

from typing import Any

import numpy as np

from .geometry import values_at

Array = Any
"""`numpy.ndarray`; Slicer versions differ in what NumPy's own types say."""


def share_inside(change: Array, affine: Array, labels: Array, label_affine: Array) -> float | None:
    """Share of a change's summed magnitude that lies inside a segment.

    Args:
        change: what was added to the image.
        affine: (4, 4), of `change`.
        labels: 0 outside of the segment, on any grid; a voxel of the change lies inside when its centre does.
        label_affine: (4, 4), of `labels`.

    Returns:
        A number in [0, 1]; None when nothing was changed.
    """
    places = np.argwhere(change)
    if not len(places):
        return None
    magnitude = np.abs(change[tuple(places.T)].astype(np.float64))
    index = np.linalg.inv(np.asarray(label_affine, float)) @ np.asarray(affine, float)
    inside = values_at(labels, index[:3, :3] @ places.T + index[:3, 3:]) != 0
    return float(magnitude[inside].sum() / magnitude.sum())


def largest(change: Array, affine: Array) -> tuple[float, float, float] | None:
    """R, A, S in mm of the voxel that changed most; None when nothing was changed."""
    magnitude = np.abs(change)
    if not magnitude.any():
        return None
    index = np.unravel_index(int(magnitude.argmax()), magnitude.shape)
    place = np.asarray(affine, float) @ (*index, 1.0)
    return float(place[0]), float(place[1]), float(place[2])
