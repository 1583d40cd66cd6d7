"""What all written objects share: references to their source images, identifiers, patient and study.

The libraries that build the objects never see the patient: they get copies of the source headers without, because they
quote doubtful names in warnings. Patient and study are copied onto the finished object.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from slicerxai.data.resample import resample
from slicerxai.data.volume import Volume
from slicerxai.dicom.algorithm import MANUFACTURER, RESEARCH_USE, Algorithm
from slicerxai.dicom.errors import DicomError
from slicerxai.dicom.headers import guarded
from slicerxai.dicom.planes import Plane
from slicerxai.dicom.series import Series
from slicerxai.dicom.uids import content_uid
from slicerxai.dicom.words import LONG_STRING, shortened

_NUMBERS = {"segmentation": 9101, "parametric": 9201, "secondary": 9301, "report": 9401}
_REQUIRED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
"""Attributes that every object has, empty where the source does not state them (type 2)."""
_COPIED = (
    *("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence", "TypeOfPatientID"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("PatientAge", "PatientSize", "PatientWeight", "StudyDescription", "IssuerOfAccessionNumberSequence"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID"),
    *("ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"),
    *("TimezoneOffsetFromUTC",),
)
_UTF_8 = "ISO_IR 192"


def sources(series: Series) -> list[Dataset]:
    """Headers of the source images with identifiers and geometry, without patient and study data.

    Raises `DicomError`: the series is no volume, or its FrameOfReferenceUID is missing or not the same everywhere.
    """
    series.grid()
    found = {str(header.get("FrameOfReferenceUID") or "") for header in series.datasets}
    if len(found) != 1 or not (frame := found.pop()):
        raise DicomError(f"{series}: its images do not state one common FrameOfReferenceUID", "reference")
    if len(series.datasets) < len(series.planes):
        return [_enhanced(series, frame)]
    return [_single(series, plane, frame) for plane in series.planes]


def frame_order(series: Series) -> list[int]:
    """For each frame as highdicom expects them, in the order of `sources`, the slice of the volume."""
    if len(series.datasets) < len(series.planes):
        return [int(k) for k in np.argsort([plane.frame for plane in series.planes])]
    return list(range(len(series.planes)))


def on_slices(series: Series, volume: Volume, order: int) -> Volume:
    """The volume on the grid of the series; values are kept exactly where its voxels are the same, in whatever order.

    Args:
        order: of interpolation elsewhere, 0 or 1.

    Raises:
        DicomError: the two do not overlap.
    """
    grid = series.grid()
    inside = np.linalg.inv(volume.affine) @ grid.affine
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
    corners[:, :3] *= np.asarray(grid.shape) - 1
    places = corners @ inside.T
    apart = (places.max(0)[:3] < -0.5) | (places.min(0)[:3] > np.asarray(volume.shape) - 0.5)
    if apart.any():
        raise DicomError(f"{series}: the result lies outside of these images", "geometry")
    if _same_voxels(inside, volume.shape, grid.shape):
        order = 0
    return resample(volume, grid.affine, grid.shape, order=order)


def frames_of(series: Series, volume: Volume) -> NDArray[np.generic]:
    """A volume on the grid of the series as (frames, rows, columns) in `frame_order`."""
    stacked = np.asarray(volume.array).transpose(2, 1, 0)
    return np.ascontiguousarray(stacked[frame_order(series)])


def identifiers(
    series: Series, algorithm: Algorithm, role: str, description: str, *content: Any, number: int = 1
) -> dict[str, Any]:
    """The arguments that identify a result and its maker, with UIDs from the content.

    Args:
        role: key of `_NUMBERS`.
        content: everything else that decides what is in the object, JSON values and arrays.
    """
    about = [series.study_uid, series.uid, series.echo, algorithm.identity, role, description]
    return {
        "series_instance_uid": content_uid("series", *about),
        "sop_instance_uid": content_uid("instance", *about, number, *content),
        "series_number": _NUMBERS[role],
        "instance_number": number,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": shortened(algorithm.name),
        "software_versions": algorithm.software,
        "device_serial_number": algorithm.digest[:LONG_STRING],
        "series_description": described(description),
    }


def described(words: str) -> str:
    """Words for a SeriesDescription, with the statement that this is for research."""
    return f"{shortened(words, LONG_STRING - len(RESEARCH_USE) - 3)} ({RESEARCH_USE})"


def finish(dataset: Dataset, series: Series, algorithm: Algorithm) -> Dataset:
    """Put patient, study, time and reproducible identifiers into an object that was built from `sources`."""
    source = series.datasets[0]
    for keyword in _REQUIRED:
        setattr(dataset, keyword, _value(source, keyword) or "")
    for keyword in _COPIED:
        if keyword in source:
            setattr(dataset, keyword, _value(source, keyword))
    dataset.SpecificCharacterSet = _UTF_8
    if dataset.Modality != "SR":
        dataset.BodyPartExamined = "BRAIN"  # head scans can name a paired part, such as the orbit, which needs a side
    dataset.StudyInstanceUID = series.study_uid
    time = algorithm.time
    day = time.strftime("%Y%m%d") if time else str(dataset.StudyDate or "19700101")
    clock = time.strftime("%H%M%S") if time else str(dataset.StudyTime or "000000")
    for keyword in ("ContentDate", "DateOfSecondaryCapture"):
        if keyword in dataset:
            setattr(dataset, keyword, day)
    for keyword in ("ContentTime", "TimeOfSecondaryCapture"):
        if keyword in dataset:
            setattr(dataset, keyword, clock)
    _settle(dataset, content_uid("dimensions", str(dataset.SOPInstanceUID)))
    return dataset


def _value(source: Dataset, keyword: str) -> Any:
    value = guarded(f"{keyword} of the source", lambda: source.get(keyword))
    if value is None or (isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 0):
        return None
    if source[keyword].VR == "PN":
        return str(value)
    return copy.deepcopy(value)


def _settle(dataset: Dataset, dimensions: str) -> None:
    """Identifiers that the library draws at random, from the content instead."""
    for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in dataset.get(keyword) or []:
            item.DimensionOrganizationUID = UID(dimensions)


def _same_voxels(index: NDArray[np.float64], shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether the target's voxels are voxels of the volume: axes permuted, flipped, cropped, nothing between."""
    within = 1e-3
    whole = np.rint(index[:3])
    if not (np.abs(whole[:, :3]).sum(0) == 1).all() or not (np.abs(whole[:, :3]).sum(1) == 1).all():
        return False
    off = np.abs(index[:3] - whole)
    return bool((off[:, :3] @ np.asarray(target) + off[:, 3]).max() < within * max(*shape, *target))


