"""What the properties have in common: checks of the value, and work done once for a scan."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar
from zlib import crc32

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.acquisition import Array, head_median, in_head
from slicerxai.interventions.property import Scan
from slicerxai.interventions.property_info import PROPERTIES, PropertyInfo

S = TypeVar("S")


class ScanProperty(ABC, Generic[S]):
    """A property whose preparation for a scan is kept until another scan comes.

    Attributes:
        info: which property.
        possible: least and greatest value that makes sense on any scan.
    """

    possible: tuple[float, float]

    def __init__(self, name: str) -> None:
        self.info: PropertyInfo = PROPERTIES[name]
        self._kept: tuple[Scan, S] | None = None
        self._usable: Scan | None = None

    def unusable(self, scan: Scan) -> str | None:
        return unusable_intensities(scan.images)

    def limits(self, scan: Scan) -> tuple[float, float]:
        return self.possible

    def neutral(self, scan: Scan) -> float | None:
        return self.info.neutral

    def realise(self, scan: Scan, value: float) -> dict[str, Volume]:
        self.check(scan, value)
        if value == self.neutral(scan):
            return dict(scan.images)
        return self.changed(scan, self.prepared(scan), value)

    def prepared(self, scan: Scan) -> S:
        """What `prepare` made of this scan."""
        kept = self._kept
        if kept is None or kept[0] is not scan:
            kept = (scan, self.prepare(scan))
            self._kept = kept
        return kept[1]

    def check(self, scan: Scan, value: float) -> None:
        """Raises `InputError` for a scan that cannot be changed, or a value outside the limits."""
        if self._usable is not scan:
            reason = self.unusable(scan)
            if reason is not None:
                msg = f"{self.info.title} cannot be changed on this scan: {reason}"
                raise InputError(msg)
            self._usable = scan
        low, high = self.limits(scan)
        if not low <= value <= high:
            units = f" {self.info.units}" if self.info.units else ""
            msg = f"{self.info.title} {value:g}{units}; {low:g} to {high:g}{units} is possible on this scan"
            raise InputError(msg)

    @abstractmethod
    def prepare(self, scan: Scan) -> S:
        """What does not depend on the value."""

    @abstractmethod
    def changed(self, scan: Scan, state: S, value: float) -> dict[str, Volume]:
        """The images at a value that is possible and not neutral."""


class ImageProperty(ScanProperty[dict[str, S]]):
    """A property that changes every image on its own."""

    def changed(self, scan: Scan, state: dict[str, S], value: float) -> dict[str, Volume]:
        result = {}
        for key, volume in scan.images.items():
            image = volume.array.astype(np.float32)
            result[key] = volume.with_array(in_head(image, self.change(volume, image, state[key], value)))
        return result

    @abstractmethod
    def change(self, volume: Volume, image: Array, state: S, value: float) -> Array:
        """One image, float32 (I, J, K), at a value; what it does to the background does not matter."""


def generator(scan: Scan, name: str, part: int = 0) -> np.random.Generator:
    """The random numbers of one property on a scan; `part` is the number of the image."""
    return np.random.default_rng(np.random.SeedSequence(scan.seed, spawn_key=(crc32(name.encode()), part)))


def unusable_intensities(images: Mapping[str, Volume]) -> str | None:
    """Why intensities cannot be changed; None when they can."""
    for key, volume in images.items():
        if volume.array.dtype.kind not in "biuf" or not np.isfinite(volume.array).all():
            return f"{key} does not hold finite numbers"
        median = head_median(volume.array.astype(np.float32))
        if not median > 0:
            return f"the median of {key} is {median:g}; intensities as scanners store them, above 0, are needed"
    return None


def single_image(images: Mapping[str, Volume]) -> bool:
    """Whether these are single images (H, W, 1), not volumes."""
    return any(volume.shape[2] == 1 for volume in images.values())
