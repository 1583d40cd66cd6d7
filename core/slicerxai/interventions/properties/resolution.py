"""Resolution within the slices."""

from __future__ import annotations

from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import Array, blurred, slice_axis
from slicerxai.interventions.properties.base import ImageProperty
from slicerxai.interventions.property import Scan


class Resolution(ImageProperty[int]):
    """Gaussian blur within the slices, inside the head."""

    possible = (0.0, 20.0)

    def __init__(self) -> None:
        super().__init__("resolution")

    def prepare(self, scan: Scan) -> dict[str, int]:
        return {key: 2 if volume.shape[2] == 1 else slice_axis(volume) for key, volume in scan.images.items()}

    def change(self, volume: Volume, image: Array, state: int, value: float) -> Array:
        width = [0.0 if axis == state else value for axis in range(3)]
        return blurred(image, image != 0, volume.spacing, tuple(width))
