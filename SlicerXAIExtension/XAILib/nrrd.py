"""Volumes as NRRD in memory and on disk: what explanation servers send, and what is sent to them."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .i18n import tr as _

MAX_VOXELS = 512**3
"""More voxels than any head scan has; a header that announces more is damaged or hostile."""

_SIGNS = {
    "right-anterior-superior": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
}
"""What turns the axes of a space into RAS."""
_TYPES = {
    "int8": ("signed char", "int8", "int8_t"),
    "int16": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "int32": ("int", "signed int", "int32", "int32_t"),
    "int64": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "uint8": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "uint16": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "uint32": ("uint", "unsigned int", "uint32", "uint32_t"),
    "uint64": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "float32": ("float",),
    "float64": ("double",),
}
_GZIP_LEVEL = 1  # level 6 saves a tenth of the size of a float map for four times the time


@dataclass(frozen=True)
class Volume:
    """Voxels in the world.

    Attributes:
        array: (i, j, k).
        affine: (4, 4), voxel index to RAS mm.
    """

    array: Any
    affine: Any


def decode(content: bytes) -> Volume:
    """A scalar 3D volume from the bytes of an NRRD file with its voxels attached, raw or packed with gzip.

    Raises:
        ValueError: anything else, or cut off; says what is wrong.
    """
    head, separator, voxels = content.partition(b"\n\n")
    lines = head.decode("ascii", errors="replace").splitlines()
    if not separator or not lines or not lines[0].startswith("NRRD000"):
        msg = _("no header")
        raise ValueError(msg)
    fields = dict(_field(line) for line in lines[1:] if ": " in line and not line.startswith("#"))
    try:
        shape = _shape(fields)
        dtype = _dtype(fields)
        affine = _affine(fields)
    except KeyError as error:
        msg = _("{error} is missing or not supported in the header").format(error=error)
        raise ValueError(msg) from None
    size = math.prod(shape) * dtype.itemsize
    voxels = _unpacked(voxels, fields.get("encoding", ""), size)
    if len(voxels) != size:
        msg = _("{count} bytes of voxels, its header announces {size}").format(count=len(voxels), size=size)
        raise ValueError(msg)
    array = np.frombuffer(voxels, dtype).reshape(shape, order="F")
    return Volume(array.astype(dtype.newbyteorder("="), copy=False), affine)


def write(path: Path, volume: Volume) -> None:
    """Write voxels and affine as NRRD, packed with gzip, and nothing else (no name, no patient). Raises `OSError`."""
    array = np.asarray(volume.array)
    affine = (np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine + 0.0).tolist()
    vectors = [f"({affine[0][axis]!r},{affine[1][axis]!r},{affine[2][axis]!r})" for axis in range(4)]
    fields = {
        "type": _TYPES[array.dtype.name][0],
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(str(size) for size in array.shape),
        "space directions": " ".join(vectors[:3]),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "gzip",
        "space origin": vectors[3],
    }
    header = "NRRD0004\n" + "".join(f"{name}: {value}\n" for name, value in fields.items()) + "\n"
    voxels = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    path.write_bytes(header.encode("ascii") + gzip.compress(voxels, _GZIP_LEVEL))


def _field(line: str) -> tuple[str, str]:
    name, _unused, value = line.partition(": ")
    return name.strip().lower(), value.strip()


def _shape(fields: dict[str, str]) -> tuple[int, ...]:
    shape = tuple(int(size) for size in fields["sizes"].split())
    if len(shape) != 3 or min(shape) < 1 or math.prod(shape) > MAX_VOXELS:
        msg = _("sizes {sizes}, which is no scalar 3D volume of at most {max_voxels} voxels").format(
            sizes=fields["sizes"], max_voxels=MAX_VOXELS
        )
        raise ValueError(msg)
    return shape


def _dtype(fields: dict[str, str]) -> Any:
    types = {alias: name for name, aliases in _TYPES.items() for alias in aliases}
    return np.dtype(types[fields["type"]]).newbyteorder(">" if fields.get("endian") == "big" else "<")


def _affine(fields: dict[str, str]) -> Any:
    texts = [*fields["space directions"].split(), fields["space origin"]]
    columns = [[float(number) for number in text.strip("()").split(",")] for text in texts]
    affine = np.eye(4)
    affine[:3] = np.array(columns).T * np.array(_SIGNS[fields["space"]])[:, None]
    if not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        msg = _("a place in the world that is not one")
        raise ValueError(msg)
    return affine + 0.0  # no -0.0


def _unpacked(content: bytes, encoding: str, size: int) -> bytes:
    """The voxels' bytes; of packed ones only as many as the header announces are unpacked."""
    if encoding == "raw":
        return content
    if encoding not in ("gzip", "gz"):
        msg = _("encoding “{encoding}”; raw and gzip are accepted").format(encoding=encoding)
        raise ValueError(msg)
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, size)
    except zlib.error as error:
        msg = _("its voxels cannot be unpacked ({error})").format(error=error)
        raise ValueError(msg) from None
