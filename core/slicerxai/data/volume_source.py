"""What the readers of image formats share: what a header says, and how its voxels are fetched afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError, shortened

Fault = Literal["missing", "unreadable", "suffix", "dimensions", "dtype", "size", "affine", "non-finite"]

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Between LPS+ and RAS+."""


class VolumeError(InputError):
    """A file is no usable volume.

    Attributes:
        fault: what kind of fault it is, for programs; the message says the same in words.
    """

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault: Fault = fault


@dataclass(frozen=True)
class Source:
    """What a header says, and how to read the voxels.

    Attributes:
        shape: as announced, of any number of axes.
        dtype: of a voxel; None for RGB, vectors, complex numbers and unknown types.
        affine: (4, 4), voxel index to RAS+ mm; not checked.
        load: reads the voxels, no more bytes than announced; shape (I, J, K) or (I, J, K, 1).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    affine: NDArray[np.float64]
    load: Callable[[], NDArray[np.generic]]


def confined(header_file: Path, data_name: str) -> Path:
    """The data file that a header names, links followed. One outside the header's folder is refused: else a header
    would let every file of the machine be read.
    """
    folder = header_file.parent.resolve()
    path = (folder / data_name).resolve()
    if not path.is_relative_to(folder):
        raise VolumeError(f"{header_file}: its data file {shortened(data_name)} lies outside its folder", "unreadable")
    return path
