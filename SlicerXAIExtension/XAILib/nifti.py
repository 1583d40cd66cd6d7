"""Image files of a server's datastore as volumes: NIfTI-1 and NIfTI-2 in one file, packed or not, and NRRD.

The header's layout and the three ways to place an image in the world are those of nifti1.h and nifti2.h
(https://nifti.nimh.nih.gov); as in other readers the sform, where there is one, goes before the qform.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from .i18n import tr as _
from .nrrd import MAX_VOXELS, Volume, decode

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_LARGEST_HEADER = 64 * 1024
"""With extensions, which are skipped."""


@dataclass(frozen=True)
class _Layout:
    """Where a version of the header keeps its fields: NumPy types and byte offsets."""

    size: int
    dim: tuple[str, int]
    datatype: int
    pixdim: tuple[str, int]
    vox_offset: tuple[str, int]
    scale: tuple[str, int]
    codes: tuple[str, int]
    quaternion: tuple[str, int]
    rows: tuple[str, int]


_LAYOUTS = {
    b"n+1\0": _Layout(348, ("i2", 40), 70, ("f4", 76), ("f4", 108), ("f4", 112), ("i2", 252), ("f4", 256), ("f4", 280)),
    b"n+2\0": _Layout(
        540, ("i8", 16), 12, ("f8", 104), ("i8", 168), ("f8", 176), ("i4", 344), ("f8", 352), ("f8", 400)
    ),
}


def decode_image(content: bytes) -> Volume | None:
    """A scalar 3D volume from the bytes of a file; None when it is neither NIfTI nor NRRD.

    Values are float32 where the header scales them, otherwise of the file's own type.

    Raises:
        ValueError: a damaged file, or more or fewer than three dimensions.
    """
    if content.startswith(b"NRRD000"):
        return decode(content)
    packed = content.startswith(b"\x1f\x8b")
    head = _unpacked(content, _LARGEST_HEADER) if packed else content[:_LARGEST_HEADER]
    found = _layout(head)
    if found is None:
        return None
    layout, order = found
    shape, dtype, start = _grid(head, layout, order)
    end = start + math.prod(shape) * dtype.itemsize
    whole = _unpacked(content, end) if packed else content[:end]
    if len(whole) < end:
        msg = _("the file ends after {count} of {end} bytes").format(count=len(whole), end=end)
        raise ValueError(msg)
    array = np.frombuffer(whole, dtype, offset=start).reshape(shape, order="F")
    slope, intercept = _fields(head, layout.scale, order, 2)
    array = array.astype(dtype.newbyteorder("="), copy=False)
    if math.isfinite(slope) and slope != 0.0 and (slope, intercept) != (1.0, 0.0):
        array = (array * slope + intercept).astype(np.float32)
    return Volume(array, _affine(head, layout, order))


def _layout(head: bytes) -> tuple[_Layout, str] | None:
    for magic, place in ((b"n+1\0", 344), (b"n+2\0", 4)):
        if head[place : place + 4] == magic:
            layout = _LAYOUTS[magic]
            order = next((order for order in "<>" if _size(head, order) == layout.size), None)
            return None if order is None else (layout, order)
    return None


def _size(head: bytes, order: str) -> int:
    return int(np.frombuffer(head, f"{order}i4", 1)[0])


def _grid(head: bytes, layout: _Layout, order: str) -> tuple[tuple[int, ...], Any, int]:
    dimensions = [int(size) for size in _fields(head, layout.dim, order, 8)]
    shape = tuple(dimensions[1 : dimensions[0] + 1]) if 0 < dimensions[0] < 8 else ()
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3 or min(shape) < 1 or math.prod(shape) > MAX_VOXELS:
        msg = _("dimensions {value}, which is no scalar 3D volume").format(
            value=" × ".join(map(str, shape)) or _("none")
        )
        raise ValueError(msg)
    code = int(_fields(head, ("i2", layout.datatype), order, 1)[0])
    if code not in _TYPES:
        msg = _("voxels of NIfTI's type {code}, which is no kind of number that can be shown").format(code=code)
        raise ValueError(msg)
    start = int(_fields(head, layout.vox_offset, order, 1)[0])
    return shape, np.dtype(f"{order}{_TYPES[code]}"), max(start, layout.size + 4)


def _affine(head: bytes, layout: _Layout, order: str) -> Any:
    qform, sform = _fields(head, layout.codes, order, 2)
    if sform > 0:
        affine = np.eye(4)
        affine[:3] = np.array(_fields(head, layout.rows, order, 12), float).reshape(3, 4)
    else:
        affine = _from_quaternion(head, layout, order, qform > 0)
    if not np.isfinite(affine).all() or np.linalg.det(affine[:3, :3]) == 0:
        msg = _("a place in the world that is not one")
        raise ValueError(msg)
    return affine


def _from_quaternion(head: bytes, layout: _Layout, order: str, rotated: bool) -> Any:
    """Method 2 of nifti1.h; without a qform, method 1: spacings alone."""
    pixdim = [float(value) for value in _fields(head, layout.pixdim, order, 8)]
    affine = np.diag([*pixdim[1:4], 1.0])
    if rotated:
        b, c, d, *offset = (float(value) for value in _fields(head, layout.quaternion, order, 6))
        a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
        rotation = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        spacing = np.array(pixdim[1:4]) * [1.0, 1.0, -1.0 if pixdim[0] < 0 else 1.0]
        affine[:3, :3] = rotation * spacing
        affine[:3, 3] = offset
    return affine


def _fields(head: bytes, field: tuple[str, int], order: str, count: int) -> list[Any]:
    kind, place = field
    values: list[Any] = np.frombuffer(head, f"{order}{kind}", count, place).tolist()
    return values


def _unpacked(content: bytes, size: int) -> bytes:
    """At most so many bytes of what was packed with gzip."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, size)
    except zlib.error as error:
        msg = _("it cannot be unpacked ({error})").format(error=error)
        raise ValueError(msg) from None
