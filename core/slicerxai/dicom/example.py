"""An MR study made from volumes, for the demo, the tests and trying out an archive; its patient does not exist."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from slicerxai.data.io import is_orthogonal
from slicerxai.data.volume import Volume
from slicerxai.dicom.algorithm import MANUFACTURER
from slicerxai.dicom.planes import LPS_TO_RAS
from slicerxai.dicom.uids import content_uid
from slicerxai.dicom.writing import decimal
from slicerxai.errors import InputError

MAXIMUM = 4095
"""Largest stored value."""


@dataclass(frozen=True)
class Patient:
    """Whom the made study names.

    Attributes:
        name: as DICOM writes it, family name first: "EXAMPLE^PHANTOM".
        birth_date: YYYYMMDD.
        sex: "M", "F" or "O".
    """

    name: str = "EXAMPLE^PHANTOM"
    id: str = "PHANTOM-1"
    birth_date: str = "19700101"
    sex: str = "O"


@dataclass(frozen=True)
class _Sequence:
    """Description and timing of a sequence as a scanner at 3 T would state them; times in ms."""

    description: str
    echo_time: float
    repetition_time: float
    inversion_time: float | None
    scanning_sequence: tuple[str, ...]
    agent: str = ""


_SEQUENCES = {
    "FLAIR": _Sequence("3D FLAIR", 120.0, 8000.0, 2300.0, ("IR",)),
    "T1": _Sequence("3D T1 MPRAGE", 3.0, 2300.0, 900.0, ("GR", "IR")),
    "T2": _Sequence("T2 TSE", 90.0, 5000.0, None, ("SE",)),
    "PD": _Sequence("PD TSE", 12.0, 3000.0, None, ("SE",)),
    "GADO": _Sequence("T1 SE post contrast", 12.0, 600.0, None, ("SE",), "Gadolinium chelate"),
}
_DATE, _TIME = "20200102", "101500"


def example_study(images: Mapping[str, Volume], patient: Patient = Patient(), seed: str = "example") -> list[Dataset]:
    """MR images (one instance a slice, uint16) of one study, one series for each modality, in this order.

    Args:
        images: by modality of `sequences.recognise` ("FLAIR", …), each on its own grid with axes at right angles;
            slices follow the third axis. Integers from 0 to 4095 are kept, other values are scaled to that range.
        seed: decides the UIDs; another seed makes another study.

    Raises:
        InputError: an unknown modality, or axes that are not at right angles.
    """
    made: list[Dataset] = []
    for number, (modality, volume) in enumerate(images.items(), start=1):
        if modality not in _SEQUENCES:
            msg = f"no example of {modality!r}; accepted are {', '.join(_SEQUENCES)}"
            raise InputError(msg, tuple(_SEQUENCES))
        if not is_orthogonal(volume.affine):
            msg = f"{modality}: the axes are not at right angles, which MR slices are"
            raise InputError(msg)
        made += _series(volume, modality, number, patient, seed)
    return made


def write_study(datasets: list[Dataset], folder: Path) -> list[Path]:
    """Write instances as `SERIES/INSTANCE.dcm` (numbers, no names) below a folder; returns the files in order."""
    paths = []
    for dataset in datasets:
        path = folder / f"{int(dataset.SeriesNumber):04d}" / f"{int(dataset.InstanceNumber):05d}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, write_like_original=False)
        paths.append(path)
    return paths


def _series(volume: Volume, modality: str, number: int, patient: Patient, seed: str) -> list[Dataset]:
    stored = _stored(volume)
    affine = LPS_TO_RAS @ volume.affine
    directions = affine[:3, :3] / np.asarray(volume.spacing)
    common = _common(modality, number, patient, seed)
    made: list[Dataset] = []
    for k in range(volume.shape[2]):
        dataset = FileDataset("", {}, file_meta=_file_meta(content_uid(seed, number, k)), preamble=bytes(128))
        dataset.update(copy.deepcopy(common))  # elements would be shared otherwise
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
        dataset.InstanceNumber = k + 1
        dataset.ImagePositionPatient = [decimal(x) for x in affine[:3, :3] @ [0, 0, k] + affine[:3, 3]]
        dataset.ImageOrientationPatient = [decimal(x) for x in directions[:, :2].T.ravel()]
        dataset.PixelSpacing = [decimal(volume.spacing[1]), decimal(volume.spacing[0])]
        dataset.SliceThickness = dataset.SpacingBetweenSlices = decimal(volume.spacing[2])
        dataset.Rows, dataset.Columns = volume.shape[1], volume.shape[0]
        dataset.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
        made.append(dataset)
    return made


def _file_meta(instance: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _common(modality: str, number: int, patient: Patient, seed: str) -> Dataset:
    sequence = _SEQUENCES[modality]
    common = Dataset()
    common.SpecificCharacterSet = "ISO_IR 192"
    common.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    common.SOPClassUID = MRImageStorage
    common.StudyDate = common.SeriesDate = common.AcquisitionDate = common.ContentDate = _DATE
    common.StudyTime = common.SeriesTime = common.AcquisitionTime = common.ContentTime = _TIME
    common.AccessionNumber = ""
    common.Modality, common.BodyPartExamined = "MR", "BRAIN"
    common.Manufacturer = MANUFACTURER
    common.ReferringPhysicianName = ""
    common.StudyDescription = "Made from a phantom"
    common.SeriesDescription = common.ProtocolName = sequence.description
    common.PatientName, common.PatientID = patient.name, patient.id
    common.PatientBirthDate, common.PatientSex = patient.birth_date, patient.sex
    common.ScanningSequence, common.SequenceVariant, common.ScanOptions = list(sequence.scanning_sequence), "NONE", ""
    common.MRAcquisitionType = "2D"
    common.RepetitionTime, common.EchoTime = decimal(sequence.repetition_time), decimal(sequence.echo_time)
    common.EchoTrainLength = 1
    if sequence.inversion_time is not None:
        common.InversionTime = decimal(sequence.inversion_time)
    if sequence.agent:
        common.ContrastBolusAgent = sequence.agent
    common.MagneticFieldStrength = "3"
    common.PatientPosition = "HFS"
    common.StudyInstanceUID = content_uid(seed, "study", patient.id)
    common.SeriesInstanceUID = content_uid(seed, "series", patient.id, number)
    common.FrameOfReferenceUID = content_uid(seed, "frame", patient.id)
    common.PositionReferenceIndicator = ""
    common.StudyID, common.SeriesNumber = "1", number
    common.SamplesPerPixel, common.PhotometricInterpretation = 1, "MONOCHROME2"
    common.BitsAllocated, common.BitsStored, common.HighBit, common.PixelRepresentation = 16, 12, 11, 0
    common.WindowCenter, common.WindowWidth = str((MAXIMUM + 1) // 2), str(MAXIMUM + 1)
    return common


def _stored(volume: Volume) -> np.ndarray:
    array = np.asarray(volume.array)
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= MAXIMUM:
        return array.astype("<u2")
    low, high = float(array.min()), float(array.max())
    return np.rint((array.astype(np.float64) - low) * (MAXIMUM / ((high - low) or 1.0))).astype("<u2")
