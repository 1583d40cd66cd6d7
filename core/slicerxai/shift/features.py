"""What a case looks like in a few numbers: who it is, how it was scanned, how it was drawn.

One group of numbers for each variable of the mechanism graph. Images are taken relative to their median in the brain:
segmenters normalise too, and a scale that the model never sees cannot cost performance, yet would tell any two scanners
apart. Groups are small on purpose, because density ratios are learnt from some dozens of cases.

- Population S: age, sex and disease burden, see `population_features`.
- Image X: `acquisition_features` (noise, resolution, tone, shading) and `prediction_features` (what the model makes of
  it); `embedding` gives the network's innermost features for methods that reduce them inside their folds.
- Mask Y: `style_features` (the drawing against the image), `reference_features` (against a reference mask that does not
  depend on the rater) and `agreement_features` (against the model's own prediction, for regressions of the metric).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from slicerxai.data.lesions import MINIMUM_MM3, label_components
from slicerxai.data.metrics import dice
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.intensity import foreground
from slicerxai.models.protocols import Segmentation, Segmenter

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Features = dict[str, float]

LOAD_FLOOR_ML = 0.05
"""Added to volumes before their logarithm, ml: below it, volumes count as nothing."""
RING_MM = (4.0, 8.0)
"""Distance from the drawn lesions at which white matter is looked for, mm."""
NEAR_MM = 4.0
"""How far from the drawn boundary the image's own outline is looked for, mm."""
SHADING_MM = 15.0
"""Standard deviation of the smoothing that leaves shading alone, mm."""


def population_features(
    metadata: Mapping[str, str | float], burden_ml: float | None, lesions: int | None = None
) -> Features:
    """Who the patient is.

    Args:
        metadata: "age" (years) and "sex" ("F" or "M", or the like) are used where they are known.
        burden_ml: disease burden that depends neither on the scanner nor on the rater at hand, such as the volume of
            the consensus of one panel that read every case; None where there is no such measurement. A mask of the
            environment's own rater, or the model's own prediction, is none: it carries the annotation or the
            acquisition into the population.
        lesions: how many lesions that measurement counts; at the same burden, many small ones lower Dice.

    Returns:
        "age" in years, "female" 0 or 1, "log_burden" as ln(ml + 0.05), "log_lesions" as ln(1 + count); only what is
        known.
    """
    found: Features = {}
    if "age" in metadata:
        found["age"] = float(metadata["age"])
    if "sex" in metadata:
        found["female"] = float(str(metadata["sex"]).strip().lower().startswith("f"))
    if burden_ml is not None:
        found["log_burden"] = math.log(burden_ml + LOAD_FLOOR_ML)
    if lesions is not None:
        found["log_lesions"] = math.log1p(lesions)
    return found


def acquisition_features(image: Volume) -> Features:
    """How one modality was scanned, from the image alone; every number is free of the intensity scale.

    Second differences along an axis hold noise and sharpness: their median over even tissue is taken in plane
    and along the coarsest axis, whose ratio tells slice thickness. The structure function over a long distance against
    a short one tells the grain. Percentiles relative to the median tell the tone curve, and the slow variation of
    mid-range tissue tells shading.

    Args:
        image: skull-stripped, zero outside the brain, any spacing and orientation.

    Returns:
        "high_frequency", "anisotropy", "grain" (logarithms), "dark", "contrast", "bright" (percentiles 5, 75 - 25 and
        95 relative to the median), "tone" (log of upper against lower quartile distance) and "shading" (SD).

    Raises:
        InputError: an empty image, or one without contrast in its middle half.
    """
    brain = foreground(image.array, "the image")
    values = np.asarray(image.array, dtype=np.float64)
    p5, p25, median, p75, p95 = np.percentile(values[brain], (5, 25, 50, 75, 95))
    if not (p75 > median > p25 and median > 0):
        msg = f"the image has no contrast: quartiles {p25:g}, {median:g}, {p75:g} in the brain; they must rise above 0"
        raise InputError(msg)
    relative = np.where(brain, values / median, 0.0)
    inner = _even_tissue(relative, brain, image.spacing)
    through = int(np.argmax(_steps(image)))
    plane = [axis for axis in range(3) if axis != through]
    second = [_second_difference(relative, inner, axis) for axis in range(3)]
    flat = math.sqrt(second[plane[0]] * second[plane[1]])
    short = np.mean([_structure(relative, inner, axis, 1) for axis in plane])
    long = np.mean([_structure(relative, inner, axis, 3) for axis in plane])
    return {
        "high_frequency": math.log(flat),
        "anisotropy": math.log(second[through] / flat),
        "grain": math.log(float(long / short)),
        "dark": float(p5 / median),
        "contrast": float((p75 - p25) / median),
        "bright": float(p95 / median),
        "tone": math.log((p75 - median) / (median - p25)),
        "shading": _shading(relative, brain, image.spacing),
    }


