"""Which predicted lesion a point means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from slicerxai.data.lesions import Lesion, nearest_lesion
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

REACH_MM: Final = 10.0
"""Farthest that a clicked point may be from a lesion."""


def lesion_at(numbered: Volume, lesions: Sequence[Lesion], point: tuple[float, float, float]) -> int:
    """Number of the lesion nearest to a point.

    Args:
        numbered: from `slicerxai.data.lesions.label_lesions`; lesions: those of the same label map.
        point: RAS mm.

    Raises:
        InputError: no lesion within `REACH_MM`; names the nearest one and its centre.
    """
    try:
        return nearest_lesion(numbered, point, REACH_MM)
    except InputError as error:
        if not lesions or not np.isfinite(point).all():
            raise
        number = nearest_lesion(numbered, point, np.inf)
        centre = ", ".join(f"{value:.1f}" for value in lesions[number - 1].centroid)
        msg = f"{error} (lesion {number}, centre {centre})"
        raise InputError(msg) from None
