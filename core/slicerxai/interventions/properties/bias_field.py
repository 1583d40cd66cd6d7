"""Bias field."""

from __future__ import annotations

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import Array, standardised, world_field
from slicerxai.interventions.properties.base import ImageProperty, generator
from slicerxai.interventions.property import Scan

KNOTS_MM = 60.0
"""Distance of the field's knots in volumes; a head is two to three of them wide, as coil sensitivities vary."""


class BiasField(ImageProperty[Array]):
    """x becomes x · exp(value · f), f a smooth field of mean 0 and standard deviation 1 in the head.

    All images have the same field in world space, as the same coil receives them.
    """

    possible = (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__("bias_field")

    def prepare(self, scan: Scan) -> dict[str, Array]:
        volumes = list(scan.images.values())
        largest = max(size * step for size, step in zip(volumes[0].shape, volumes[0].spacing, strict=True))
        field = world_field(generator(scan, self.info.name), volumes, min(KNOTS_MM, largest / 3))
        return {key: standardised(field, volume, volume.array != 0) for key, volume in scan.images.items()}

    def change(self, volume: Volume, image: Array, state: Array, value: float) -> Array:
        return image * np.exp(np.float32(value) * state)
