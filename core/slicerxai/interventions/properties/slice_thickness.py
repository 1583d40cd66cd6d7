"""Slice thickness."""

from __future__ import annotations

from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import Array, slice_axis, thick_slices
from slicerxai.interventions.properties.base import ImageProperty, single_image
from slicerxai.interventions.property import Scan


class SliceThickness(ImageProperty[int]):
    """Thick slices without gaps, seen on the grid of the scan.

    The slices of each image are along its longest voxel edge, of cubic voxels along the axis nearest to superior. An
    image whose slices are thicker already stays as it is.
    """

    possible = (0.0, 20.0)

    def __init__(self) -> None:
        super().__init__("slice_thickness")

    def unusable(self, scan: Scan) -> str | None:
        if single_image(scan.images):
            return "it is a single image, not a volume"
        own = _own(scan.reference)
        high = self.info.high or self.possible[1]
        if own >= high:
            return f"its slices are {own:g} mm thick already, {high:g} mm is the thickest of a path"
        return super().unusable(scan)

    def limits(self, scan: Scan) -> tuple[float, float]:
        return _own(scan.reference), self.possible[1]

    def neutral(self, scan: Scan) -> float:
        return _own(scan.reference)

    def prepare(self, scan: Scan) -> dict[str, int]:
        return {key: slice_axis(volume) for key, volume in scan.images.items()}

    def change(self, volume: Volume, image: Array, state: int, value: float) -> Array:
        return thick_slices(image, image != 0, state, max(value / volume.spacing[state], 1.0))


def _own(volume: Volume) -> float:
    return volume.spacing[slice_axis(volume)]
