"""A coloured patch on a photograph of the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import Array
from slicerxai.interventions.colour_patches import Patch, random_patch, with_patch
from slicerxai.interventions.properties.base import ScanProperty, generator
from slicerxai.interventions.property import Scan

CHANNELS = ("RED", "GREEN", "BLUE")


@dataclass(frozen=True)
class _Draw:
    image: Array
    patch: Patch
    white: float


class ColourPatch(ScanProperty[_Draw]):
    """One realisation of a patch (place, colour and form drawn by the seed) whose diameter grows."""

    possible = (0.0, 1.0)

    def __init__(self) -> None:
        super().__init__("colour_patch")

    def unusable(self, scan: Scan) -> str | None:
        if set(scan.images) != set(CHANNELS):
            return f"it is no colour image with the channels {', '.join(CHANNELS)}"
        shapes = {volume.shape for volume in scan.images.values()}
        if len(shapes) != 1 or next(iter(shapes))[2] != 1:
            return f"its channels have the shapes {', '.join(map(str, sorted(shapes)))}; one shape (H, W, 1) is needed"
        stack = np.stack([scan.images[key].array for key in CHANNELS])
        if not np.isfinite(stack).all() or stack.min() < 0 or not 0 < stack.max() <= 255:
            return f"its values go from {stack.min():g} to {stack.max():g}; 0 to 1 or 0 to 255 are needed"
        return None

    def prepare(self, scan: Scan) -> _Draw:
        stack = np.stack([scan.images[key].array[..., 0] for key in CHANNELS]).astype(np.float32)
        white = 1.0 if stack.max() <= 1 else 255.0
        lesion = None if scan.lesions is None else scan.lesions.array[..., 0] != 0
        patch = random_patch(generator(scan, self.info.name), lesion)
        return _Draw(stack / np.float32(white), patch, white)

    def changed(self, scan: Scan, state: _Draw, value: float) -> dict[str, Volume]:
        drawn = with_patch(state.image, state.patch, value)
        untouched = drawn == state.image
        result = {}
        for key, volume in scan.images.items():
            index = CHANNELS.index(key)
            source = volume.array[..., 0].astype(np.float32)
            painted = np.where(untouched[index], source, drawn[index] * np.float32(state.white))
            result[key] = volume.with_array(painted.astype(np.float32)[..., None])
        return result
