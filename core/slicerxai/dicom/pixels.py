"""Stored values of MR images, uncompressed or with a decoder that is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from slicerxai.dicom.errors import DicomError
from slicerxai.dicom.headers import guarded, read_all, text, whole

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
DECODED = (RLELossless, JPEG2000Lossless)
"""Compressed transfer syntaxes that pydicom decodes with NumPy and Pillow alone, without loss."""

_UNSIGNED: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 16: np.dtype(np.uint16), 32: np.dtype(np.uint32)}
_SIGNED: dict[int, np.dtype[Any]] = {8: np.dtype(np.int8), 16: np.dtype(np.int16), 32: np.dtype(np.int32)}


def stored_type(header: Dataset, what: str) -> np.dtype[Any]:
    """The type of the stored values. Raises `DicomError` for colour, floats and unusual depths."""
    if (whole(header, "SamplesPerPixel", what) or 1) != 1:
        raise DicomError(f"{what}: colour pixels; accepted are grey values", "pixels")
    if (kind := text(header, "PhotometricInterpretation", what)) != "MONOCHROME2":
        raise DicomError(f"{what}: photometric interpretation {kind[:20]!r}; accepted is MONOCHROME2", "pixels")
    bits = whole(header, "BitsAllocated", what)
    types = _SIGNED if whole(header, "PixelRepresentation", what) else _UNSIGNED
    if bits is None or bits not in types:
        raise DicomError(f"{what}: {bits} bits a pixel; accepted are {', '.join(map(str, types))}", "pixels")
    return types[bits]


def check_decodable(header: Dataset, what: str) -> None:
    """Raise `DicomError` ("compressed") for a transfer syntax that is not decoded here, naming it and the remedy."""
    found = guarded(what, lambda: UID(header.file_meta.TransferSyntaxUID))
    if found in NATIVE + DECODED:
        return
    accepted = ", ".join(syntax.name for syntax in NATIVE + DECODED)
    raise DicomError(
        f"{what}: compressed as {_name(found)}, which is not decoded here; accepted are {accepted}. An archive sends "
        "uncompressed images when asked for Explicit VR Little Endian (1.2.840.10008.1.2.1)",
        "compressed",
    )


def frames(path: Path, header: Dataset) -> NDArray[np.generic]:
    """Stored values of a file whose header was read before, (frames, rows, columns).

    Raises `DicomError`: the file changed, or its pixels are damaged or missing.
    """
    dataset, what = read_all(path), str(path)
    for keyword in ("SOPInstanceUID", "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "PixelRepresentation"):
        if dataset.get(keyword) != header.get(keyword):
            raise DicomError(f"{what}: changed while it was read", "unreadable")
    array = guarded(f"{what}: its pixels", lambda: dataset.pixel_array)
    rows, columns = int(header.Rows), int(header.Columns)
    count = whole(header, "NumberOfFrames", what) or 1
    if array.size != count * rows * columns:
        raise DicomError(f"{what}: {array.size} pixels, the header announces {count * rows * columns}", "pixels")
    return array.reshape(count, rows, columns)


def _name(syntax: UID) -> str:
    """The standard's name; what else the file says is not quoted."""
    return UID_dictionary[syntax][0] if syntax in UID_dictionary else "an unknown transfer syntax"
