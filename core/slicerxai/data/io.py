"""Read and write volumes: NIfTI through nibabel, NRRD through pynrrd, MetaImage through SimpleITK.

Whatever the format, an array is indexed (i, j, k) with the file's fastest axis first, and the affine maps to RAS+ mm.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

import nibabel as nib
import nrrd
import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

Fault = Literal["missing", "unreadable", "suffix", "dimensions", "dtype", "size", "affine", "non-finite"]

NIFTI = (".nii.gz", ".nii")
FREESURFER = (".mgz", ".mgh")
NRRD = (".nrrd", ".nhdr")
META = (".mha", ".mhd")
READABLE = NIFTI + NRRD + META + FREESURFER
WRITABLE = (".nii.gz", ".nii", ".nrrd", ".mha")

DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
"""Voxel types that are read and written; bool is written as uint8."""

MAX_VOXELS = 512**3
"""More voxels than any head scan has; a header that announces more is taken for damaged or hostile."""

_T = TypeVar("_T")
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NRRD_SPACES = {
    "right-anterior-superior": np.eye(4),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0, 1.0]),
    "left-posterior-superior": _LPS,
}
_NRRD_TYPES = {
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
_NRRD_SPACES |= {"RAS": np.eye(4), "LAS": _NRRD_SPACES["left-anterior-superior"], "LPS": _LPS}
_NIFTI_UNITS = {"meter": 1000.0, "micron": 0.001}
_GZIP_LEVEL = 1  # level 6 saves a tenth of the size of a float map for four times the time


class VolumeError(InputError):
    """A file is no usable volume.

    Attributes:
        fault: what kind of fault it is, for programs; the message says the same in words.
    """

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault: Fault = fault


@dataclass(frozen=True)
class _Source:
    """What a header says, and how to read the voxels."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    affine: NDArray[np.float64]
    load: Callable[[], NDArray[np.generic]]


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


