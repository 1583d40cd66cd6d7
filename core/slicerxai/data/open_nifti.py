"""NIfTI and FreeSurfer files through nibabel.

Of a NIfTI file the header is read and nothing between it and the voxels: extensions are of no use here, and each may
announce, or unpack to, gigabytes.
"""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from slicerxai.data.limits import GridError, check_grid
from slicerxai.data.volume_source import Source, VolumeError

MAX_OFFSET = 16 * 1024**2
"""Bytes between the start of a file and its voxels; a packed file is unpacked up to there."""
_UNITS = {"meter": 1000.0, "micron": 0.001}
_NIFTI2_BYTES = 540
_NIFTI2_STARTS = {struct.pack("<i", _NIFTI2_BYTES), struct.pack(">i", _NIFTI2_BYTES)}
_MGH_DIMENSIONS = struct.Struct(">4i")


def open_nifti(path: Path) -> Source:
    """A single-file NIfTI-1 or NIfTI-2 image, plain or packed with gzip.

    Raises:
        VolumeError: the voxels start far behind the header.
        Exception: whatever nibabel raises for a damaged header.
    """
    start = _start(path, _NIFTI2_BYTES)
    kind = Nifti2Header if start[:4] in _NIFTI2_STARTS else Nifti1Header
    header: Any = kind.from_fileobj(io.BytesIO(start))
    offset = header["vox_offset"].item()
    if not kind.single_vox_offset <= offset <= MAX_OFFSET:
        raise VolumeError(
            f"{path}: its voxels start at byte {offset:g}; accepted are {kind.single_vox_offset} to {MAX_OFFSET}",
            "unreadable",
        )
    affine = np.array(header.get_best_affine(), dtype=np.float64)
    affine[:3] *= _UNITS.get(header.get_xyzt_units()[0], 1.0)
    voxels = ArrayProxy(path, header, mmap=False)
    return Source(
        tuple(int(axis) for axis in header.get_data_shape()),
        _scalar(header.get_data_dtype()),
        affine,
        lambda: np.asanyarray(voxels),
    )


def open_freesurfer(path: Path) -> Source:
    """An MGH file, plain or packed with gzip. Raises `VolumeError` for a shape that is too large, else as nibabel."""
    shape = [axis for axis in _MGH_DIMENSIONS.unpack(_start(path, 20)[4:]) if axis != 1]
    try:
        check_grid(shape or [1], np.uint8, str(path))  # before nibabel looks for what follows the voxels
    except GridError as error:
        raise VolumeError(str(error), "size" if min(shape) > 0 else "dimensions") from None
    image: Any = nib.load(path, mmap=False)
    affine = np.array(image.affine, dtype=np.float64)
    return Source(tuple(image.shape), _scalar(image.get_data_dtype()), affine, lambda: np.asanyarray(image.dataobj))


def _scalar(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    return dtype if dtype.fields is None and dtype.kind in "iuf" else None


def _start(path: Path, size: int) -> bytes:
    packed = path.name.lower().endswith(("gz", "mgz"))
    with gzip.open(path) if packed else path.open("rb") as file:
        return file.read(size)
