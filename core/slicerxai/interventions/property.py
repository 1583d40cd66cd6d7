"""The protocol behind which every source of changed images stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.volume import Volume
from slicerxai.interventions.property_info import PropertyInfo


@dataclass(frozen=True, eq=False)
class Scan:
    """What is changed.

    Attributes:
        images: by modality, the model's first channel first; single images have shape (H, W, 1), colour ones the keys
            "RED", "GREEN", "BLUE".
        lesions: 0/1 on the grid of the first image: an expert's mask, else the prediction; None: not known.
        sequence: images recorded one after the other, for the property "recorded".
        sequence_values: the property's value at each of them, ascending; empty: 1, 2, ….
        seed: of everything random; the same seed gives the same bits.
    """

    images: Mapping[str, Volume]
    lesions: Volume | None = None
    sequence: tuple[Mapping[str, Volume], ...] = ()
    sequence_values: tuple[float, ...] = ()
    seed: int = 0

    @property
    def reference(self) -> Volume:
        """The first image."""
        return next(iter(self.images.values()))


class Property(Protocol):
    """One property that can be set to a value while everything else about a scan stays.

    Images keep grid and affine, a background of zero stays exactly zero, and no voxel of the head becomes zero; float32
    unless the scan's own arrays are handed back. The same scan, seed and value give the same bits. Random parts are
    drawn once for a seed and scaled, so that images change continuously with the value.
    """

    @property
    def info(self) -> PropertyInfo: ...

    def unusable(self, scan: Scan) -> str | None:
        """Why this property cannot be changed on this scan, in words; None when it can."""

    def limits(self, scan: Scan) -> tuple[float, float]:
        """Least and greatest possible value on this scan. The default range of a path is that of `info`; where this is
        None, it ends here."""

    def neutral(self, scan: Scan) -> float | None:
        """The value at which the scan is as it is; None when there is none."""

    def realise(self, scan: Scan, value: float) -> dict[str, Volume]:
        """The scan with this value: every image under its key. At the neutral value the very arrays of the scan.

        Raises:
            InputError: the value is outside the limits, or the property is unusable on this scan.
        """


@runtime_checkable
class Sampled(Protocol):
    """A property that exists at some values only."""

    def samples(self, scan: Scan) -> NDArray[np.float64]:
        """The values, ascending."""


@runtime_checkable
class LesionEdit(Protocol):
    """A property that changes where lesions are."""

    def lesions_at(self, scan: Scan, value: float) -> Volume:
        """Mask of the lesions of the realised image, uint8 0/1, on the grid of the scan's first image."""
