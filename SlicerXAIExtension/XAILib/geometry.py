"""Volumes in physical space. Arrays are indexed (i, j, k); affines map such an index to RAS mm."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
"""`numpy.ndarray`; Slicer versions differ in what NumPy's own types say."""


def resample(array: Array, affine: Array, shape: tuple[int, int, int], to_affine: Array, order: int = 1) -> Array:
    """The volume's value at the world position of every voxel of another grid.

    Args:
        array: any orientation, spacing and handedness.
        affine: (4, 4), of `array`.
        shape, to_affine: the target grid.
        order: 0 nearest (labels), 1 linear.

    Returns:
        Array of `shape` in the type of `array`. 0 outside the volume, that is beyond the outer faces of its voxels;
        between the outermost voxel centres and these faces the nearest value holds. Integers are rounded to the nearest
        after interpolation. The same grid gives the same values.

    Raises:
        ValueError: not a volume, or an order or affine that cannot be used.
    """
    array, affine, to_affine = np.asarray(array), np.asarray(affine, float), np.asarray(to_affine, float)
    if array.ndim != 3 or 0 in array.shape:
        msg = f"array has shape {array.shape}; a volume with voxels is accepted"
        raise ValueError(msg)
    if order not in (0, 1):
        msg = f"order {order}; 0 (nearest) and 1 (linear) are accepted"
        raise ValueError(msg)
    if not (np.isfinite(affine).all() and np.isfinite(to_affine).all()):
        msg = "an affine is not finite"
        raise ValueError(msg)
    if array.shape == tuple(shape) and np.array_equal(affine, to_affine):
        return array.copy()
    index = np.linalg.inv(affine) @ to_affine
    moved = np.zeros(shape, dtype=array.dtype)
    plane = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")).reshape(2, -1)
    across = index[:3, 1:3] @ plane + index[:3, 3:]
    for i in range(shape[0]):  # one plane after the other, so that no array of all positions is needed
        moved[i] = _sampled(array, across + index[:3, :1] * i, order).reshape(shape[1:])
    return moved


def values_at(array: Array, places: Array) -> Array:
    """The value of the nearest voxel at `places` (3, N) in voxels, 0 outside the volume."""
    return _sampled(np.asarray(array), np.asarray(places, float), 0)


def _sampled(array: Array, places: Array, order: int) -> Array:
    """Values at `places` (3, N) in voxels, 0 outside."""
    last = np.array(array.shape)[:, None] - 1
    nearest = np.floor(places + 0.5).astype(np.int64)
    inside = ((nearest >= 0) & (nearest <= last)).all(axis=0)
    values = np.zeros(places.shape[1], dtype=array.dtype)
    if order == 0:
        values[inside] = array[tuple(nearest[:, inside])]
        return values
    within = np.clip(places[:, inside], 0, last)
    low = np.minimum(within.astype(np.int64), np.maximum(last - 1, 0))
    share = within - low
    total = np.zeros(within.shape[1])
    for corner in np.ndindex(2, 2, 2):
        step = np.array(corner)[:, None]
        weight = np.where(step == 1, share, 1 - share).prod(axis=0)
        total += weight * array[tuple(np.minimum(low + step, last))]
    values[inside] = total if array.dtype.kind == "f" else _rounded(total, array.dtype)
    return values


def _rounded(values: Array, dtype: Any) -> Array:
    if dtype == np.bool_:
        return np.rint(values) > 0
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max)


def lesion_at(labels: Array, affine: Array, point: Any, reach_mm: float = 10.0) -> int | None:
    """Label of the voxel, of those that are not 0, whose centre is nearest to a point; None when none is in reach.

    Args:
        labels: whole numbers, 0 for none.
        point: R, A, S in mm.
        reach_mm: the farthest that the voxel's centre may be.
    """
    labels, affine, place = np.asarray(labels), np.asarray(affine, float), np.asarray(point, float)
    # only the box of voxels around the sphere is looked at: a whole brain would take a while at every click
    reach = np.linalg.norm(np.linalg.inv(affine)[:3, :3], axis=1) * reach_mm
    centre = np.linalg.solve(affine, np.append(place, 1.0))[:3]
    low = np.clip(np.floor(centre - reach), 0, labels.shape).astype(int)
    high = np.clip(np.ceil(centre + reach) + 1, 0, labels.shape).astype(int)
    box = labels[tuple(slice(start, end) for start, end in zip(low, high))]
    found = np.argwhere(box) + low
    if not len(found):
        return None
    distances = np.linalg.norm(found @ affine[:3, :3].T + affine[:3, 3] - place, axis=1)
    nearest = int(distances.argmin())
    return int(labels[tuple(found[nearest])]) if distances[nearest] <= reach_mm else None
