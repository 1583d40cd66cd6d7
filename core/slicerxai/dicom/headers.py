"""Reading DICOM files that may be damaged or hostile: every fault becomes one kind of error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian

from slicerxai.dicom.errors import DicomError

# pydicom's warnings quote the values that it doubts, and those can be names of patients
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

PREFIX = b"DICM"
_PREAMBLE = 128
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_LENGTH = 64
_T = TypeVar("_T")


def dicom_files(folder: Path) -> list[Path]:
    """The DICOM files below a folder, sorted by name: those with the "DICM" prefix, without DICOMDIR.

    Raises `DicomError` when the folder does not exist or a file in it cannot be opened.
    """
    if not folder.is_dir():
        raise DicomError(f"{folder}: no such folder", "missing")
    found = (path for path in folder.rglob("*") if path.is_file() and path.name.upper() != "DICOMDIR")
    return sorted(path for path in found if _has_prefix(path))


def read_header(path: Path) -> Dataset:
    """Everything before the pixels.

    Raises `DicomError`: missing, not DICOM, damaged, or deflated (which would be unpacked without bound).
    """
    return _read(path, stop_before_pixels=True)


def read_all(path: Path) -> Dataset:
    """The whole file. Raises as `read_header`."""
    return _read(path, stop_before_pixels=False)


def guarded(what: str, read: Callable[[], _T]) -> _T:
    """Whatever a DICOM library raises on a damaged object becomes `DicomError`; values of the object are not quoted."""
    try:
        return read()
    except DicomError:
        raise
    except Exception as error:
        raise DicomError(f"{what}: damaged DICOM ({type(error).__name__})", "unreadable") from error


def uid(header: Dataset, keyword: str, what: str) -> str:
    """A required identifier of digits and dots."""
    value = str(guarded(what, lambda: header.get(keyword)) or "")
    if not _UID.fullmatch(value) or len(value) > _UID_LENGTH:
        raise DicomError(f"{what}: has no valid {keyword}", "unreadable")
    return value


def text(header: Dataset, keyword: str, what: str) -> str:
    """Words, empty when not stated; several values are joined by spaces."""
    value = guarded(what, lambda: header.get(keyword))
    if value is None:
        return ""
    values = value if isinstance(value, list | pydicom.multival.MultiValue) else [value]
    return " ".join(str(one).strip() for one in values).strip()


def numbers(header: Dataset, keyword: str, count: int, what: str) -> tuple[float, ...] | None:
    """`count` finite numbers; None when the element is absent or empty."""
    value = guarded(what, lambda: header.get(keyword))
    if value is None or value == "":
        return None
    values = guarded(what, lambda: [float(one) for one in _listed(value)])
    if not values:
        return None
    if len(values) != count or not all(map(math.isfinite, values)):
        raise DicomError(f"{what}: {keyword} must hold {count} finite numbers, it holds {len(values)}", "unreadable")
    return tuple(values)


def whole(header: Dataset, keyword: str, what: str) -> int | None:
    """An integer; None when the element is absent or empty."""
    found = numbers(header, keyword, 1, what)
    if found is None:
        return None
    if found[0] != int(found[0]):
        raise DicomError(f"{what}: {keyword} is no whole number", "unreadable")
    return int(found[0])


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | pydicom.multival.MultiValue) else [value]


def _has_prefix(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(_PREAMBLE + len(PREFIX))[_PREAMBLE:] == PREFIX
    except OSError as error:
        raise DicomError(f"{path}: cannot be read ({error.strerror})", "missing") from error


def _read(path: Path, stop_before_pixels: bool) -> Dataset:
    if not _has_prefix(path):
        raise DicomError(f"{path}: not a DICOM file (no DICM prefix)", "unreadable")
    meta = guarded(str(path), lambda: read_file_meta_info(path))
    if guarded(str(path), lambda: meta.get("TransferSyntaxUID")) == DeflatedExplicitVRLittleEndian:
        raise DicomError(f"{path}: deflated DICOM is not read; store it as Explicit VR Little Endian", "compressed")
    return guarded(str(path), lambda: pydicom.dcmread(path, stop_before_pixels=stop_before_pixels))