def _steps(image: Volume) -> tuple[float, float, float]:
    """Voxel sizes, with the axis nearest to superior favoured on a tie: slices are usually axial."""
    upright = np.abs(image.affine[2, :3]) / np.maximum(np.abs(image.affine[:3, :3]).sum(axis=0), 1e-9)
    i, j, k = (size + 1e-3 * float(up) for size, up in zip(image.spacing, upright, strict=True))
    return i, j, k


def _even_tissue(relative: Array, brain: Mask, spacing: tuple[float, float, float]) -> Mask:
    """The half of the inner voxels near the median whose surroundings vary least: noise shows there, anatomy little."""
    size = [2.0 / size for size in spacing]
    smooth = ndimage.gaussian_filter(relative, size)
    inner = ndimage.binary_erosion(brain, iterations=2) & (np.abs(smooth - 1) < 0.15)
    if not inner.any():
        return brain
    slope = sum(np.gradient(smooth, axis=axis) ** 2 for axis in range(3))
    return np.asarray(inner & (slope <= np.median(slope[inner])))


def _second_difference(values: Array, inside: Mask, axis: int) -> float:
    """Median of |x(-1) - 2 x(0) + x(1)|, at least 1e-6."""
    second = np.abs(ndimage.convolve1d(values, [1.0, -2.0, 1.0], axis=axis))
    return max(float(np.median(second[inside])), 1e-6)


def _structure(values: Array, inside: Mask, axis: int, lag: int) -> float:
    """Mean of |x(lag) - x(0)|² over pairs inside, at least 1e-9."""
    one, other = np.moveaxis(values, axis, 0)[:-lag], np.moveaxis(values, axis, 0)[lag:]
    both = np.moveaxis(inside, axis, 0)[:-lag] & np.moveaxis(inside, axis, 0)[lag:]
    return max(float(np.mean((other[both] - one[both]) ** 2)), 1e-9) if both.any() else 1e-9


def _shading(relative: Array, brain: Mask, spacing: tuple[float, float, float]) -> float:
    """SD of the slow part of mid-range tissue, by normalised smoothing."""
    tissue = (brain & (relative > 0.65) & (relative < 1.35)).astype(np.float64)
    sigma = [SHADING_MM / size for size in spacing]
    weight = ndimage.gaussian_filter(tissue, sigma)
    slow = ndimage.gaussian_filter(relative * tissue, sigma) / np.maximum(weight, 1e-6)
    return float(slow[(tissue > 0) & (weight > 0.05)].std()) if (weight > 0.05).any() else 0.0


def prediction_features(found: Segmentation) -> Features:
    """What the model makes of the image: a function of the image, so it belongs to X.

    Returns:
        "log_predicted": ln(ml + 0.05); "confidence": 2 Σ p̂ p / (Σ p̂ + Σ p) of the labels p̂ and probabilities p, the
        Dice that the model expects of itself if its probabilities are right; 1 when both are empty;
        "log_predicted_lesions": ln(1 + count).
    """
    labels = np.asarray(found.labelmap.array) != 0
    probability = np.asarray(found.probability.array, dtype=np.float64)
    total = labels.sum() + probability.sum()
    voxel = found.labelmap.voxel_volume
    _, count = label_components(labels, MINIMUM_MM3 / voxel - 1e-6)
    return {
        "log_predicted": math.log(float(labels.sum()) * voxel / 1000 + LOAD_FLOOR_ML),
        "confidence": float(2 * probability[labels].sum() / total) if total > 1e-6 else 1.0,
        "log_predicted_lesions": math.log1p(count),
    }


