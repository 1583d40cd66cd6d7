"""NRRD files: headers through pynrrd; packed voxels are unpacked here, no more of them than the header announces."""

from __future__ import annotations

import bz2
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
from numpy.typing import NDArray

from slicerxai.data.volume_source import LPS, Source, VolumeError, confined
from slicerxai.errors import shortened

TYPES = {
    "int8": "signed char,int8,int8_t",
    "int16": "short,short int,signed short,signed short int,int16,int16_t",
    "int32": "int,signed int,int32,int32_t",
    "int64": "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t",
    "uint8": "uchar,unsigned char,uint8,uint8_t",
    "uint16": "ushort,unsigned short,unsigned short int,uint16,uint16_t",
    "uint32": "uint,unsigned int,uint32,uint32_t",
    "uint64": "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t",
    "float32": "float",
    "float64": "double",
}
"""Names that NRRD has for a voxel type."""
_SPACES = {
    "right-anterior-superior": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "left-posterior-superior": LPS,
}
_SPACES |= {"RAS": np.eye(4), "LAS": _SPACES["left-anterior-superior"], "LPS": LPS}
_PLAIN = {"raw", "txt", "text", "ascii"}
_SKIPS = ("line skip", "lineskip", "byte skip", "byteskip")
_SKIPPED = 4096
"""Lines or bytes that may lie before the voxels: pynrrd counts as many lines as a header says, file or not."""


def open_nrrd(path: Path) -> Source:
    """An NRRD file with its voxels in it, or in another file of its folder.

    Raises:
        VolumeError: not 3D, its place in the patient not stated, or its voxels outside its folder.
        Exception: whatever pynrrd raises for a damaged header.
    """
    header = nrrd.read_header(str(path))
    _data_file(path, header)
    shape = tuple(int(size) for size in header["sizes"])
    dtype = _dtype(header)
    return Source(shape, dtype, _affine(path, header, shape), lambda: _array(path, header, shape, np.dtype(dtype)))


def _dtype(header: Mapping[str, Any]) -> np.dtype[Any] | None:
    name = next((name for name, aliases in TYPES.items() if header["type"] in aliases.split(",")), None)
    return None if name is None else np.dtype(name).newbyteorder(">" if header.get("endian") == "big" else "<")


def _affine(path: Path, header: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    if len(shape) not in {3, 4}:
        raise VolumeError(f"{path}: expected a 3D image, got shape {shape[:8]}", "dimensions")
    space = header.get("space")
    if space not in _SPACES or "space directions" not in header or "space origin" not in header:
        needs = f"'space' one of {', '.join(_SPACES)} with 'space directions' and 'space origin'"
        raise VolumeError(
            f"{path}: its place in the patient is not stated (space {shortened(space)}); needed: {needs}", "affine"
        )
    directions = np.asarray(header["space directions"], dtype=np.float64)
    if np.isnan(directions[0]).any() and shape[0] > 1:
        raise VolumeError(f"{path}: {shape[0]} components a voxel, expected a 3D image with one", "dimensions")
    affine = np.eye(4)
    affine[:3, :3] = directions[:3].T
    affine[:3, 3] = header["space origin"]
    # + 0.0 turns -0.0 into 0.0
    return _SPACES[space] @ affine + 0.0


def _array(path: Path, header: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    with path.open("rb") as file:
        start = nrrd.read_header(file)  # leaves the file at the first byte of an attached data block
        encoding = start["encoding"].lower()
        skips = [int(start.get(key, 0)) for key in _SKIPS]
        if max(skips) > _SKIPPED:
            raise VolumeError(f"{path}: more than {_SKIPPED} lines or bytes to skip before the voxels", "unreadable")
        if encoding in _PLAIN:
            array: NDArray[np.generic] = nrrd.read_data(header, file, str(path), index_order="F")
            return array
        if any(skips):
            raise VolumeError(f"{path}: 'line skip' and 'byte skip' are accepted with raw voxels only", "unreadable")
        detached = _data_file(path, start)
        packed = file.read() if detached is None else detached.read_bytes()
    size = math.prod(shape) * dtype.itemsize
    unpacked = _unpacked(packed, encoding, size)
    if len(unpacked) != size:
        found = f"more than {size}" if len(unpacked) > size else str(len(unpacked))
        raise VolumeError(f"{path}: {found} bytes of voxels, the header announces {size}", "unreadable")
    return np.frombuffer(bytearray(unpacked), dtype).reshape(shape, order="F")


def _data_file(path: Path, header: Mapping[str, Any]) -> Path | None:
    """The file of the voxels; None when they are in the header's own. The field has two names, of which pynrrd takes
    another than a check of one of them would: a header with both is refused.
    """
    named = [str(header[key]) for key in ("data file", "datafile") if key in header]
    if len(named) > 1:
        raise VolumeError(f"{path}: names two data files, {shortened(named)}", "unreadable")
    return confined(path, named[0]) if named else None


def _unpacked(packed: bytes, encoding: str, size: int) -> bytes:
    """At most one byte more than `size`, which shows that there are too many."""
    if encoding in {"gzip", "gz"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, size + 1)
    if encoding in {"bzip2", "bz2"}:
        return bz2.BZ2Decompressor().decompress(packed, size + 1)
    msg = f"encoding {shortened(encoding)}; accepted are raw, gzip, bzip2 and ascii"
    raise ValueError(msg)
