"""A label that an annotator submitted, as the DICOM Segmentation that goes back to the archive."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from slicerxai.data.volume import Volume
from slicerxai.dicom.algorithm import Algorithm
from slicerxai.dicom.segmentation import segmentation
from slicerxai.dicom.series import Series
from slicerxai.dicom.uids import content_uid
from slicerxai.server.dicomweb.segmentations import written

DESCRIPTION = "Submitted label"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ()_,.-]{0,62}")


def submitted(series: Series, label: Volume, names: Mapping[int, str]) -> Dataset:
    """The Segmentation of a label on the grid of a series.

    Args:
        label: integers ≥ 0.
        names: of the values; others are called "lesion" (the value 1) or "label N".

    Raises:
        InputError: the label does not fit the series.
    """
    values = [int(value) for value in np.unique(label.array) if value > 0] or [1]  # none found: an empty segment
    labels = {names.get(value, "lesion" if value == 1 else f"label {value}"): value for value in values}
    whole = label.with_array(np.rint(label.array).astype(np.int32))
    author = Algorithm("annotator", "none", method="submitted label", created=datetime.now(UTC).isoformat())
    dataset = segmentation(series, whole, labels, author, description=DESCRIPTION)
    if author.time is not None:
        dataset.ContentTime = author.time.strftime("%H%M%S.%f")  # two labels may be drawn within one second
    for segment in dataset.SegmentSequence:
        segment.SegmentAlgorithmType = "MANUAL"
        for keyword in ("SegmentAlgorithmName", "SegmentationAlgorithmIdentificationSequence"):
            if keyword in segment:
                delattr(segment, keyword)
    return _numbered(dataset, str(dataset.SOPInstanceUID))


def drawn_again(dataset: Dataset) -> Dataset:
    """The same label under other UIDs: it was stored before, and is now the last word once more."""
    return _numbered(dataset, content_uid(str(dataset.SOPInstanceUID), written(dataset)))


def _numbered(dataset: Dataset, instance: str) -> Dataset:
    """Each label is a series of its own, by which the archive lists it."""
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(instance)
    dataset.SeriesInstanceUID = UID(content_uid("label", instance))
    return dataset


def label_names(info: Mapping[str, Any]) -> dict[int, str]:
    """Names by value, as MONAI Label's clients send them: `label_info` is a list of {"name", "idx"}.

    What is no plain name is left out: free text may name a patient.
    """
    found: dict[int, str] = {}
    told = info.get("label_info")
    for index, one in enumerate(told if isinstance(told, list) else [], start=1):
        name, value = (one.get("name"), one.get("idx", index)) if isinstance(one, dict) else (None, None)
        plain = isinstance(name, str) and _NAME.fullmatch(name) and name not in found.values()
        if plain and isinstance(value, int) and not isinstance(value, bool):
            found[value] = str(name)
    return found
