"""How well a predicted lesion mask agrees with a reference mask.

Policy for empty masks, the same everywhere: both empty is perfect agreement (Dice, F1, precision and recall 1, errors
and distances 0). Only one empty: Dice and F1 are 0, and what has no meaning is None, never NaN: surface distances, the
precision of no predicted lesion, the recall and relative volume error of no reference lesion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from slicerxai.data.lesions import MINIMUM_MM3, label_components
from slicerxai.data.resample import same_grid
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class LesionScores:
    """Detection of whole lesions; see `lesion_scores` for the rule.

    Attributes:
        f1, precision, recall: in [0, 1]; None where there is nothing to divide by.
        predicted, reference: lesions counted on each side.
        true_predicted: predicted lesions that match a reference lesion.
        found_reference: reference lesions that match a predicted lesion.
    """

    f1: float
    precision: float | None
    recall: float | None
    predicted: int
    reference: int
    true_predicted: int
    found_reference: int


@dataclass(frozen=True)
class SurfaceDistances:
    """Between the surfaces of two masks, mm; see `surface_distances`."""

    average: float | None
    hd95: float | None


@dataclass(frozen=True)
class Scores:
    """Everything about one case.

    Attributes:
        dice: in [0, 1].
        lesions: detection of whole lesions.
        absolute_volume_error_ml: |prediction − reference|, ml.
        relative_volume_error: (prediction − reference) / reference; negative when lesions are drawn too small.
        average_surface_distance, hd95: mm.
    """

    dice: float
    lesions: LesionScores
    absolute_volume_error_ml: float
    relative_volume_error: float | None
    average_surface_distance: float | None
    hd95: float | None


def dice(prediction: Mask, reference: Mask) -> float:
    """2|P ∩ R| / (|P| + |R|) of two masks of one shape (Dice, Ecology 26:297, 1945); 1 when both are empty."""
    _same_shape(prediction, reference)
    total = np.count_nonzero(prediction) + np.count_nonzero(reference)
    return 1.0 if total == 0 else float(2 * np.count_nonzero((prediction != 0) & (reference != 0)) / total)


def lesion_scores(
    prediction: Mask,
    reference: Mask,
    voxel_volume: float = 1.0,
    minimum_mm3: float = MINIMUM_MM3,
    overlap_voxels: int = 1,
) -> LesionScores:
    """Lesion-wise precision, recall and F1 by the any-overlap rule.

    Lesions are connected components over 26 neighbours; on both sides those below `minimum_mm3` are removed first. A
    reference lesion is found when at least `overlap_voxels` of its voxels are predicted; a predicted lesion is true
    when at least so many of its voxels lie in the reference. Recall = found / reference lesions, precision = true /
    predicted lesions, F1 = 2PR / (P + R). With one voxel this is the lesion-wise true positive rate, and one minus the
    lesion-wise false positive rate, of Carass et al., NeuroImage 148:77–102, 2017. It is kinder to a prediction that
    merges lesions than the 10 % overlap rule of Commowick et al. 2018.

    Args:
        voxel_volume: mm³.
    """
    _same_shape(prediction, reference)
    smallest = minimum_mm3 / voxel_volume - 1e-6
    predicted, n_predicted = label_components(prediction != 0, smallest)
    wanted, n_reference = label_components(reference != 0, smallest)
    both = (predicted > 0) & (wanted > 0)
    true = int(np.count_nonzero(np.bincount(predicted[both], minlength=1) >= overlap_voxels))
    found = int(np.count_nonzero(np.bincount(wanted[both], minlength=1) >= overlap_voxels))
    if n_predicted == n_reference == 0:
        return LesionScores(1.0, 1.0, 1.0, 0, 0, 0, 0)
    precision = true / n_predicted if n_predicted else None
    recall = found / n_reference if n_reference else None
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else 0.0
    return LesionScores(f1, precision, recall, n_predicted, n_reference, true, found)


def surface_distances(prediction: Mask, reference: Mask, affine: NDArray[np.float64]) -> SurfaceDistances:
    """Average symmetric surface distance and 95th percentile Hausdorff distance.

    The surface is every voxel of the mask with a face neighbour outside it (beyond the volume counts as outside);
    distances run between voxel centres in world coordinates, so spacing and shear count. The average is over the
    surface voxels of both masks together (Heimann et al., IEEE TMI 28:1251, 2009); HD95 is the larger of the two
    directed 95th percentiles, linearly interpolated.

    Args:
        affine: (4, 4), voxel index to mm.
    """
    _same_shape(prediction, reference)
    if not prediction.any() and not reference.any():
        return SurfaceDistances(0.0, 0.0)
    if not prediction.any() or not reference.any():
        return SurfaceDistances(None, None)
    one, other = _surface(prediction, affine), _surface(reference, affine)
    there = np.asarray(KDTree(other).query(one)[0])
    back = np.asarray(KDTree(one).query(other)[0])
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return SurfaceDistances(float(np.concatenate([there, back]).mean()), float(hd95))


def evaluate(
    prediction: Volume,
    reference: Volume,
    minimum_mm3: float = MINIMUM_MM3,
    overlap_voxels: int = 1,
) -> Scores:
    """All scores of one case; every value but 0 counts as lesion.

    Raises:
        InputError: the two lie on different grids (resample first).
    """
    if not same_grid(prediction, reference.affine, reference.shape, within_mm=0.1):
        msg = f"prediction {prediction.shape} and reference {reference.shape} lie on different grids"
        raise InputError(msg)
    predicted, wanted = prediction.array != 0, reference.array != 0
    voxel = reference.voxel_volume
    volumes = np.count_nonzero(predicted) * voxel, np.count_nonzero(wanted) * voxel
    relative = float((volumes[0] - volumes[1]) / volumes[1]) if volumes[1] else (None if volumes[0] else 0.0)
    distances = surface_distances(predicted, wanted, reference.affine)
    return Scores(
        dice=dice(predicted, wanted),
        lesions=lesion_scores(predicted, wanted, voxel, minimum_mm3, overlap_voxels),
        absolute_volume_error_ml=float(abs(volumes[0] - volumes[1]) / 1000),
        relative_volume_error=relative,
        average_surface_distance=distances.average,
        hd95=distances.hd95,
    )


def _surface(mask: Mask, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """World coordinates of the surface voxels, shape (N, 3), mm."""
    inside = mask != 0
    indices = np.argwhere(inside & ~ndimage.binary_erosion(inside))
    return np.asarray(indices @ affine[:3, :3].T + affine[:3, 3])


def _same_shape(prediction: Mask, reference: Mask) -> None:
    if prediction.shape != reference.shape:
        msg = f"prediction has shape {prediction.shape}, reference {reference.shape}"
        raise InputError(msg)
