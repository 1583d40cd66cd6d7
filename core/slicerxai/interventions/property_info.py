"""What there is to change in an image, in words and numbers; importable without any numerical library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal["acquisition", "lesion", "centre", "colour", "control", "recorded", "generated"]

PropertyName = Literal[
    "contrast",
    "noise",
    "bias_field",
    "slice_thickness",
    "resolution",
    "lesion_load",
    "lesion_size",
    "lesion_contrast",
    "centre_01",
    "centre_03",
    "centre_07",
    "centre_08",
    "gain",
    "colour_patch",
    "recorded",
    "generated",
]

PROPERTY_NAMES: tuple[PropertyName, ...] = get_args(PropertyName)


@dataclass(frozen=True)
class PropertyInfo:
    """One property of images.

    Attributes:
        name: key in `PROPERTIES`.
        title: for people.
        units: of its values; empty for a pure number.
        description: one or two sentences for people.
        kind: where it comes from.
        low, high: range that a path covers unless another is asked for; None depends on the scan.
        neutral: value at which the scan is as it is; None depends on the scan.
    """

    name: str
    title: str
    units: str
    description: str
    kind: Kind
    low: float | None
    high: float | None
    neutral: float | None


def _centre(number: str, scanner: str) -> PropertyInfo:
    return PropertyInfo(
        f"centre_{number}",
        f"Looks like centre {number}",
        "",
        f"Share of the acquisition of the phantom's centre {number} ({scanner}): its tone curve, signal of fluid, bias "
        "field, blur, slice thickness and noise, on top of the scan's own.",
        "centre",
        0.0,
        1.0,
        0.0,
    )


PROPERTIES: dict[str, PropertyInfo] = {
    info.name: info
    for info in (
        PropertyInfo(
            "contrast",
            "Contrast",
            "",
            "Exponent of the tone curve about the median of the head: above 1 bright tissue gets brighter and dark "
            "tissue darker.",
            "acquisition",
            0.6,
            1.6,
            1.0,
        ),
        PropertyInfo(
            "noise",
            "Noise",
            "1/SNR",
            "Rician noise that is added: its standard deviation as a share of the median of the head.",
            "acquisition",
            0.0,
            0.15,
            0.0,
        ),
        PropertyInfo(
            "bias_field",
            "Bias field",
            "",
            "Smooth shading that is added, as of a surface coil: standard deviation of its logarithm in the head.",
            "acquisition",
            0.0,
            0.4,
            0.0,
        ),
        PropertyInfo(
            "slice_thickness",
            "Slice thickness",
            "mm",
            "Thickness and distance of the slices: the signal is averaged over each slice and interpolated between "
            "slices.",
            "acquisition",
            None,
            8.0,
            None,
        ),
        PropertyInfo(
            "resolution",
            "In-plane blur",
            "mm",
            "Blur that is added within the slices: full width at half maximum.",
            "acquisition",
            0.0,
            4.0,
            0.0,
        ),
        PropertyInfo(
            "lesion_load",
            "Lesion load",
            "ml",
            "Volume of all lesions. Below the patient's own, lesions are taken away one after the other, the smallest "
            "first, and replaced by plausible white matter; above it, lesions are added in white matter.",
            "lesion",
            0.0,
            None,
            None,
        ),
        PropertyInfo(
            "lesion_size",
            "Lesion size",
            "mm",
            "How far the edge of every lesion is moved: outwards above 0, inwards below.",
            "lesion",
            -2.0,
            2.0,
            0.0,
        ),
        PropertyInfo(
            "lesion_contrast",
            "Lesion contrast",
            "",
            "Difference of lesions to the white matter about them, as a multiple of their own.",
            "lesion",
            0.0,
            2.0,
            1.0,
        ),
        _centre("01", "Siemens Verio 3T"),
        _centre("03", "GE Discovery 3T"),
        _centre("07", "Siemens Aera 1.5T"),
        _centre("08", "Philips Ingenia 3T"),
        PropertyInfo(
            "gain",
            "Gain",
            "log2",
            "Factor on every stored intensity, as a power of two. A control: a model that normalises its input does "
            "not see it.",
            "control",
            -2.0,
            2.0,
            0.0,
        ),
        PropertyInfo(
            "colour_patch",
            "Colour patch",
            "",
            "Diameter of a round coloured patch beside the lesion, as a share of the image's width.",
            "colour",
            0.0,
            0.4,
            0.0,
        ),
        PropertyInfo(
            "recorded",
            "Recorded sequence",
            "",
            "Images that were recorded one after the other, in their order.",
            "recorded",
            None,
            None,
            None,
        ),
        PropertyInfo(
            "generated",
            "Generated sequence",
            "",
            "Images that a trained generator draws of this scan under a gradually changed condition.",
            "generated",
            None,
            None,
            None,
        ),
    )
}
"""All properties by name, in the order in which they are shown."""
