"""One examination of one subject: its images, its raters' masks and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from slicerxai.errors import InputError

if TYPE_CHECKING:
    from slicerxai.data.volume import Volume


@dataclass(frozen=True)
class Case:
    """Paths and metadata; voxels are read when asked for.

    Attributes:
        id: unique within its cohort.
        images: file by modality, upper-case, such as "FLAIR", "T1", "T2", "PD", "GADO".
        masks: file by rater, such as "1" … "7" or "consensus".
        metadata: what an environment can select on, such as "centre", "scanner", "age"; text or number.
    """

    id: str
    images: Mapping[str, Path]
    masks: Mapping[str, Path] = field(default_factory=dict)
    metadata: Mapping[str, str | float] = field(default_factory=dict)

    def image(self, modality: str) -> Volume:
        """Read one modality. Raises `InputError` when the case has none of that name or the file is unusable."""
        return _read(self._path(self.images, modality, "modality"))

    def mask(self, rater: str) -> Volume:
        """Read one rater's mask. Raises `InputError` when the case has none of that name or the file is unusable."""
        return _read(self._path(self.masks, rater, "rater"))

    def _path(self, paths: Mapping[str, Path], key: str, what: str) -> Path:
        if key not in paths:
            msg = f"case {self.id!r} has no {what} {key!r}; it has {', '.join(sorted(paths)) or 'none'}"
            raise InputError(msg)
        return paths[key]


def _read(path: Path) -> Volume:
    from slicerxai.data.io import read_volume  # the readers take long to import, and selecting cases needs none

    return read_volume(path)
