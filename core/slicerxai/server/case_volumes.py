"""Images and masks of one case of a cohort, in the form in which results are sent."""

from __future__ import annotations

import numpy as np

from slicerxai.data.case import Case
from slicerxai.explain.contract import Explanation, Overlay

METHOD = "case"


def case_volumes(cohort: str, case: Case) -> Explanation:
    """All images of a case as float32 and all its masks as 0 and 1, each on its own grid.

    Modalities and raters may have any name, so that the overlays are numbered: `parameters["images"]` and
    `parameters["masks"]` say which overlay is which.

    Raises:
        InputError: a file cannot be read.
    """
    images = {modality: f"image_{number}" for number, modality in enumerate(case.images, 1)}
    masks = {rater: f"mask_{number}" for number, rater in enumerate(case.masks, 1)}
    overlays = {}
    for modality, name in images.items():
        image = case.image(modality)
        array = image.with_array(image.array.astype(np.float32, copy=False))
        overlays[name] = Overlay(array, "image", "intensity", f"{modality}, as given.")
    for rater, name in masks.items():
        mask = case.mask(rater)
        drawn = mask.with_array((np.asarray(mask.array) != 0).astype(np.uint8))
        overlays[name] = Overlay(drawn, "labelmap", "label", f"Mask of rater {rater}.")
    parameters = {"case": case.id, "images": images, "masks": masks, "metadata": dict(case.metadata)}
    return Explanation(method=METHOD, parameters=parameters, image_id=f"{cohort}/{case.id}", overlays=overlays)
