"""A whole explanation as the DICOM objects that go back to the archive."""

from __future__ import annotations

import json
import math

import numpy as np
from pydicom.dataset import Dataset

from slicerxai.data.lesions import label_lesions
from slicerxai.data.volume import Volume
from slicerxai.dicom.algorithm import Algorithm
from slicerxai.dicom.parametric import parametric_map
from slicerxai.dicom.report import Measurement, structured_report
from slicerxai.dicom.secondary import picture, secondary_capture
from slicerxai.dicom.segmentation import segmentation
from slicerxai.dicom.series import Series
from slicerxai.errors import InputError
from slicerxai.explain.contract import Explanation, Overlay
from slicerxai.explain.registry import METHODS

LABELMAPS = ("prediction", "lesions", "flagged_lesions", "explained_lesion")
"""Label maps that say what the model found in the image as it is; experts' masks and predictions for altered images are
not written."""
MAPS = ("saliency", "probability", "difference")
"""Kinds of overlays that are written as Parametric Maps."""


def algorithm_of(explanation: Explanation) -> Algorithm:
    """The model and the method of an explanation. Raises `InputError` when it has no provenance, or is of a cohort."""
    if explanation.method in METHODS and METHODS[explanation.method].subject == "cohort":
        msg = f"{explanation.method} explains a cohort; only results of one case are written as DICOM"
        raise InputError(msg)
    provenance = explanation.provenance
    if provenance is None:
        msg = f"the {explanation.method} explanation has no provenance; only complete results are written as DICOM"
        raise InputError(msg)
    return Algorithm(
        name=provenance.model,
        digest=provenance.model_digest,
        method=explanation.method,
        created=provenance.started or None,
        parameters=json.dumps(explanation.parameters, sort_keys=True),
    )


def results_of(explanation: Explanation, series: Series) -> list[Dataset]:
    """Segmentations of the label maps, Parametric Maps of saliency, difference and probability, Secondary Captures of
    the figures, and one Structured Report of metrics, flags and verdict that refers to them; in this order.

    Label maps without a voxel are left out; the report says that there is no lesion. Images and counterfactual images
    are not written as maps: an altered image in an archive could be taken for a scan. They are in the figures. The same
    explanation of the same series gives the same UIDs.

    Args:
        series: of the model's first modality, whose grid the overlays are on.

    Raises:
        DicomError: the series is no volume, lacks its frame of reference, or the overlays lie outside of it.
        InputError: the explanation has no provenance, or is of a cohort.
    """
    algorithm = algorithm_of(explanation)
    overlays = explanation.overlays
    made = [
        _segmentation(series, name, overlays[name], algorithm)
        for name in LABELMAPS
        if name in overlays and np.any(overlays[name].volume.array)
    ]
    made += [
        parametric_map(series, one.volume, name, one.units, algorithm, one.description)
        for name, one in overlays.items()
        if one.kind in MAPS
    ]
    made += [
        secondary_capture(series, picture(figure.png), figure.caption, algorithm, number)
        for number, figure in enumerate(explanation.figures.values(), start=1)
    ]
    finite = {name: value for name, value in explanation.metrics.items() if math.isfinite(value)}
    measurements = [Measurement(name, value, _units(name)) for name, value in finite.items()]
    return [*made, structured_report(series, measurements, explanation.flags, made, algorithm, _remarks(explanation))]


def _segmentation(series: Series, name: str, overlay: Overlay, algorithm: Algorithm) -> Dataset:
    labelmap, labels = _lesions(overlay.volume, name)
    return segmentation(series, labelmap, labels, algorithm, overlay.description or name)


def _lesions(labelmap: Volume, name: str) -> tuple[Volume, dict[str, int]]:
    """Numbered lesions: as they are numbered already, or the connected components by falling size."""
    values = [int(value) for value in np.unique(labelmap.array) if value != 0]
    if name == "explained_lesion" and len(values) == 1:
        return labelmap, {"Explained lesion": values[0]}
    if values == [1]:
        labelmap = label_lesions(labelmap, minimum_mm3=0.0)
        values = list(range(1, int(labelmap.array.max()) + 1))
    return labelmap, {f"Lesion {value}": value for value in values}


def _units(name: str) -> str:
    return next((units for suffix, units in (("_ml", "ml"), ("_mm", "mm")) if name.endswith(suffix)), "1")


def _remarks(explanation: Explanation) -> list[str]:
    remarks = [f"Verdict of the checks of this result: {explanation.verdict}."]
    remarks += [f"{check.name}: {check.reason}" for check in explanation.checks if check.verdict != "reliable"]
    undefined = [name for name, value in explanation.metrics.items() if not math.isfinite(value)]
    return remarks + [f"{name} is undefined." for name in undefined]
