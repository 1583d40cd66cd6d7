"""Images and masks of one case of a cohort, in the form in which results are sent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from slicerxai.data.case import Case
from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Explanation, Overlay

METHOD = "case"


def case_volumes(cohort: str, case: Case) -> Explanation:
    """All images of a case as float32 and all its masks as 0 and 1, each on its own grid.

    Modalities and raters may have any name, so that the overlays are numbered: `parameters["images"]` and
    `parameters["masks"]` say which overlay is which.

    Raises:
        InputError: a file cannot be read.
    """
    images = {modality: case.image(modality) for modality in case.images}
    masks = {rater: case.mask(rater) for rater in case.masks}
    return packed(f"{cohort}/{case.id}", case.id, images, masks, case.metadata)


def packed(
    image_id: str,
    case: str,
    images: Mapping[str, Volume],
    masks: Mapping[str, Volume],
    metadata: Mapping[str, str | float],
) -> Explanation:
    """As `case_volumes`, of images by modality and masks by rater in memory."""
    image_parts = {modality: f"image_{number}" for number, modality in enumerate(images, 1)}
    mask_parts = {rater: f"mask_{number}" for number, rater in enumerate(masks, 1)}
    overlays = {}
    for modality, name in image_parts.items():
        image = images[modality]
        array = image.with_array(image.array.astype(np.float32, copy=False))
        overlays[name] = Overlay(array, "image", "intensity", f"{modality}, as given.")
    for rater, name in mask_parts.items():
        mask = masks[rater]
        drawn = mask.with_array((np.asarray(mask.array) != 0).astype(np.uint8))
        overlays[name] = Overlay(drawn, "labelmap", "label", f"Mask of rater {rater}.")
    parameters = {"case": case, "images": image_parts, "masks": mask_parts, "metadata": dict(metadata)}
    return Explanation(method=METHOD, parameters=parameters, image_id=image_id, overlays=overlays)
