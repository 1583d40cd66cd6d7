"""Lesions as connected components of a label map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

MINIMUM_MM3 = 3.0
"""Smallest lesion that counts, as in the MSSEG 2016 evaluation (Commowick et al., Scientific Reports 8:13650, 2018)."""

_TOUCHING = np.ones((3, 3, 3), dtype=bool)  # 26 neighbours


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Attributes:
        number: from 1, largest lesion first; the value of its voxels in `label_lesions`.
        volume_ml: voxels times voxel volume.
        centroid: mean of its voxel centres, RAS mm; may lie outside a bent lesion.
        voxels: how many.
        mean_probability: over its voxels, in [0, 1]; None when no probability was given.
    """

    number: int
    volume_ml: float
    centroid: tuple[float, float, float]
    voxels: int
    mean_probability: float | None = None


def label_components(mask: NDArray[np.bool_], minimum_voxels: float = 1) -> tuple[NDArray[np.int32], int]:
    """Connected components over 26 neighbours, numbered from 1 by falling size (ties in index order).

    Returns:
        Array of the mask's shape, 0 outside, and the number of components that have at least `minimum_voxels`.
    """
    labelled, _ = ndimage.label(mask, structure=_TOUCHING)
    sizes = np.bincount(labelled.ravel())
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")
    kept = order[(sizes[order] > 0) & (sizes[order] >= minimum_voxels)]
    number = np.zeros(sizes.size, dtype=np.int32)
    number[kept] = np.arange(1, kept.size + 1)
    return number[labelled], int(kept.size)


def label_lesions(labelmap: Volume, label: int | None = 1, minimum_mm3: float = MINIMUM_MM3) -> Volume:
    """Number of the lesion at every voxel, int32, 0 outside.

    Args:
        labelmap: integer or boolean labels.
        label: the value that lesions have; None takes every value but 0.
        minimum_mm3: smaller lesions are left out.
    """
    mask = labelmap.array != 0 if label is None else labelmap.array == label
    # the tolerance keeps a lesion of exactly the minimum when the voxel volume carries a rounding error
    labelled, _ = label_components(mask, minimum_mm3 / labelmap.voxel_volume - 1e-6)
    return labelmap.with_array(labelled)


def find_lesions(
    labelmap: Volume,
    probability: Volume | None = None,
    label: int | None = 1,
    minimum_mm3: float = MINIMUM_MM3,
) -> list[Lesion]:
    """The lesions of `label_lesions`, in the order of their numbers.

    Raises:
        InputError: the probability has another shape than the label map.
    """
    if probability is not None and probability.shape != labelmap.shape:
        msg = f"the probability has shape {probability.shape}, the label map {labelmap.shape}"
        raise InputError(msg)
    labelled = label_lesions(labelmap, label, minimum_mm3).array
    where = np.nonzero(labelled)
    numbers = labelled[where].astype(np.intp)
    counts = np.bincount(numbers)[1:]
    centroids = np.stack([np.bincount(numbers, weights=axis)[1:] / counts for axis in where], axis=-1)
    world = centroids @ labelmap.affine[:3, :3].T + labelmap.affine[:3, 3]
    means: Sequence[float | None] = [None] * counts.size
    if probability is not None:
        means = (np.bincount(numbers, weights=probability.array[where])[1:] / counts).tolist()
    return [
        Lesion(
            number=index + 1,
            volume_ml=float(count * labelmap.voxel_volume / 1000),
            centroid=(float(centre[0]), float(centre[1]), float(centre[2])),
            voxels=int(count),
            mean_probability=mean,
        )
        for index, (count, centre, mean) in enumerate(zip(counts, world, means, strict=True))
    ]


def nearest_lesion(lesions_labelled: Volume, point: Sequence[float], within_mm: float = 10.0) -> int:
    """Number of the lesion with the voxel centre nearest to a point.

    Args:
        lesions_labelled: from `label_lesions`.
        point: RAS mm.
        within_mm: the farthest that the voxel centre may be.

    Raises:
        InputError: not three finite coordinates, no lesion at all, or none near enough; names the distance.
    """
    place = np.asarray(point, dtype=np.float64)
    if place.shape != (3,) or not np.isfinite(place).all():
        msg = f"a point is three finite RAS coordinates in mm, got {list(point)}"
        raise InputError(msg)
    indices = np.argwhere(lesions_labelled.array)
    if indices.size == 0:
        msg = "there is no lesion to choose from: the segmentation has none of the minimum volume"
        raise InputError(msg)
    affine = lesions_labelled.affine
    distances = np.linalg.norm(indices @ affine[:3, :3].T + affine[:3, 3] - place, axis=1)
    nearest = int(distances.argmin())
    if distances[nearest] > within_mm:
        where = ", ".join(f"{value:g}" for value in place)
        msg = f"no lesion within {within_mm:g} mm of ({where}); the nearest is {distances[nearest]:.1f} mm away"
        raise InputError(msg)
    return int(lesions_labelled.array[tuple(indices[nearest])])
