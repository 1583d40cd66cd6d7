"""Read and write volumes: NIfTI, FreeSurfer, NRRD and MetaImage.

Whatever the format, an array is indexed (i, j, k) with the file's fastest axis first, and the affine maps to RAS+ mm.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from slicerxai.data.limits import GridError, check_grid
from slicerxai.data.open_meta import open_meta
from slicerxai.data.open_nifti import open_freesurfer, open_nifti
from slicerxai.data.open_nrrd import TYPES as NRRD_TYPES
from slicerxai.data.open_nrrd import open_nrrd
from slicerxai.data.volume import Volume
from slicerxai.data.volume_source import LPS, Source, VolumeError
from slicerxai.errors import shortened

__all__ = [
    "DTYPES",
    "META",
    "READABLE",
    "WRITABLE",
    "Inspection",
    "VolumeError",
    "inspect_volume",
    "is_orthogonal",
    "read_volume",
    "stem_of",
    "suffix_of",
    "write_volume",
]

NIFTI = (".nii.gz", ".nii")
FREESURFER = (".mgz", ".mgh")
NRRD = (".nrrd", ".nhdr")
META = (".mha", ".mhd")
READABLE = NIFTI + NRRD + META + FREESURFER
WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")

DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
"""Voxel types that are read and written; bool is written as uint8."""

_T = TypeVar("_T")
_GZIP_LEVEL = 1  # level 6 saves a tenth of the size of a float map for four times the time


def suffix_of(path: Path) -> str:
    """The suffix that decides the format, lower-case, such as ".nii.gz"; empty when it is none of `READABLE`."""
    name = path.name.lower()
    return next((suffix for suffix in READABLE if name.endswith(suffix)), "")


def stem_of(path: Path) -> str:
    """The file name without the suffix of its format."""
    return path.name[: len(path.name) - len(suffix_of(path))]


@dataclass(frozen=True)
class Inspection:
    """What is known of a file, however bad it is.

    Attributes:
        shape, affine: from the header, (I, J, K) without a trailing fourth axis of length 1; None when unreadable.
        array: the voxels; None when the file or its header is at fault.
        faults: every fault found; empty for a usable file.
    """

    shape: tuple[int, ...] | None
    affine: NDArray[np.float64] | None
    array: NDArray[np.generic] | None
    faults: tuple[VolumeError, ...]


def read_volume(path: Path, max_voxels: int | None = None) -> Volume:
    """Read a 3D volume, voxel type kept as stored (float64 where NIfTI's scl_slope or scl_inter apply).

    Args:
        path: a file of one of the formats in `READABLE`.
        max_voxels: files whose header announces more voxels are refused before any voxel is read; the setting
            `voxel_limit` when None.

    Raises:
        VolumeError: naming the file and the fault: missing, a folder, unknown suffix, unreadable, not 3D (a trailing
            fourth axis of length 1 is accepted), voxels that are complex, RGB or non-finite, too many voxels, an affine
            that is singular or non-finite.
    """
    found = inspect_volume(path, max_voxels)
    if found.faults:
        raise found.faults[0]
    assert found.array is not None and found.affine is not None  # noqa: S101, PT018
    return Volume(found.array, found.affine)


def inspect_volume(path: Path, max_voxels: int | None = None) -> Inspection:
    """Read a file and collect its faults instead of raising them; see `read_volume`."""
    path = Path(path)
    try:
        source = _open(path)
    except VolumeError as error:
        return Inspection(None, None, None, (error,))
    shape = source.shape[:3] if len(source.shape) == 4 and source.shape[3] == 1 else source.shape
    faults = list(_header_faults(path, source, max_voxels))
    if faults:
        return Inspection(shape, source.affine, None, tuple(faults))
    try:
        array = _guarded(path, source.load)
    except VolumeError as error:
        return Inspection(shape, source.affine, None, (error,))
    array = array.reshape(shape, order="A").astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        faults.append(VolumeError(f"{path}: {bad} of {array.size} voxels are NaN or infinite", "non-finite"))
    return Inspection(shape, source.affine, array, tuple(faults))


def _open(path: Path) -> Source:
    suffix = suffix_of(path)
    if not _guarded(path, path.exists):  # raises for a name that is too long
        raise VolumeError(f"{path}: no such file", "missing")
    if path.is_dir():
        raise VolumeError(f"{path}: is a folder, expected an image file", "missing")
    if not suffix:
        raise VolumeError(f"{path}: unknown image format; accepted are {', '.join(READABLE)}", "suffix")
    open_source = next(opener for suffixes, opener in _OPENERS.items() if suffix in suffixes)
    return _guarded(path, lambda: open_source(path))


def write_volume(path: Path, volume: Volume) -> None:
    """Write .nii, .nii.gz, .nrrd or .mha atomically; missing folders are created.

    The same volume gives the same bytes. Bool is written as uint8. NRRD keeps every bit of the affine; NIfTI stores it
    in single precision; MetaImage splits it into direction and spacing (relative error of about 1e-16).

    Raises:
        InputError: unknown suffix, or a voxel type outside `DTYPES` and bool.
        ValueError: the affine is singular, or the affine or a voxel is not finite; such a file could not be read back.
    """
    path = Path(path)
    suffix = suffix_of(path)
    if suffix not in WRITABLE:
        raise VolumeError(f"{path}: cannot write this format; accepted are {', '.join(WRITABLE)}", "suffix")
    array = volume.array.astype(np.uint8) if volume.array.dtype == np.bool_ else volume.array
    if array.dtype.name not in DTYPES:
        raise VolumeError(f"{path}: cannot write voxels of type {array.dtype}; accepted are bool, {_dtypes()}", "dtype")
    if not np.isfinite(array).all() or not _usable(volume.affine):
        msg = f"{path}: not written, for a voxel is not finite or the affine not invertible"
        raise ValueError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}{suffix}")
    try:
        _WRITERS[suffix](temporary, Volume(array, volume.affine))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _dtypes() -> str:
    return ", ".join(DTYPES)


def _guarded(path: Path, read: Callable[[], _T]) -> _T:
    """Whatever a reader library raises on a damaged file becomes one kind of error."""
    try:
        return read()
    except VolumeError:
        raise
    except MemoryError:
        raise VolumeError(f"{path}: there is not enough memory to read it", "size") from None
    except Exception as error:
        reason = shortened(" ".join(str(error).split()) or type(error).__name__)[1:-1]
        raise VolumeError(
            f"{path}: damaged or not of the format that its name says ({reason})", "unreadable"
        ) from error


def _header_faults(path: Path, source: Source, max_voxels: int | None) -> Iterator[VolumeError]:
    shape = source.shape
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)):
        yield VolumeError(f"{path}: expected a 3D image, got shape {shape[:8]}", "dimensions")
    if min(shape, default=0) < 1:
        yield VolumeError(f"{path}: an axis has no voxels, shape {shape}", "dimensions")
    else:
        try:
            check_grid(shape, source.dtype or np.uint8, str(path), max_voxels)
        except GridError as error:
            yield VolumeError(str(error), "size")
    if source.dtype is None or source.dtype.name not in DTYPES:
        found = source.dtype or "RGB, vector, complex or unknown"
        yield VolumeError(f"{path}: voxels have type {found}; accepted are {_dtypes()}", "dtype")
    if not _usable(source.affine):
        yield VolumeError(f"{path}: the affine is singular or not finite: {source.affine.tolist()}", "affine")


def _usable(affine: NDArray[np.float64]) -> bool:
    """Finite, and its columns span space; the determinant of the unit columns is free of the voxel size."""
    if not np.isfinite(affine).all():
        return False
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return bool((spacing > 0).all() and abs(np.linalg.det(affine[:3, :3] / spacing)) > 1e-6)


def _write_nifti(path: Path, volume: Volume) -> None:
    image: Any = nib.Nifti1Image(volume.array, volume.affine, dtype=volume.array.dtype)
    image.header.set_zooms(volume.spacing)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code="scanner")
    if is_orthogonal(volume.affine):  # a quaternion cannot hold shear
        image.set_qform(volume.affine, code="scanner")
        image.set_sform(volume.affine, code="scanner")
    data = image.to_bytes()
    path.write_bytes(gzip.compress(data, _GZIP_LEVEL, mtime=0) if path.name.endswith(".gz") else data)


def is_orthogonal(affine: NDArray[np.float64], tolerance: float = 1e-4) -> bool:
    """Whether the voxel axes are at right angles: the largest |cosine| between two of them is within `tolerance`."""
    columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(columns.T @ columns - np.eye(3)).max() <= tolerance)


def _write_nrrd(path: Path, volume: Volume) -> None:
    array, affine = volume.array, (LPS @ volume.affine + 0.0).tolist()
    vectors = [f"({affine[0][axis]!r},{affine[1][axis]!r},{affine[2][axis]!r})" for axis in range(4)]
    fields = {
        "type": NRRD_TYPES[array.dtype.name].split(",")[0],
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(str(size) for size in array.shape),
        "space directions": " ".join(vectors[:3]),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "gzip",
        "space origin": vectors[3],
    }
    text = "NRRD0005\n" + "".join(f"{key}: {value}\n" for key, value in fields.items()) + "\n"
    data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(order="F")
    path.write_bytes(text.encode() + gzip.compress(data, _GZIP_LEVEL, mtime=0))


def _write_meta(path: Path, volume: Volume) -> None:
    native = volume.array.astype(volume.array.dtype.newbyteorder("="), copy=False)
    image = sitk.GetImageFromArray(np.ascontiguousarray(native.T))
    lps = LPS @ volume.affine + 0.0
    image.SetSpacing(volume.spacing)
    image.SetDirection((lps[:3, :3] / np.asarray(volume.spacing)).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


_OPENERS: dict[tuple[str, ...], Callable[[Path], Source]] = {
    NIFTI: open_nifti,
    FREESURFER: open_freesurfer,
    NRRD: open_nrrd,
    META: open_meta,
}
_WRITERS: dict[str, Callable[[Path, Volume], None]] = {
    ".nii.gz": _write_nifti,
    ".nii": _write_nifti,
    ".nrrd": _write_nrrd,
    ".mha": _write_meta,
}
