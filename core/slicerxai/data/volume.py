"""A 3D image with its place in the world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Volume:
    """Voxels and the affine that places them.

    Attributes:
        array: shape (I, J, K), indexed as nibabel does: the first axis is the file's fastest one.
        affine: shape (4, 4) float64, voxel index (i, j, k, 1) to RAS+ world coordinates in mm.
    """

    array: NDArray[np.generic]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            msg = f"a volume has 3 dimensions, got shape {self.array.shape}"
            raise ValueError(msg)
        affine = np.asarray(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            msg = f"an affine has shape (4, 4), got {affine.shape}"
            raise ValueError(msg)
        object.__setattr__(self, "affine", affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        i, j, k = self.array.shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size along each array axis, mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel, mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def with_array(self, array: NDArray[np.generic]) -> Volume:
        """Another array of the same shape on the same grid."""
        if array.shape != self.array.shape:
            msg = f"expected shape {self.array.shape}, got {array.shape}"
            raise ValueError(msg)
        return Volume(array, self.affine)
