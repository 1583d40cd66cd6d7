"""How large an image may be: what a header announces is judged here before memory is taken for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from slicerxai.errors import InputError
from slicerxai.settings import settings

VOXEL_BYTES = 8
"""Bytes of the largest voxel that is read, a float64 or an int64."""

MAX_AXES = 8


class GridError(InputError):
    """A grid has no voxels, or more than this installation accepts."""


def voxel_limit() -> int:
    """Voxels that an image may have here (`SLICERXAI_VOXEL_LIMIT`)."""
    return settings().voxel_limit


def check_grid(shape: Sequence[int], dtype: DTypeLike, name: str = "image", limit: int | None = None) -> int:
    """Refuse a grid whose voxels should not be brought into memory.

    Args:
        shape: as announced; not to be trusted.
        dtype: of one voxel.
        name: what is spoken of in the message, such as a path.
        limit: most voxels; `voxel_limit()` when None.

    Returns:
        The bytes that the voxels take in memory.

    Raises:
        GridError: an axis is shorter than one voxel, or there are too many axes or voxels, or the voxels take more
            than `VOXEL_BYTES` times as many bytes as there may be voxels.
    """
    most = voxel_limit() if limit is None else limit
    if len(shape) > MAX_AXES or max(shape, default=0) > most:
        raise GridError(f"{name}: more than {MAX_AXES} axes, or an axis longer than the {most} voxels accepted in all")
    sizes = tuple(int(size) for size in shape)
    if min(sizes, default=0) < 1:
        raise GridError(f"{name}: an axis has no voxels, shape {sizes}")
    voxels = math.prod(sizes)
    size = voxels * np.dtype(dtype).itemsize
    if voxels > most or size > most * VOXEL_BYTES:
        raise GridError(
            f"{name}: shape {sizes} of {np.dtype(dtype)} takes {size / 2**30:.3g} GiB; accepted are at most {most}"
            f" voxels and {most * VOXEL_BYTES / 2**30:.3g} GiB (SLICERXAI_VOXEL_LIMIT)"
        )
    return size
