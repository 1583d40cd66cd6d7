"""Where relevance lies with respect to lesions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.volume import Volume

NEAR_MM = 5.0


@dataclass(frozen=True)
class Share:
    """Share of all positive relevance, in [0, 1]; None where there is none at all.

    Attributes:
        inside: within the voxels.
        near: within 5 mm of them, the voxels included.
    """

    inside: float | None
    near: float | None


def shares(relevance: Volume, numbered: NDArray[np.int32], within: float = NEAR_MM) -> list[Share]:
    """Positive relevance inside and near each numbered region.

    Args:
        numbered: shape of the map; 0 outside, regions numbered from 1 without a gap.
        within: mm.
    """
    positive = np.maximum(relevance.array.astype(np.float64), 0)
    total = float(positive.sum())
    objects = ndimage.find_objects(numbered)
    if not total > 0:
        return [Share(None, None)] * len(objects)
    margins = [int(np.ceil(within / size)) for size in relevance.spacing]
    found = []
    for number, place in enumerate(objects, start=1):
        box = tuple(slice(max(0, p.start - m), p.stop + m) for p, m in zip(place, margins, strict=True))
        inside, values = numbered[box] == number, positive[box]
        near = ndimage.distance_transform_edt(~inside, sampling=relevance.spacing) <= within
        found.append(Share(float(values[inside].sum()) / total, float(values[near].sum()) / total))
    return found
