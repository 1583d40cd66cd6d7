"""What is measured of every predicted lesion before anything is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.lesions import Lesion
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.monitoring.lesion_alarm_parameters import LesionSaliency

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

PLAIN = (
    "log volume",
    "mean probability",
    "highest probability",
    "lowest probability",
    "entropy",
    "probability around",
    "contrast",
    "depth",
)
OF_MAPS = ("relevance inside", "relevance near", "distance from nearest lesion")


def names(saliency: LesionSaliency | None) -> tuple[str, ...]:
    """Features in the order of the columns."""
    return PLAIN if saliency is None else PLAIN + OF_MAPS


@dataclass(frozen=True)
class LesionReadings:
    """The lesions of one image.

    Attributes:
        lesions: in the order of their numbers, from 1.
        numbered: number of the lesion at every voxel of the image's grid, 0 outside.
        features: (lesions, features), finite, in the order of `names(saliency)`.
        saliency: how maps were computed, None where none were.

    Raises:
        InputError: shapes that do not fit, or values that are not finite.
    """

    lesions: tuple[Lesion, ...]
    numbered: Volume
    features: Array
    saliency: LesionSaliency | None = None

    def __post_init__(self) -> None:
        wanted = len(self.lesions), len(names(self.saliency))
        if self.features.shape != wanted:
            msg = f"features have shape {self.features.shape}, not {wanted}"
            raise InputError(msg)
        if not np.isfinite(self.features).all():
            msg = "features of a lesion are not finite"
            raise InputError(msg)

    def column(self, name: str) -> Array:
        """One feature of all lesions, (lesions,)."""
        return np.asarray(self.features[:, names(self.saliency).index(name)])
