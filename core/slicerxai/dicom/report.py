"""Measurements and flags as a DICOM Structured Report (PS3.16 TID 1500, Measurement Report)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from slicerxai.dicom.algorithm import MANUFACTURER, RESEARCH_USE, Algorithm
from slicerxai.dicom.codes import (
    BRAIN,
    COMMENT,
    DEVICE,
    LESION,
    MR_BRAIN,
    QUALITATIVE_EVALUATIONS,
    SCHEME,
    measured,
    unit,
)
from slicerxai.dicom.series import Series
from slicerxai.dicom.uids import content_uid
from slicerxai.dicom.words import shortened
from slicerxai.dicom.writing import finish, identifiers, sources
from slicerxai.errors import InputError
from slicerxai.explain.contract import Flag

if TYPE_CHECKING:
    from highdicom.sr import (
        AlgorithmIdentification,
        MeasurementReport,
        MeasurementsAndQualitativeEvaluations,
        ObservationContext,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )
    from highdicom.sr import Measurement as CodedMeasurement


@dataclass(frozen=True)
class Measurement:
    """One number of a report.

    Attributes:
        name: such as "lesions" or "lesion_volume_ml".
        value: finite.
        units: UCUM: "1" for counts, "ml", "mm", ….
    """

    name: str
    value: float
    units: str = "1"


def structured_report(
    series: Series,
    measurements: Sequence[Measurement],
    flags: Sequence[Flag],
    evidence: Sequence[Dataset],
    algorithm: Algorithm,
    remarks: Sequence[str] = (),
) -> Dataset:
    """A Comprehensive 3D SR with the measurements, the flags and remarks in words, and references to the evidence.

    Args:
        series: the images that were read; patient and study are copied.
        evidence: the other objects of the result, such as its Segmentation; the volume of each segment is reported
            with a reference to it.
        remarks: further sentences, such as the verdict of the checks.

    Raises:
        InputError: a value is not finite.
    """
    from highdicom.sr import Comprehensive3DSR

    for one in measurements:
        if not math.isfinite(one.value):
            msg = f"measurement {one.name!r} is {one.value}; a report holds finite numbers"
            raise InputError(msg)
    words = [f"{RESEARCH_USE.capitalize()}.", *remarks, *(f"{flag.subject}: {flag.message}" for flag in flags)]
    content = [[asdict(one) for one in measurements], words, [str(one.SOPInstanceUID) for one in evidence]]
    document = _document(series, measurements, evidence, algorithm)
    document[0].ContentSequence.append(_evaluations(words))
    made = identifiers(series, algorithm, "report", f"{algorithm.method} report", *content)
    written = Comprehensive3DSR(
        evidence=[*sources(series), *evidence],
        content=document,
        is_complete=True,
        coding_schemes=[_own_scheme()],
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **made,
    )
    return finish(written, series, algorithm)


def _document(
    series: Series, measurements: Sequence[Measurement], evidence: Sequence[Dataset], algorithm: Algorithm
) -> MeasurementReport:
    from highdicom.sr import MeasurementReport

    groups = [
        _segment_group(series, seg, number, volume, algorithm)
        for seg in evidence
        if seg.SOPClassUID == SegmentationStorage
        for number, volume in _volumes_ml(series, seg).items()
    ]
    whole = [_whole(series, measurements, algorithm)] if measurements else []
    return MeasurementReport(
        observation_context=_observer(algorithm),
        procedure_reported=MR_BRAIN,
        imaging_measurements=[*whole, *groups],
    )


def _observer(algorithm: Algorithm) -> ObservationContext:
    from highdicom.sr import CodedConcept, DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext

    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=CodedConcept(DEVICE.value, DEVICE.scheme_designator, DEVICE.meaning),
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=content_uid("device", algorithm.identity),
                name=algorithm.name,
                manufacturer_name=MANUFACTURER,
                model_name=algorithm.software,
                serial_number=algorithm.digest,
            ),
        )
    )


def _whole(
    series: Series, measurements: Sequence[Measurement], algorithm: Algorithm
) -> MeasurementsAndQualitativeEvaluations:
    from highdicom.sr import FindingSite, MeasurementsAndQualitativeEvaluations, TrackingIdentifier

    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=content_uid("whole", series.uid, series.echo, algorithm.identity), identifier="Whole image"
        ),
        finding_type=LESION,
        finding_sites=[FindingSite(BRAIN)],
        algorithm_id=_algorithm(algorithm),
        measurements=[_measurement(one) for one in measurements],
    )


def _segment_group(
    series: Series, seg: Dataset, number: int, volume: float, algorithm: Algorithm
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    from highdicom.sr import (
        FindingSite,
        ReferencedSegment,
        SourceSeriesForSegmentation,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    segment = seg.SegmentSequence[number - 1]
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=number,
            source_series=SourceSeriesForSegmentation(series.uid),
        ),
        finding_type=LESION,
        finding_sites=[FindingSite(BRAIN)],
        algorithm_id=_algorithm(algorithm),
        measurements=[_measurement(Measurement("lesion_volume_ml", volume, "ml"))],
    )


def _volumes_ml(series: Series, seg: Dataset) -> dict[int, float]:
    """Volume of every segment by its number."""
    voxels = dict.fromkeys((int(segment.SegmentNumber) for segment in seg.SegmentSequence), 0)
    frames = np.asarray(seg.pixel_array).reshape(-1, seg.Rows, seg.Columns)
    for frame, group in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        voxels[int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)] += int(np.count_nonzero(frame))
    return {number: count * series.grid().voxel_volume / 1000 for number, count in voxels.items()}


def _algorithm(algorithm: Algorithm) -> AlgorithmIdentification:
    from highdicom.sr import AlgorithmIdentification

    return AlgorithmIdentification(algorithm.name, algorithm.digest, [f"{algorithm.method} {algorithm.parameters}"])


def _measurement(one: Measurement) -> CodedMeasurement:
    from highdicom.sr import Measurement as CodedMeasurement

    return CodedMeasurement(name=measured(one.name), value=float(f"{one.value:.10g}"), unit=unit(one.units))


def _evaluations(words: Sequence[str]) -> Dataset:
    from highdicom.sr import ContainerContentItem, ContentSequence, RelationshipTypeValues, TextContentItem

    container = ContainerContentItem(QUALITATIVE_EVALUATIONS, relationship_type=RelationshipTypeValues.CONTAINS)
    container.ContentSequence = ContentSequence(
        [TextContentItem(COMMENT, shortened(one, 1024), RelationshipTypeValues.CONTAINS) for one in words]
    )
    return container


def _own_scheme() -> Dataset:
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    return CodingSchemeIdentificationItem(SCHEME, name="SlicerXAI measurements", responsible_organization=MANUFACTURER)
