"""Smooth random fields on a lattice in millimetres, so that one draw looks the same at every voxel size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, int, int]


def _cubic_basis(length: int, spacing: float, scale: float, knots: int) -> Array:
    """Cubic B-spline weights, shape (length, knots), of voxels at `spacing` mm on knots `scale` mm apart."""
    distance = np.abs(np.arange(length)[:, None] * spacing / scale - (np.arange(knots)[None, :] - 1))
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, inner, outer).astype(np.float32)


def smooth_field(rng: np.random.Generator, shape: Shape, spacing: float, scale: float) -> Array:
    """A smooth Gaussian field of about unit standard deviation.

    Args:
        rng: one normal number is drawn for every knot of the lattice.
        shape: voxels (I, J, K).
        spacing: voxel size, mm.
        scale: distance of the knots, mm; structures are about twice as wide.
    """
    # counted in mm rounded up to 8, so that grids of the same extent and different voxel size draw the same knots
    knots = [int(np.ceil(np.ceil(n * spacing / 8) * 8 / scale)) + 4 for n in shape]
    field = rng.standard_normal(knots, dtype=np.float32)
    bases = [_cubic_basis(n, spacing, scale, k) for n, k in zip(shape, knots, strict=True)]
    # plain einsum, no BLAS: the same bits whatever the number of threads
    field = np.einsum("ai,ijk->ajk", bases[0], field)
    field = np.einsum("bj,ajk->abk", bases[1], field)
    field = np.einsum("ck,abk->abc", bases[2], field)
    return np.asarray(field / 0.33, dtype=np.float32)


def sigmoid(x: Array) -> Array:
    """Logistic function, safe for large arguments."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)), dtype=np.float32)