@dataclass(frozen=True)
class _Drawing:
    """A mask, its signed distance (mm, negative inside) and the image relative to its median, in a box."""

    mask: Mask
    distance: Array
    relative: Array
    brain: Mask


def style_features(image: Volume, mask: Volume) -> Features:
    """How the lesions were drawn, seen against the image.

    The image's own outline is where it is brighter than half-way between nearby tissue and the drawn lesions; half-way,
    because blur and tone move that place least. The drawing's mean distance from it tells over- and under-drawing.

    Args:
        image: bright lesions (FLAIR, T2, PD), zero outside the brain.
        mask: on the image's grid; every value but 0 is lesion. May be empty.

    Returns:
        "offset_mm": mean distance of the drawn boundary outside the image's outline; "edge": brightness of the drawn
        rim, 0 as nearby tissue to 1 as the lesions' core; "disagreement": voxels in one of drawing and outline only,
        relative to the drawing; "log_lesions": ln(1 + count); "log_median_mm3": ln(1 + median lesion volume);
        "faintest": contrast of the faintest tenth of lesions relative to the median. All 0 for an empty mask.
    """
    if mask.shape != image.shape:
        msg = f"the mask has shape {mask.shape}, the image {image.shape}; resample it first"
        raise InputError(msg)
    names = ("offset_mm", "edge", "disagreement", "log_lesions", "log_median_mm3", "faintest")
    lesions = np.asarray(mask.array) != 0
    if not lesions.any():
        return dict.fromkeys(names, 0.0)
    drawing = _drawing(image, lesions)
    near = drawing.brain & (drawing.distance <= NEAR_MM)
    ring = drawing.brain & (drawing.distance > RING_MM[0]) & (drawing.distance <= RING_MM[1])
    tissue = float(np.median(drawing.relative[ring if ring.any() else drawing.brain]))
    core = float(np.percentile(drawing.relative[drawing.mask], 75))
    rise = max(core - tissue, 0.02)
    own = near & (drawing.relative > tissue + rise / 2)
    rim = drawing.mask & (drawing.distance > -1.5 * max(image.spacing))
    voxel = mask.voxel_volume
    volume, surface = drawing.mask.sum() * voxel, _surface_mm2(drawing.mask, mask.spacing)
    numbered, count = label_components(drawing.mask)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:] * voxel
    means = ndimage.mean(drawing.relative, numbered, np.arange(1, count + 1))
    return {
        "offset_mm": float((volume - own.sum() * voxel) / surface),
        "edge": float((drawing.relative[rim].mean() - tissue) / rise),
        "disagreement": float((own ^ drawing.mask).sum() / drawing.mask.sum()),
        "log_lesions": math.log1p(count),
        "log_median_mm3": math.log1p(float(np.median(sizes))),
        "faintest": float(np.percentile(means, 10) - tissue),
    }


def _drawing(image: Volume, lesions: Mask) -> _Drawing:
    spacing = image.spacing
    found = ndimage.find_objects(lesions.astype(np.int8))[0]
    margins = [math.ceil((RING_MM[1] + 1) / size) for size in spacing]
    box = tuple(
        slice(max(s.start - m, 0), min(s.stop + m, n)) for s, m, n in zip(found, margins, lesions.shape, strict=True)
    )
    brain = foreground(image.array, "the image")
    median = float(np.median(np.asarray(image.array, dtype=np.float64)[brain]))
    mask = lesions[box]
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    inside = ndimage.distance_transform_edt(mask, sampling=spacing)
    relative = np.asarray(image.array[box], dtype=np.float64) / median
    return _Drawing(mask, outside - inside, relative, brain[box])


def _surface_mm2(mask: Mask, spacing: tuple[float, float, float]) -> float:
    """Area of the voxel faces between lesion and outside, times 2/3: what a sphere's staircase has too much."""
    area = 0.0
    padded = np.pad(mask, 1)
    for axis in range(3):
        faces = np.count_nonzero(np.diff(padded.astype(np.int8), axis=axis))
        area += faces * math.prod(size for other, size in enumerate(spacing) if other != axis)
    return area * 2 / 3


