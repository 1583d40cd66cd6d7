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


def share(relevance: Volume, mask: NDArray[np.bool_], within: float = NEAR_MM) -> Share:
    """Positive relevance inside and near a mask of the same shape with at least one true voxel."""
    positive = np.maximum(relevance.array.astype(np.float64), 0)
    total = float(positive.sum())
    if total <= 0:
        return Share(None, None)
    box = tuple(
        slice(max(0, part.start - margin), part.stop + margin)
        for part, margin in zip(ndimage.find_objects(mask.astype(np.int8))[0], _margins(relevance, within), strict=True)
    )
    cut, values = mask[box], positive[box]
    distance = ndimage.distance_transform_edt(~cut, sampling=relevance.spacing)
    return Share(float(values[cut].sum()) / total, float(values[distance <= within].sum()) / total)


def _margins(volume: Volume, within: float) -> list[int]:
    return [int(np.ceil(within / size)) + 1 for size in volume.spacing]
