"""Acquisition as at one of the phantom's centres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from slicerxai.data.phantom.centres import CENTRES, AcquisitionStyle
from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import (
    Array,
    blurred,
    grained_noise,
    head_median,
    rician,
    slice_axis,
    standardised,
    tone_curve,
    world_field,
)
from slicerxai.interventions.properties.base import ImageProperty, generator, single_image
from slicerxai.interventions.properties.bias_field import KNOTS_MM
from slicerxai.interventions.property import Scan


@dataclass(frozen=True)
class _Draw:
    """What is fixed along the path of one image; fields and noise of its shape, of unit standard deviation."""

    style: AcquisitionStyle
    median: float
    axis: int
    bias: Array
    real: Array
    imaginary: Array


class Centre(ImageProperty[_Draw]):
    """A share of a centre's acquisition, in the order that physics has it: tone curve and signal of fluid, bias field,
    blur, noise (`slicerxai.data.phantom.centres`, without its variation from patient to patient and without its gain).

    At a share s every setting is s times the way from none to the centre's. The scan's own acquisition stays below it.
    Images other than FLAIR get no signal of fluid, half of the tone curve and 0.6 of the noise, as the phantom's T1.
    """

    possible = (0.0, 1.0)

    def __init__(self, centre: str) -> None:
        super().__init__(f"centre_{centre}")
        self.style = CENTRES[centre]

    def unusable(self, scan: Scan) -> str | None:
        if single_image(scan.images):
            return "it is a single image, not a volume"
        return super().unusable(scan)

    def prepare(self, scan: Scan) -> dict[str, _Draw]:
        drawn = {}
        for part, (key, volume) in enumerate(scan.images.items()):
            rng = generator(scan, self.info.name, part)
            image = volume.array.astype(np.float32)
            bias = standardised(world_field(rng, [volume], KNOTS_MM), volume, image != 0)
            real, imaginary = (
                grained_noise(rng, volume.shape, volume.spacing, self.style.grain_mm) for _ in ("real", "imaginary")
            )
            style = self.style if key == "FLAIR" else _other_sequence(self.style)
            drawn[key] = _Draw(style, head_median(image), slice_axis(volume), bias, real, imaginary)
        return drawn

    def change(self, volume: Volume, image: Array, state: _Draw, value: float) -> Array:
        style = state.style
        signal = tone_curve(image, state.median, 1 + value * (style.gamma - 1))
        fluid = value * style.fluid * state.median
        signal = signal + np.float32(fluid) * np.clip(1.2 - 1.5 / state.median * image, 0, 1)
        signal *= np.exp(np.float32(value * style.bias) * state.bias)
        width = [value * (style.slice_mm if axis == state.axis else style.in_plane_mm) for axis in range(3)]
        signal = blurred(signal.astype(np.float32), image != 0, volume.spacing, tuple(width))
        return rician(signal, value * style.noise * state.median, state.real, state.imaginary)


def _other_sequence(style: AcquisitionStyle) -> AcquisitionStyle:
    return style.model_copy(update={"fluid": 0.0, "gamma": 1 + 0.5 * (style.gamma - 1), "noise": 0.6 * style.noise})