def _blank(series: Series, owner: int, frame_of_reference: str) -> Dataset:
    source, blank = series.datasets[owner], Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        setattr(blank, keyword, str(source.get(keyword)))
    blank.StudyInstanceUID, blank.SeriesInstanceUID = series.study_uid, series.uid
    blank.FrameOfReferenceUID = frame_of_reference
    blank.PositionReferenceIndicator = str(source.get("PositionReferenceIndicator") or "")
    blank.Modality = "MR"
    blank.Rows, blank.Columns = series.planes[0].shape
    for keyword in _REQUIRED:
        setattr(blank, keyword, "")
    return blank


def _single(series: Series, plane: Plane, frame_of_reference: str) -> Dataset:
    blank, source = _blank(series, plane.owner, frame_of_reference), series.datasets[plane.owner]
    blank.ImagePositionPatient = copy.deepcopy(source.ImagePositionPatient)
    blank.ImageOrientationPatient = copy.deepcopy(series.datasets[0].ImageOrientationPatient)
    blank.PixelSpacing = copy.deepcopy(source.PixelSpacing)
    distance = slice_distance(series)
    blank.SliceThickness = source.get("SliceThickness") or decimal(distance)
    blank.SpacingBetweenSlices = decimal(distance)
    return blank


def _enhanced(series: Series, frame_of_reference: str) -> Dataset:
    blank, plane = _blank(series, 0, frame_of_reference), series.planes[0]
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [decimal(value) for value in plane.spacing]
    measures.SliceThickness = measures.SpacingBetweenSlices = decimal(slice_distance(series))
    orientation.ImageOrientationPatient = [decimal(value) for value in plane.row + plane.column]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    blank.NumberOfFrames = len(series.planes)
    blank.SharedFunctionalGroupsSequence = [shared]
    blank.PerFrameFunctionalGroupsSequence = []
    for k in frame_order(series):
        group, position = Dataset(), Dataset()
        position.ImagePositionPatient = [decimal(value) for value in series.planes[k].position]
        group.PlanePositionSequence = [position]
        blank.PerFrameFunctionalGroupsSequence.append(group)
    return blank


def slice_distance(series: Series) -> float:
    """Distance of neighbouring slices, mm."""
    return series.grid().spacing[2]


def decimal(value: float) -> str:
    """A DICOM decimal string, at most 16 characters, with as many digits as these hold."""
    return next(text for digits in range(16, 0, -1) if len(text := f"{float(value) + 0.0:.{digits}g}") <= 16)
