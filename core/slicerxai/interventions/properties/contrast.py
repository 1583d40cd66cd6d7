"""Contrast: the tone curve of the image."""

from __future__ import annotations

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import Array, head_median, tone_curve
from slicerxai.interventions.properties.base import ImageProperty
from slicerxai.interventions.property import Scan


class Contrast(ImageProperty[float]):
    """x becomes m · (x / m) ^ value with the median m of the head, in every image."""

    possible = (0.3, 3.0)

    def __init__(self) -> None:
        super().__init__("contrast")

    def prepare(self, scan: Scan) -> dict[str, float]:
        return {key: head_median(volume.array.astype(np.float32)) for key, volume in scan.images.items()}

    def change(self, volume: Volume, image: Array, state: float, value: float) -> Array:
        return tone_curve(image, state, value)
