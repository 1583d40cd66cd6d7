"""Contrast of lesions."""

from __future__ import annotations

import numpy as np

from slicerxai.interventions.acquisition import Array
from slicerxai.interventions.lesion_scene import LesionScene
from slicerxai.interventions.properties.lesion_base import LesionProperty
from slicerxai.interventions.property import Scan
from slicerxai.interventions.white_matter import Mask

DARKEST = 0.2
"""What gets darker ends here, as a share of white matter: about the signal of fluid."""


class LesionContrast(LesionProperty):
    """What lesions add to healthy tissue, times the value.

    At 0 they are replaced by tissue with its noise; above 1 what is added is free of noise: only the contrast grows.
    """

    possible = (0.0, 4.0)

    def __init__(self) -> None:
        super().__init__("lesion_contrast")

    def change(self, scan: Scan, scene: LesionScene, value: float) -> Array:
        if value < 1:
            return (value - 1) * scene.excess
        floor = np.minimum(0, DARKEST * scene.white.level - scene.images)
        return np.maximum((value - 1) * scene.smooth, floor)

    def mask(self, scan: Scan, scene: LesionScene, value: float) -> Mask:
        return (scene.labels > 0) & (value > 0)
