"""Downloaded volumes made ready for the scene: all that takes time and needs neither MRML nor Qt. For any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from slicer.i18n import tr as _
from XAILib.document import damaged
from XAILib.nrrd import Volume
from XAILib.parts import volume_of
from XAILib.result import Result

Point = tuple[float, float, float]


@dataclass(frozen=True)
class PreparedCase:
    """What becomes nodes.

    Attributes:
        case: its id.
        modality: of the image.
        masks: 0 and 1 (uint8) by rater.
        place: R, A, S in mm, in the slice where most is drawn; None when nothing is.
    """

    case: str
    modality: str
    image: Volume
    masks: Mapping[str, Volume]
    place: Point | None


def prepare_case(result: Result, case: str, modality: str) -> PreparedCase:
    """Unpack image and masks of a case. Raises `ServerError` when a part is missing or cannot be read."""
    try:
        names = result.parameters["masks"]
        image = volume_of(result, result.parameters["images"][modality])
        masks = {str(rater): volume_of(result, name) for rater, name in names.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise damaged(_("it lacks {error} of the case").format(error=error)) from None
    return PreparedCase(case, modality, image, masks, place_of(list(masks.values())))


def place_of(masks: list[Volume]) -> Point | None:
    """The drawn voxel nearest to the middle of what is drawn, in the slice of a mask with most of it."""
    best, place = 0, None
    for mask in masks:
        areas = np.count_nonzero(mask.array, axis=(0, 1))
        k = int(areas.argmax())
        if areas[k] > best:
            drawn = np.argwhere(mask.array[:, :, k])
            nearest = drawn[np.linalg.norm(drawn - drawn.mean(axis=0), axis=1).argmin()]
            best, place = int(areas[k]), mask.affine @ [*nearest, k, 1]
    return None if place is None else (float(place[0]), float(place[1]), float(place[2]))
