"""Tiny heads with a bright ball, and the size of a generator that learns them in seconds."""

from __future__ import annotations

import numpy as np

from slicerxai.data.volume import Volume

TINY = {
    "spacing": 4.0,
    "shape": (16, 16),
    "unshuffle": 2,
    "width": 16,
    "multipliers": (1, 2),
    "batch": 16,
    "learning_rate": 4e-3,
    "precision": "float32",
}
SHAPE, SPACING = (14, 14, 8), 4.0


def head(seed: int, radius: float) -> tuple[Volume, Volume]:
    """An ellipsoid of about 100 on zero background; a ball of 200 with this radius, voxels, in its middle; its mask."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in SHAPE], indexing="ij"))
    inside = ((grid / (np.array(SHAPE) / 2)[:, None, None, None]) ** 2).sum(0) < 1
    ball = ((grid - np.array([1.5, 0.5, 0.0])[:, None, None, None]) ** 2).sum(0) < radius**2
    image = np.where(inside, 100 + 15 * rng.standard_normal(SHAPE) + 100 * ball, 0).clip(0)
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = (-20.0, 10.0, 5.0)
    return Volume(image.astype(np.float32), affine), Volume((ball & inside).astype(np.uint8), affine)
