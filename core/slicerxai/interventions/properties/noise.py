"""Noise."""

from __future__ import annotations

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import Array, head_median, rician, white_noise
from slicerxai.interventions.properties.base import ImageProperty, generator
from slicerxai.interventions.property import Scan

_Draw = tuple[float, Array, Array]


class Noise(ImageProperty[_Draw]):
    """Rician noise on top of the scan's own; one draw of white complex noise, scaled by the value."""

    possible = (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__("noise")

    def prepare(self, scan: Scan) -> dict[str, _Draw]:
        drawn = {}
        for part, (key, volume) in enumerate(scan.images.items()):
            rng = generator(scan, self.info.name, part)
            image = volume.array.astype(np.float32)
            head = image != 0
            drawn[key] = (head_median(image), white_noise(rng, head), white_noise(rng, head))
        return drawn

    def change(self, volume: Volume, image: Array, state: _Draw, value: float) -> Array:
        median, real, imaginary = state
        return rician(image, value * median, real, imaginary)