def reference_features(mask: Volume, reference: Volume) -> Features:
    """How the lesions were drawn, seen against a reference that does not depend on the rater (such as a consensus).

    Returns:
        "log_volume_ratio": ln((drawn + 0.05) / (reference + 0.05)), ml; "drawn_dice": Dice of the two;
        "lesions_found": share of the reference's lesions that the drawing touches (1 without any);
        "lesions_right": share of the drawn lesions that touch the reference (1 without any).
    """
    drawn, wanted = _pair(mask, reference)
    return {
        "log_volume_ratio": _log_ratio(drawn, wanted, mask.voxel_volume),
        "drawn_dice": dice(drawn, wanted),
        "lesions_found": _touched(wanted, drawn),
        "lesions_right": _touched(drawn, wanted),
    }


def agreement_features(mask: Volume, prediction: Volume) -> Features:
    """How drawing and prediction, both masks of one grid, compare without their overlap voxel by voxel.

    For regressions of the metric on the variables; the metric is nearly a function of these, so they tell environments
    apart wherever performance differs.

    Returns:
        "log_drawn_to_predicted": ln of the volumes' ratio as in `reference_features`; "predicted_lesions_drawn" and
        "drawn_lesions_predicted": shares of lesions touched by the other side (1 without any).
    """
    drawn, predicted = _pair(mask, prediction)
    return {
        "log_drawn_to_predicted": _log_ratio(drawn, predicted, mask.voxel_volume),
        "predicted_lesions_drawn": _touched(predicted, drawn),
        "drawn_lesions_predicted": _touched(drawn, predicted),
    }


def _pair(mask: Volume, other: Volume) -> tuple[Mask, Mask]:
    if mask.shape != other.shape:
        msg = f"masks of shapes {mask.shape} and {other.shape} cannot be compared; resample one first"
        raise InputError(msg)
    return np.asarray(mask.array) != 0, np.asarray(other.array) != 0


def _log_ratio(one: Mask, other: Mask, voxel_mm3: float) -> float:
    above, below = (float(mask.sum()) * voxel_mm3 / 1000 + LOAD_FLOOR_ML for mask in (one, other))
    return math.log(above / below)


def _touched(lesions: Mask, by: Mask) -> float:
    """Share of the connected lesions with at least one voxel of the other mask."""
    numbered, count = label_components(lesions)
    return len(np.unique(numbered[by & lesions])) / count if count else 1.0


@torch.no_grad()
def embedding(segmenter: Segmenter, image_by_modality: Mapping[str, Volume]) -> Array:
    """Mean innermost features of the network over one patch about the brain's centre, shape (C,), float64.

    The innermost features are the output with most channels at the coarsest resolution that any module of the network
    gives.
    """
    tensor = segmenter.prepare(image_by_modality).tensor
    centre = [int(axis) for axis in torch.stack([part.float().mean() for part in tensor[0].nonzero().T])]
    starts = [
        min(max(c - p // 2, 0), n - p) for c, p, n in zip(centre, segmenter.patch_size, tensor.shape[1:], strict=True)
    ]
    box = tuple(slice(s, s + p) for s, p in zip(starts, segmenter.patch_size, strict=True))
    deepest: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 5 and (not deepest or _coarser(output, deepest[0])):
            deepest[:] = [output]

    handles = [module.register_forward_hook(keep) for module in segmenter.network.modules()]
    try:
        segmenter.network(tensor[(slice(None), *box)][None].to(segmenter.device))
    finally:
        for handle in handles:
            handle.remove()
    return deepest[0][0].double().mean(dim=(1, 2, 3)).cpu().numpy()


def _coarser(one: Tensor, other: Tensor) -> bool:
    """Whether the first has fewer voxels, or as many and at least as many channels (the later one wins)."""
    voxels = one[0, 0].numel(), other[0, 0].numel()
    return voxels[0] < voxels[1] or (voxels[0] == voxels[1] and one.shape[1] >= other.shape[1])