def read_volume(path: Path, max_voxels: int = MAX_VOXELS) -> Volume:
    """Read a 3D volume, voxel type kept as stored (float64 where NIfTI's scl_slope or scl_inter apply).

    Args:
        path: a file of one of the formats in `READABLE`.
        max_voxels: files whose header announces more voxels are refused before any voxel is read.

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


def inspect_volume(path: Path, max_voxels: int = MAX_VOXELS) -> Inspection:
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


def _open(path: Path) -> _Source:
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
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VolumeError(
            f"{path}: damaged or not of the format that its name says ({reason})", "unreadable"
        ) from error


def _header_faults(path: Path, source: _Source, max_voxels: int) -> Iterator[VolumeError]:
    shape = source.shape
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] == 1)):
        yield VolumeError(f"{path}: expected a 3D image, got shape {shape}", "dimensions")
    if min(shape, default=0) < 1:
        yield VolumeError(f"{path}: an axis has no voxels, shape {shape}", "dimensions")
    if math.prod(shape) > max_voxels:
        yield VolumeError(f"{path}: shape {shape} has more than the accepted {max_voxels} voxels", "size")
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


def _open_nibabel(path: Path) -> _Source:
    image: Any = nib.load(path, mmap=False)
    affine = np.array(image.affine, dtype=np.float64)
    if isinstance(image, nib.Nifti1Image):
        affine[:3] *= _NIFTI_UNITS.get(image.header.get_xyzt_units()[0], 1.0)
    dtype = image.get_data_dtype()
    scalar = dtype if dtype.fields is None and dtype.kind in "iuf" else None
    return _Source(tuple(image.shape), scalar, affine, lambda: np.asanyarray(image.dataobj))


def _open_nrrd(path: Path) -> _Source:
    header = nrrd.read_header(str(path))
    detached = header.get("data file", header.get("datafile"))
    if detached is not None:
        _confined(path, str(detached))
    shape = tuple(int(size) for size in header["sizes"])
    return _Source(
        shape, _nrrd_dtype(header), _nrrd_affine(path, header, shape), lambda: _nrrd_array(path, header, shape)
    )


def _nrrd_dtype(header: Mapping[str, Any]) -> np.dtype[Any] | None:
    name = next((name for name, aliases in _NRRD_TYPES.items() if header["type"] in aliases.split(",")), None)
    return None if name is None else np.dtype(name).newbyteorder(">" if header.get("endian") == "big" else "<")


def _nrrd_affine(path: Path, header: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    if len(shape) not in {3, 4}:
        raise VolumeError(f"{path}: expected a 3D image, got shape {shape}", "dimensions")
    space = header.get("space")
    if space not in _NRRD_SPACES or "space directions" not in header or "space origin" not in header:
        needs = f"'space' one of {', '.join(_NRRD_SPACES)} with 'space directions' and 'space origin'"
        raise VolumeError(
            f"{path}: its place in the patient is not stated (space {space!r}); needed: {needs}", "affine"
        )
    directions = np.asarray(header["space directions"], dtype=np.float64)
    if np.isnan(directions[0]).any() and shape[0] > 1:
        raise VolumeError(f"{path}: {shape[0]} components a voxel, expected a 3D image with one", "dimensions")
    affine = np.eye(4)
    affine[:3, :3] = directions[:3].T
    affine[:3, 3] = header["space origin"]
    # + 0.0 turns -0.0 into 0.0
    return _NRRD_SPACES[space] @ affine + 0.0


def _nrrd_array(path: Path, header: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.generic]:
    dtype = np.dtype(_nrrd_dtype(header))
    with path.open("rb") as file:
        start = nrrd.read_header(file)  # leaves the file at the first byte of an attached data block
        attached = not {"data file", "datafile", "line skip", "lineskip", "byte skip", "byteskip"} & set(start)
        if not (attached and start["encoding"] in {"gzip", "gz"}):
            return nrrd.read_data(header, file, str(path), index_order="F")
        # pynrrd unpacks everything at once; only as much as the header announces may be unpacked
        size = math.prod(shape) * dtype.itemsize
        unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(file.read(), size)
    if len(unpacked) != size:
        raise VolumeError(f"{path}: {len(unpacked)} bytes of voxels, the header announces {size}", "unreadable")
    return np.frombuffer(bytearray(unpacked), dtype).reshape(shape, order="F")


def _open_meta(path: Path) -> _Source:
    with path.open("rb") as file:
        for line in file:
            key, _, value = line.partition(b"=")
            if key.strip() == b"ElementDataFile":
                if value.strip() != b"LOCAL":
                    _confined(path, value.strip().decode())
                break
    reader = sitk.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    shape = tuple(int(size) for size in reader.GetSize())
    if len(shape) not in {3, 4}:
        raise VolumeError(f"{path}: expected a 3D image, got shape {shape}", "dimensions")
    direction = np.reshape(reader.GetDirection(), (len(shape), len(shape)))[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(reader.GetSpacing()[:3])
    affine[:3, 3] = reader.GetOrigin()[:3]
    dtype = _SITK_DTYPES.get(reader.GetPixelID()) if reader.GetNumberOfComponents() == 1 else None
    return _Source(shape, dtype, _LPS @ affine + 0.0, lambda: sitk.GetArrayFromImage(reader.Execute()).T)


def _confined(header_file: Path, data_name: str) -> None:
    """A header may name a data file of its own folder only; any other would let it read every file of the machine."""
    folder = header_file.parent.resolve()
    if not (folder / data_name).resolve().is_relative_to(folder):
        raise VolumeError(f"{header_file}: its data file {data_name!r} lies outside its folder", "unreadable")


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
    array, affine = volume.array, (_LPS @ volume.affine + 0.0).tolist()
    vectors = [f"({affine[0][axis]!r},{affine[1][axis]!r},{affine[2][axis]!r})" for axis in range(4)]
    fields = {
        "type": _NRRD_TYPES[array.dtype.name].split(",")[0],
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
    lps = _LPS @ volume.affine + 0.0
    image.SetSpacing(volume.spacing)
    image.SetDirection((lps[:3, :3] / np.asarray(volume.spacing)).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


_OPENERS: dict[tuple[str, ...], Callable[[Path], _Source]] = {
    NIFTI + FREESURFER: _open_nibabel,
    NRRD: _open_nrrd,
    META: _open_meta,
}
_WRITERS: dict[str, Callable[[Path, Volume], None]] = {
    ".nii.gz": _write_nifti,
    ".nii": _write_nifti,
    ".nrrd": _write_nrrd,
    ".mha": _write_meta,
}
_SITK_DTYPES: dict[int, np.dtype[Any]] = {
    getattr(sitk, f"sitk{'U' if name.startswith('u') else ''}Int{name.split('int')[1]}"): np.dtype(name)
    for name in DTYPES
    if "int" in name
} | {sitk.sitkFloat32: np.dtype("float32"), sitk.sitkFloat64: np.dtype("float64")}
