"""Move a volume onto another grid, in world coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.volume import Volume


def largest_shift(one: NDArray[np.float64], other: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """The farthest, in mm, that two affines place the same voxel of a grid of this shape apart; found at a corner."""
    corners = np.stack(np.meshgrid(*([0, size - 1] for size in shape), [1], indexing="ij")).reshape(4, -1)
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())


def same_grid(
    volume: Volume, affine: NDArray[np.float64], shape: tuple[int, int, int], within_mm: float = 1e-3
) -> bool:
    """Whether the volume lies on this grid: equal shape, and no voxel displaced by more than `within_mm`."""
    return volume.shape == tuple(shape) and largest_shift(volume.affine, affine, shape) <= within_mm


def resample(
    volume: Volume, affine: NDArray[np.float64], shape: tuple[int, int, int], order: int = 1, fill: float = 0.0
) -> Volume:
    """The volume's value at the world position of every voxel of the target grid.

    Args:
        volume: any orientation, spacing and handedness.
        affine: (4, 4), index on the target grid to RAS mm.
        shape: of the target grid.
        order: 0 nearest (labels), 1 linear, up to 5 (splines).
        fill: value outside the volume, that is beyond the outer faces of its voxels; between the outermost voxel
            centres and these faces the nearest value holds.

    Returns:
        The target grid, in the voxel type of `volume`; order 0 and identical grids keep values exactly. Integers are
        rounded to the nearest after interpolation.
    """
    affine = np.asarray(affine, dtype=np.float64)
    if same_grid(volume, affine, shape, within_mm=0.0):
        return volume
    index = np.linalg.inv(volume.affine) @ affine
    working = volume.array
    if order > 0 and working.dtype.kind != "f":
        working = working.astype(np.float64)
    moved = _sampled(working.astype(np.uint8) if working.dtype == np.bool_ else working, index, shape, order, "nearest")
    if not _covers(volume.shape, index, shape):
        inside = _sampled(np.ones(volume.shape, dtype=np.uint8), index, shape, 0, "grid-constant")
        moved = np.where(inside, moved, np.asarray(fill, dtype=moved.dtype))
    if volume.array.dtype.kind in "iu" and order > 0:
        limits = np.iinfo(volume.array.dtype)  # type: ignore[type-var]
        moved = np.clip(np.rint(moved), limits.min, limits.max)
    return Volume(moved.astype(volume.array.dtype, copy=False), affine)


def _sampled(
    array: NDArray[np.generic], index: NDArray[np.float64], shape: tuple[int, int, int], order: int, mode: str
) -> NDArray[np.generic]:
    """Values at `index` times the target's voxel index."""
    return ndimage.affine_transform(
        array, index[:3, :3], index[:3, 3], output_shape=tuple(shape), order=order, mode=mode, cval=0.0
    )


def _covers(shape: tuple[int, int, int], index: NDArray[np.float64], target: tuple[int, int, int]) -> bool:
    """Whether no voxel centre of the target lies outside the volume; the outermost are its corners."""
    corners = np.stack(np.meshgrid(*([0, size - 1] for size in target), [1], indexing="ij")).reshape(4, -1)
    places = (index @ corners)[:3]
    return bool((places >= -0.5).all() and (places <= np.asarray(shape)[:, None] - 0.5).all())


def resample_like(volume: Volume, reference: Volume, order: int = 1, fill: float = 0.0) -> Volume:
    """`resample` onto the grid of another volume."""
    return resample(volume, reference.affine, reference.shape, order, fill)
