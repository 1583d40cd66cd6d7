"""Size of lesions."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from slicerxai.interventions.acquisition import Array
from slicerxai.interventions.lesion_scene import LesionScene
from slicerxai.interventions.properties.lesion_base import LesionProperty, kept_share
from slicerxai.interventions.property import Scan
from slicerxai.interventions.white_matter import Mask

STEP_MM = 0.5
"""Of the way along which excess is carried outwards."""


class LesionSize(LesionProperty):
    """The edge of every lesion moves.

    Inwards the excess fades from the edge on; outwards it is carried along the way out of the lesion, never into fluid.
    """

    possible = (-10.0, 6.0)

    def __init__(self) -> None:
        super().__init__("lesion_size")

    def change(self, scan: Scan, scene: LesionScene, value: float) -> Array:
        if value < 0:
            return scene.excess * (kept_share(scene, -value) - 1)
        return carried(scene, value)

    def mask(self, scan: Scan, scene: LesionScene, value: float) -> Mask:
        moved = scene.depth + value > 0
        return moved & (scene.labels > 0) if value <= 0 else moved & ((scene.tissue > 0.5) | (scene.labels > 0))


def carried(scene: LesionScene, growth: float) -> Array:
    """Change of the images when lesions grow, (C, I, J, K).

    Every voxel takes the excess of the place `growth` mm farther inside, or of the middle of the lesion where that is
    nearer.
    """
    zone = np.flatnonzero(scene.depth > -(growth + 5.0))
    shape = scene.depth.shape
    spacing = np.asarray(scene.spacing)[:, None]
    smooth = ndimage.gaussian_filter(np.clip(scene.depth, -(growth + 8), None), [0.8 / size for size in scene.spacing])
    inwards = np.stack(np.gradient(smooth, *scene.spacing))
    place = np.stack(np.unravel_index(zone, shape)).astype(np.float64)
    steps = max(1, int(np.ceil(growth / STEP_MM)))
    for _ in range(steps):
        direction = np.stack([ndimage.map_coordinates(one, place, order=1, mode="nearest") for one in inwards])
        place += growth / steps * direction / np.maximum(np.linalg.norm(direction, axis=0), 0.5) / spacing
    change = np.zeros_like(scene.smooth)
    tissue = scene.tissue.ravel()[zone]
    for channel, target in zip(scene.smooth, change, strict=True):
        taken = ndimage.map_coordinates(channel, place, order=1, mode="nearest")
        target.ravel()[zone] = tissue * (taken - channel.ravel()[zone])
    return change
