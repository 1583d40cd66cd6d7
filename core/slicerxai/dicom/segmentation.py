"""Label maps as DICOM Segmentation objects on the slices of the series they were drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from slicerxai.data.volume import Volume
from slicerxai.dicom.algorithm import Algorithm
from slicerxai.dicom.codes import ALTERED_STRUCTURE, ARTIFICIAL_INTELLIGENCE, BRAIN, LESION
from slicerxai.dicom.errors import DicomError
from slicerxai.dicom.headers import guarded
from slicerxai.dicom.planes import Plane
from slicerxai.dicom.series import Series
from slicerxai.dicom.uids import content_uid
from slicerxai.dicom.words import shortened
from slicerxai.dicom.writing import finish, frames_of, identifiers, on_slices, sources
from slicerxai.errors import InputError

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

MAX_SEGMENTS = 65535
_COLOURS = ((44000, 53000, 50000), (50000, 20000, 48000), (36000, 44000, 14000), (55000, 35000, 52000))
"""CIELab of the segments in turn, as RecommendedDisplayCIELabValue holds them: red, green, blue, yellow."""


def segmentation(
    series: Series, labelmap: Volume, labels: Mapping[str, int], algorithm: Algorithm, description: str = "Lesions"
) -> Dataset:
    """A binary Segmentation object with one segment for each label, coded as lesions of the brain.

    Args:
        series: the images that it refers to and whose patient, study and frame of reference it copies.
        labelmap: integers; on any grid, brought onto the slices by nearest neighbour where it is not on theirs.
        labels: value by the name of the segment, in the order of the segments; values without a name are left out.
        description: SeriesDescription and ContentDescription.

    Raises:
        DicomError: the series is no volume or lacks its frame of reference, or the label map lies outside of it.
        InputError: no label, or the label map is not of integers.
    """
    from highdicom.seg import Segmentation, SegmentationTypeValues

    _check(labelmap, labels)
    placed = on_slices(series, labelmap.with_array(_integers(labelmap)), order=0)
    numbered = _numbered(frames_of(series, placed), labels)
    written = Segmentation(
        source_images=sources(series),
        pixel_array=numbered,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_segment(series, algorithm, number, name) for number, name in enumerate(labels, start=1)],
        content_label="SEGMENTATION",
        content_description=shortened(description),
        content_creator_name=None,
        **identifiers(series, algorithm, "segmentation", description, dict(labels), numbered),
    )
    for index, segment in enumerate(written.SegmentSequence):
        segment.RecommendedDisplayCIELabValue = list(_COLOURS[index % len(_COLOURS)])
    return finish(written, series, algorithm)


def read_segmentation(dataset: Dataset, series: Series) -> tuple[Volume, dict[str, int]]:
    """The label map and the value of each segment's name, on the grid of the series.

    Where segments overlap, the later one wins. Names that occur twice get their segment's number behind.

    Raises:
        DicomError: not a binary Segmentation, or its frames do not lie on the slices of the series.
    """
    if dataset.get("SOPClassUID") != SegmentationStorage or dataset.get("SegmentationType") != "BINARY":
        raise DicomError("not a binary DICOM Segmentation", "unreadable")
    grid = series.grid()
    groups = guarded("the segmentation", lambda: list(dataset.PerFrameFunctionalGroupsSequence))
    rows, columns = series.planes[0].shape
    if (dataset.get("Rows"), dataset.get("Columns"), dataset.get("NumberOfFrames")) != (rows, columns, len(groups)):
        raise DicomError(f"the segmentation has other rows, columns or frames than its header or {series}", "geometry")
    pixels = guarded("the segmentation", lambda: dataset.pixel_array.reshape(len(groups), rows, columns))
    _check_orientation(dataset, series.planes[0])
    array = np.zeros(grid.shape, dtype=np.uint16)
    for frame, group in zip(pixels, groups, strict=True):
        number, position = guarded("the segmentation", lambda group=group: _frame(group))  # type: ignore[misc]
        k = _slice_at(series, position)
        array[:, :, k][frame.T != 0] = number
    return Volume(array, grid.affine), _names(dataset)


def _check(labelmap: Volume, labels: Mapping[str, int]) -> None:
    if not 0 < len(labels) <= MAX_SEGMENTS:
        msg = f"{len(labels)} labels; accepted are 1 to {MAX_SEGMENTS}"
        raise InputError(msg)
    if 0 in labels.values() or len(set(labels.values())) < len(labels):
        msg = f"labels are different values other than 0, got {sorted(labels.values())[:10]}"
        raise InputError(msg)
    if labelmap.array.dtype.kind not in "biu":
        msg = f"a label map has integers, got {labelmap.array.dtype}"
        raise InputError(msg)


def _integers(labelmap: Volume) -> NDArray[np.generic]:
    return labelmap.array.astype(np.uint8) if labelmap.array.dtype == np.bool_ else labelmap.array


def _numbered(frames: NDArray[np.generic], labels: Mapping[str, int]) -> NDArray[np.generic]:
    """Segment numbers from 1, in the order of the labels."""
    values = np.array(list(labels.values()), dtype=np.int64)
    order = np.argsort(values)
    drawn = np.nonzero(frames)
    found = frames[drawn].astype(np.int64)
    where = np.searchsorted(values[order], found).clip(max=values.size - 1)
    numbered = np.zeros(frames.shape, dtype=np.uint8 if values.size < 256 else np.uint16)
    numbered[drawn] = np.where(values[order][where] == found, order[where] + 1, 0)
    return numbered


def _segment(series: Series, algorithm: Algorithm, number: int, name: str) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription

    return SegmentDescription(
        segment_number=number,
        segment_label=shortened(name),
        segmented_property_category=ALTERED_STRUCTURE,
        segmented_property_type=LESION,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=shortened(algorithm.name),
            family=ARTIFICIAL_INTELLIGENCE,
            version=algorithm.digest,
            source="slicerxai",
        ),
        tracking_uid=content_uid("segment", series.uid, series.echo, algorithm.identity, number, name),
        tracking_id=shortened(name),
        anatomic_regions=[BRAIN],
    )


def _check_orientation(dataset: Dataset, plane: Plane) -> None:
    found = guarded(
        "the segmentation",
        lambda: [
            float(value)
            for value in dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
        ],
    )
    if np.abs(np.asarray(found) - np.asarray(plane.row + plane.column)).max() > 1e-3:
        raise DicomError("the segmentation has another orientation than the images", "geometry")


def _frame(group: Dataset) -> tuple[int, NDArray[np.float64]]:
    number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    position = [float(value) for value in group.PlanePositionSequence[0].ImagePositionPatient]
    return number, np.asarray(position)


def _slice_at(series: Series, position: NDArray[np.float64]) -> int:
    away = np.linalg.norm(np.array([plane.position for plane in series.planes]) - position, axis=1)
    if away.min() > 0.01:
        raise DicomError(f"a frame of the segmentation lies {away.min():.2f} mm off the slices of {series}", "geometry")
    return int(away.argmin())


def _names(dataset: Dataset) -> dict[str, int]:
    names: dict[str, int] = {}
    for segment in guarded("the segmentation", lambda: list(dataset.SegmentSequence)):
        number = int(segment.SegmentNumber)
        name = str(segment.SegmentLabel)
        names[name if name not in names else f"{name} {number}"] = number
    return names
