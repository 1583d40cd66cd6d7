"""Measures of each predicted lesion that may tell a false one, and the truth to learn from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from slicerxai.data.lesions import MINIMUM_MM3, Lesion, find_lesions, label_lesions
from slicerxai.data.resample import same_grid
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.protocols import Segmentation, Segmenter
from slicerxai.monitoring.lesion_alarm_parameters import LesionSaliency
from slicerxai.monitoring.lesion_maps import map_features
from slicerxai.monitoring.lesion_readings import PLAIN, Array, Flags, LesionReadings
from slicerxai.monitoring.uncertainty import binary_entropy
from slicerxai.progress import Progress, part, silent

AROUND_MM = 3.0
"""Width of the ring around a lesion that it is compared with."""


def lesion_readings(
    segmenter: Segmenter,
    images: Mapping[str, Volume],
    segmentation: Segmentation,
    *,
    saliency: LesionSaliency | None = None,
    minimum_mm3: float = MINIMUM_MM3,
    progress: Progress = silent,
) -> LesionReadings:
    """Measure every predicted lesion of one case (connected components of all labels together).

    Without maps, on the image's grid:

    * log volume: natural logarithm of mm³;
    * mean, highest and lowest probability of its voxels, and their mean binary entropy in bits;
    * probability around: mean over a ring of 3 mm that belongs to no lesion and to the foreground;
    * contrast: mean intensity of the first channel inside less that of the ring, in standard deviations of the
      foreground;
    * depth: mean distance of its voxels from the edge of the foreground, mm.

    With maps see `lesion_maps.map_features`.

    Args:
        images: by modality, as the segmenter needs them.
        segmentation: what the segmenter predicted for them.
        saliency: how each lesion's maps are computed; one forward pass for each patch that is looked at, one
            backward pass for each lesion.
        minimum_mm3: smaller lesions do not count, as in lesion-wise F1.

    Raises:
        InputError: missing modality, or an image unlike the segmentation's grid.
    """
    channel = segmenter.info.channels[0]
    if channel not in images:
        msg = f"the model needs {', '.join(segmenter.info.channels)}; got {', '.join(images) or 'no image'}"
        raise InputError(msg)
    image, labelmap = images[channel], segmentation.labelmap
    if not same_grid(image, labelmap.affine, labelmap.shape, within_mm=0.1):
        msg = f"the segmentation {labelmap.shape} and the image {image.shape} lie on different grids"
        raise InputError(msg)
    progress(0.0, "measuring lesions")
    numbered = label_lesions(labelmap, None, minimum_mm3)
    lesions = tuple(find_lesions(labelmap, segmentation.probability, None, minimum_mm3))
    features = plain_features(image, numbered, segmentation.probability, lesions)
    if saliency is not None:
        maps = map_features(segmenter, images, segmentation, numbered, lesions, saliency, part(progress, 0.1, 1.0))
        features = np.concatenate([features, maps], axis=1)
    return LesionReadings(lesions, numbered, features, saliency)


def plain_features(image: Volume, numbered: Volume, probability: Volume, lesions: tuple[Lesion, ...]) -> Array:
    """(lesions, features) as `lesion_readings.PLAIN` names them."""
    intensity = image.array.astype(np.float64)
    foreground = intensity != 0
    spread = float(intensity[foreground].std()) if foreground.any() else 0.0
    depth = ndimage.distance_transform_edt(np.pad(foreground, 1), sampling=image.spacing)[1:-1, 1:-1, 1:-1]
    chance = probability.array.astype(np.float64)
    entropy = binary_entropy(np.clip(chance, 0, 1))
    lesion = numbered.array > 0  # type: ignore[operator]
    margin = [int(np.ceil(AROUND_MM / size)) + 1 for size in image.spacing]
    rows = []
    for one, box in zip(lesions, _boxes(numbered, margin), strict=True):
        inside = numbered.array[box] == one.number
        away = ndimage.distance_transform_edt(~inside, sampling=image.spacing)
        ring = (away <= AROUND_MM) & ~lesion[box] & foreground[box]
        values, own = intensity[box], chance[box][inside]
        beside = values[ring].mean() if ring.any() else values[inside].mean()
        rows.append(
            (
                np.log(1000 * one.volume_ml),
                own.mean(),
                own.max(),
                own.min(),
                entropy[box][inside].mean(),
                chance[box][ring].mean() if ring.any() else 0.0,
                (values[inside].mean() - beside) / spread if spread > 0 else 0.0,
                depth[box][inside].mean(),
            )
        )
    return np.array(rows, dtype=np.float64).reshape(len(lesions), len(PLAIN))


def false_lesions(
    readings: LesionReadings, reference: Volume, minimum_mm3: float = MINIMUM_MM3, overlap_voxels: int = 1
) -> Flags:
    """Which predicted lesions are false, (lesions,), by the rule of `metrics.lesion_scores`.

    False: fewer than `overlap_voxels` of its voxels lie in the reference, of which lesions below `minimum_mm3` are
    left out first.

    Raises:
        InputError: the reference lies on another grid.
    """
    numbered = readings.numbered
    if not same_grid(numbered, reference.affine, reference.shape, within_mm=0.1):
        msg = f"the reference {reference.shape} and the prediction {numbered.shape} lie on different grids"
        raise InputError(msg)
    wanted = label_lesions(reference, None, minimum_mm3).array != 0
    hits = np.bincount(numbered.array[wanted].astype(np.intp), minlength=len(readings.lesions) + 1)[1:]
    return np.asarray(hits < overlap_voxels)


def _boxes(numbered: Volume, margin: list[int]) -> list[tuple[slice, ...]]:
    """Bounding box of each lesion, widened by so many voxels of each axis and cut at the edge of the image."""
    found = ndimage.find_objects(numbered.array)
    sizes = zip(margin, numbered.shape, strict=True)
    limits: list[tuple[int, int]] = list(sizes)
    return [
        tuple(slice(max(0, s.start - m), min(n, s.stop + m)) for s, (m, n) in zip(box, limits, strict=True))
        for box in found
    ]
