"""Gain: a control."""

from __future__ import annotations

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import Array
from slicerxai.interventions.properties.base import ImageProperty
from slicerxai.interventions.property import Scan


class Gain(ImageProperty[None]):
    """x becomes x · 2 ^ value."""

    possible = (-8.0, 8.0)

    def __init__(self) -> None:
        super().__init__("gain")

    def prepare(self, scan: Scan) -> dict[str, None]:
        return dict.fromkeys(scan.images)

    def change(self, volume: Volume, image: Array, state: None, value: float) -> Array:
        return image * np.float32(2.0**value)
