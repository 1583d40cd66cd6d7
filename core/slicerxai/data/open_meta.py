"""MetaImage files (.mha, .mhd), read in Python: ITK's reader crashes, with the process, on some damaged headers.

Format: https://github.com/Kitware/MetaIO/blob/master/docs/source/index.rst. Read are binary scalar voxels, plain or
packed, in the file itself or in one file beside it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.volume_source import LPS, Source, VolumeError, confined
from slicerxai.errors import shortened

_TYPES = {
    "MET_CHAR": "int8",
    "MET_UCHAR": "uint8",
    "MET_SHORT": "int16",
    "MET_USHORT": "uint16",
    "MET_INT": "int32",
    "MET_UINT": "uint32",
    "MET_LONG_LONG": "int64",
    "MET_ULONG_LONG": "uint64",
    "MET_FLOAT": "float32",
    "MET_DOUBLE": "float64",
}
_ALIASES = {
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
    "Position": "Offset",
    "Origin": "Offset",
    "Orientation": "TransformMatrix",
    "Rotation": "TransformMatrix",
}
_LAST = "ElementDataFile"
_LINES = 200
_LINE_BYTES = 4096


def open_meta(path: Path) -> Source:
    """A MetaImage file.

    Raises:
        VolumeError: not 3D, or its voxels outside its folder.
        ValueError: the header is damaged or of a kind that is not read; says what.
    """
    with path.open("rb") as file:
        header = _header(file)
        start = file.tell()
    name = header[_LAST]
    local = name.upper() == "LOCAL"
    data = path if local else confined(path, name)
    shape = _shape(path, header)
    dtype = np.dtype(_TYPES[header["ElementType"]]) if header.get("ElementType") in _TYPES else None
    if dtype is not None:
        dtype = dtype.newbyteorder(">" if _true(header, "BinaryDataByteOrderMSB") else "<")
    if int(header.get("ElementNumberOfChannels", 1)) != 1:
        dtype = None
    if "ElementToIntensityFunctionSlope" in header:
        msg = "scaled voxels (ElementToIntensityFunctionSlope) are not read"
        raise ValueError(msg)
    return Source(
        shape,
        dtype,
        _affine(header, len(shape)),
        lambda: _array(data, header, start if local else None, shape, np.dtype(dtype)),
    )


def _header(file: Any) -> dict[str, str]:
    """Values by key up to `ElementDataFile`, which is the last; the file is left behind it."""
    found: dict[str, str] = {}
    for _ in range(_LINES):
        line: bytes = file.readline(_LINE_BYTES)
        key, equals, value = line.decode("utf-8").partition("=")
        key = _ALIASES.get(key.strip(), key.strip())
        if not equals or not line.endswith(b"\n") or (key in found):
            msg = f"line {shortened(line, 60)} is no 'Key = Value' of its own"
            raise ValueError(msg)
        found[key] = value.strip()
        if key == _LAST:
            return found
    msg = f"no {_LAST} among the first {_LINES} lines"
    raise ValueError(msg)


def _shape(path: Path, header: Mapping[str, str]) -> tuple[int, ...]:
    dimensions, sizes = int(header["NDims"]), header["DimSize"].split()
    if len(sizes) != dimensions:
        msg = f"DimSize has {len(sizes)} numbers for {shortened(dimensions, 20)} dimensions"
        raise ValueError(msg)
    shape = tuple(int(word) for word in sizes)
    if dimensions not in {3, 4}:
        raise VolumeError(f"{path}: expected a 3D image, got shape {shape[:8]}", "dimensions")
    if not _true(header, "BinaryData"):
        msg = "voxels as text (BinaryData = False) are not read"
        raise ValueError(msg)
    return shape


def _affine(header: Mapping[str, str], dimensions: int) -> NDArray[np.float64]:
    """Row i of `TransformMatrix` is the direction of axis i, in LPS+."""
    identity = " ".join(map(str, np.eye(dimensions).ravel()))
    directions = _numbers(header.get("TransformMatrix", identity), dimensions**2).reshape(dimensions, dimensions).T
    spacing = _numbers(header.get("ElementSpacing", header.get("ElementSize", "1 " * dimensions)), dimensions)
    affine = np.eye(4)
    affine[:3, :3] = directions[:3, :3] * np.abs(spacing[:3])
    affine[:3, 3] = _numbers(header.get("Offset", "0 " * dimensions), dimensions)[:3]
    return LPS @ affine + 0.0


def _numbers(text: str, count: int) -> NDArray[np.float64]:
    values = np.array([float(word) for word in text.split()])
    if len(values) != count:
        msg = f"{len(values)} numbers where {count} are needed: {shortened(text, 60)}"
        raise ValueError(msg)
    return values


def _true(header: Mapping[str, str], key: str) -> bool:
    return header.get(key, "False").lower() in {"true", "1", "t", "yes", "y"}


def _array(
    data: Path, header: Mapping[str, str], start: int | None, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[np.generic]:
    """The voxels, (I, J, K[, 1])."""
    size = math.prod(shape) * dtype.itemsize
    skip = int(header.get("HeaderSize", 0)) if start is None else start
    with data.open("rb") as file:
        if skip < 0:  # the voxels are the last bytes of the file
            skip = max(0, data.stat().st_size - size)
        file.seek(skip)
        if _true(header, "CompressedData"):
            found = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(file.read(), size)
        else:
            found = file.read(size)
    if len(found) != size:
        msg = f"{len(found)} bytes of voxels, the header announces {size}"
        raise ValueError(msg)
    return np.frombuffer(bytearray(found), dtype).reshape(shape, order="F")
