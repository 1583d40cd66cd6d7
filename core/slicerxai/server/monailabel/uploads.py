"""Uploaded image files, read before they land anywhere."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
from starlette.datastructures import UploadFile

from slicerxai.data.io import read_volume, suffix_of
from slicerxai.data.resample import same_grid
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

SUFFIXES = (".nii.gz", ".nii", ".nrrd")
GRID_TOLERANCE_MM = 0.1
"""NIfTI keeps single precision and Slicer rewrites headers: a fraction of any voxel, far above their rounding."""

_FILE_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


def check_file_name(name: str | None) -> str:
    """The suffix of an uploaded file's name. Raises `InputError` for a path, a control character or another format."""
    if not name or not _FILE_NAME.fullmatch(name) or name.startswith("."):
        msg = f"bad file name {name!r}; a plain name without folders is accepted, ending in {', '.join(SUFFIXES)}"
        raise InputError(msg)
    suffix = suffix_of(Path(name))
    if suffix not in SUFFIXES or not name.endswith(suffix):
        msg = f"{name}: unknown image format; accepted are {', '.join(SUFFIXES)}"
        raise InputError(msg)
    return suffix


def drop_folders(upload: UploadFile) -> None:
    """Keep the last part of the file's name: MONAI Label's own client sends the whole path on the sender's machine."""
    upload.filename = re.split(r"[/\\]", upload.filename or "")[-1]


def read_upload(upload: UploadFile) -> Volume:
    """The volume in an uploaded file, which is left at its start.

    Raises:
        InputError: naming the file and its fault, as `read_volume` does.
    """
    suffix = check_file_name(upload.filename)
    with tempfile.TemporaryDirectory(prefix="slicerxai-upload-") as folder:
        path = Path(folder) / f"upload{suffix}"
        upload.file.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(upload.file, file)
        upload.file.seek(0)
        try:
            return read_volume(path)
        except InputError as error:
            msg = str(error).replace(str(path), str(upload.filename))
            raise InputError(msg) from None


def check_label(upload: UploadFile, image: Path) -> None:
    """Raises `InputError` unless the upload is a labelmap on the grid of the image: integers ≥ 0, same shape, place."""
    label, reference = read_upload(upload), read_volume(image)
    if label.shape != reference.shape:
        msg = f"{upload.filename}: shape {label.shape}, but the image {image.name} has {reference.shape}"
        raise InputError(msg)
    if not same_grid(label, reference.affine, reference.shape, within_mm=GRID_TOLERANCE_MM):
        msg = f"{upload.filename}: does not lie on the grid of the image {image.name}; their affines differ"
        raise InputError(msg)
    array = label.array
    if array.min() < 0 or (array.dtype.kind == "f" and not np.array_equal(array, np.rint(array))):
        msg = f"{upload.filename}: a labelmap holds whole numbers from 0, this file others"
        raise InputError(msg)
