"""A head of balls: white matter in a rim of grey matter, a ventricle, and round lesions, all of known size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slicerxai.data.volume import Volume

LEVELS = {"FLAIR": (100.0, 118.0, 20.0, 50.0), "T1": (300.0, 220.0, 70.0, -60.0)}
"""White matter, grey matter, fluid, and what a lesion adds."""
RADIUS_MM = 36.0
LESIONS = (((14.0, 0.0, 4.0), 6.0), ((-16.0, 6.0, -2.0), 4.0), ((2.0, 20.0, 0.0), 2.6))
"""Centre (mm from the middle) and radius (mm)."""


def toy_head(
    keys: Sequence[str] = ("FLAIR",),
    spacing: tuple[float, float, float] = (1.5, 1.5, 1.5),
    noise: float = 0.02,
    lesions: Sequence[tuple[tuple[float, float, float], float]] = LESIONS,
    seed: int = 0,
) -> tuple[dict[str, Volume], Volume]:
    """Images by modality, float32 and zero outside the head, and the mask of the lesions."""
    shape = tuple(int(2 * (RADIUS_MM + 4) / step) for step in spacing)
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True)]
    place = np.stack(np.meshgrid(*axes, indexing="ij"))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [axis[0] for axis in axes]

    def below(centre: Sequence[float], radius: float) -> np.ndarray:
        return radius - np.linalg.norm(place - np.reshape(centre, (3, 1, 1, 1)), axis=0)

    def soft(depth: np.ndarray) -> np.ndarray:
        return np.clip(0.5 + depth / max(spacing), 0, 1)

    head = below((0, 0, 0), RADIUS_MM) > 0
    grey = 1 - soft(below((0, 0, 0), RADIUS_MM - 5))
    fluid = soft(below((0, 0, 0), 6))
    lesion = np.max([soft(below(*one)) for one in lesions], axis=0) if lesions else np.zeros(shape)
    rng = np.random.default_rng(seed)
    images = {}
    for key in keys:
        white, cortex, water, added = LEVELS[key]
        signal = white * (1 - grey - fluid) + cortex * grey + water * fluid + added * lesion
        signal += noise * white * rng.standard_normal(shape)
        images[key] = Volume(np.where(head, np.maximum(signal, 1.0), 0).astype(np.float32), affine)
    return images, Volume((lesion >= 0.5).astype(np.uint8), affine)
