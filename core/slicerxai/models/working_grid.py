"""The grid on which a network works: canonical axes, chosen spacing, cropped to the foreground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

MOST_VOXELS = 200_000_000
"""A larger working grid is taken for a wrong spacing rather than a head."""

SAME_SPACING = 1e-3
"""Relative difference of spacing below which an image is cropped, not interpolated."""


@dataclass(frozen=True)
class WorkingGrid:
    """Shape (I, J, K) and affine (4, 4), index to RAS mm."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]


def canonical(volume: Volume) -> Volume:
    """The same voxels with axes permuted and flipped so that they point nearest to right, anterior and superior."""
    orientation = nib.orientations.io_orientation(volume.affine)
    array = nib.orientations.apply_orientation(volume.array, orientation)
    return Volume(array, volume.affine @ nib.orientations.inv_ornt_aff(orientation, volume.shape))


def working_grid(
    foreground: Volume, spacing: float, margin: int, at_least: Sequence[int], multiple: int = 1
) -> WorkingGrid:
    """Grid of isotropic spacing along the canonical axes of an image, around its foreground.

    An image that already has this spacing keeps its voxel centres, so nothing is interpolated.

    Args:
        foreground: boolean mask with at least one true voxel.
        spacing: mm.
        margin: voxels of this grid on each side of the foreground.
        at_least: least shape, voxels; the surplus goes evenly to both sides.
        multiple: shape is rounded up to a multiple of this.

    Raises:
        InputError: voxel sizes that are not positive, or a grid far larger than a head.
    """
    check_affine(foreground.affine)
    image = canonical(foreground)
    scale = spacing / np.array(image.spacing)
    scale = np.where(np.abs(scale - 1) < SAME_SPACING, 1.0, scale)
    inside = np.stack([np.flatnonzero(image.array.any(axis=axes))[[0, -1]] for axes in ((1, 2), (0, 2), (0, 1))])
    first, last = inside[:, 0] - 0.5, inside[:, 1] + 0.5
    tight = np.ceil((last - first) / scale - 1e-6) + 2 * margin
    wanted = np.maximum(tight, at_least)
    wanted = (np.ceil(wanted / multiple) * multiple).astype(int)
    if np.prod(wanted.astype(float)) > MOST_VOXELS:
        msg = (
            f"the image spans {' × '.join(f'{n * spacing:.0f}' for n in wanted)} mm, "
            f"over {MOST_VOXELS} voxels of {spacing:g} mm; check its voxel size {image.spacing}"
        )
        raise InputError(msg)
    before = margin + (wanted - tight) // 2
    start = first + (0.5 - before) * scale
    index = np.eye(4)
    index[:3, :3] = np.diag(scale)
    index[:3, 3] = np.where(scale == 1.0, np.round(start), start)
    i, j, k = (int(n) for n in wanted)
    return WorkingGrid((i, j, k), image.affine @ index)


def check_affine(affine: NDArray[np.float64]) -> None:
    """Raises `InputError` unless the affine is finite and invertible with positive voxel sizes."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or (spacing <= 0).any():
        msg = f"voxel sizes must be positive and finite, got {tuple(float(s) for s in spacing)} mm"
        raise InputError(msg)
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 1e-3:
        msg = f"the image's axes are not independent; its affine is {affine.tolist()}"
        raise InputError(msg)
