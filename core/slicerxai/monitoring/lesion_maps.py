"""The shape of each predicted lesion's own map: does the network look at the lesion, and at nothing else's evidence?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from slicerxai.data.lesions import Lesion
from slicerxai.data.resample import resample
from slicerxai.data.volume import Volume
from slicerxai.models.protocols import Segmentation, Segmenter
from slicerxai.models.sliding_window import Patch, importance_map, occupied, patch_grid
from slicerxai.monitoring.lesion_alarm_parameters import LesionSaliency
from slicerxai.monitoring.lesion_readings import OF_MAPS, Array
from slicerxai.progress import Progress, each, silent
from slicerxai.saliency.grids import mask_on, pad, padding
from slicerxai.saliency.region_maps import region_maps

NEAR_MM = 10.0
"""What is near a lesion."""


@dataclass(frozen=True)
class _Crop:
    """A lesion's map in its neighbourhood.

    Attributes:
        start: index of the first voxel on the padded working grid.
        values: (C, *box).
    """

    start: NDArray[np.int_]
    values: Array


def map_features(
    segmenter: Segmenter,
    images: Mapping[str, Volume],
    segmentation: Segmentation,
    numbered: Volume,
    lesions: tuple[Lesion, ...],
    saliency: LesionSaliency,
    progress: Progress = silent,
) -> Array:
    """(lesions, 3), as `lesion_readings.OF_MAPS` names them.

    M is the map of the logit of the lesion's label less that of background, averaged over the lesion's voxels in the
    one patch that has most of it near its centre.

    * relevance inside, near: share of Σ|M| in the lesion, and within 10 mm of it;
    * distance from nearest lesion: smallest cosine distance of M near the lesion from M near any other, in [0, 2];
      1 where their neighbourhoods do not touch or there is no other lesion.

    The distance between the maps of the two logits says nothing: with two labels the network learns one to be the
    negative of the other, so that it is 2 for every lesion.
    """
    if not lesions:
        return np.zeros((0, len(OF_MAPS)))
    prepared = segmenter.prepare(images)
    shape = prepared.tensor.shape[1:]
    amounts = padding(shape, segmenter.patch_size)
    tensor = pad(prepared.tensor, amounts)
    working = _on_working_grid(numbered, lesions, prepared.affine, (shape[0], shape[1], shape[2]))
    placed = pad(torch.from_numpy(working), amounts)
    spacing = np.linalg.norm(prepared.affine[:3, :3], axis=0)
    labels = _labels(segmentation.labelmap, numbered, lesions)
    patches = occupied(tensor, patch_grid(tensor.shape[1:], segmenter.patch_size, segmenter.overlap))
    importance = importance_map(segmenter.patch_size)
    features, crops = np.ones((len(lesions), len(OF_MAPS))), {}
    for (patch, found), inner in each(progress, list(_by_patch(placed, patches, importance, len(lesions)).items())):
        inner(0.0, f"maps of {len(found)} lesions")
        window = patches[patch]
        weights = []
        for number in found:
            weight = importance * (placed[window] == number)
            weight = weight / weight.sum()
            seed = torch.zeros(len(segmenter.info.labels), *weight.shape)
            seed[labels[number - 1]], seed[0] = weight, -weight
            weights.append(seed)
        maps = region_maps(segmenter.network, tensor[(slice(None), *window)], weights, saliency, segmenter.device)
        for number, found_map in zip(found, maps, strict=True):
            relevance = found_map.double().numpy()
            inside = placed[window].numpy() == number
            features[number - 1, :2], box = _shares(relevance, inside, spacing)
            start = np.array([s.start for s in window]) + np.array([s.start for s in box])
            crops[number] = _Crop(start, relevance[(slice(None), *box)])
    for number, crop in crops.items():
        features[number - 1, 2] = min((_distance(crop, other) for n, other in crops.items() if n != number), default=1)
    return features


def _on_working_grid(
    numbered: Volume, lesions: tuple[Lesion, ...], affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> NDArray[np.int32]:
    """Numbers on the grid of the network, each at least one voxel."""
    placed = resample(numbered, affine, shape, order=0).array.astype(np.int32)
    present = set(np.unique(placed).tolist())
    for lesion in lesions:
        if lesion.number not in present:
            placed[mask_on(affine, shape, numbered.with_array(numbered.array == lesion.number))] = lesion.number
    return placed


def _labels(labelmap: Volume, numbered: Volume, lesions: tuple[Lesion, ...]) -> list[int]:
    """The label that most voxels of each lesion have."""
    inside = numbered.array > 0  # type: ignore[operator]
    pairs = np.zeros((len(lesions) + 1, int(labelmap.array.max()) + 1), dtype=int)
    np.add.at(pairs, (numbered.array[inside], labelmap.array[inside]), 1)
    return [int(row.argmax()) for row in pairs[1:]]


def _by_patch(placed: Tensor, patches: list[Patch], importance: Tensor, count: int) -> dict[int, list[int]]:
    """For each patch the lesions that have most of their importance there."""
    weight = torch.stack(
        [torch.bincount(placed[patch].flatten(), importance.flatten(), minlength=count + 1) for patch in patches]
    )
    chosen: dict[int, list[int]] = defaultdict(list)
    for number in range(1, count + 1):
        if float(weight[:, number].max()) > 0:
            chosen[int(weight[:, number].argmax())].append(number)
    return chosen


def _shares(
    relevance: Array, inside: NDArray[np.bool_], spacing: Array
) -> tuple[tuple[float, float], tuple[slice, ...]]:
    """Shares of Σ|M| inside and near, and the box of the neighbourhood."""
    near = ndimage.distance_transform_edt(~inside, sampling=spacing) <= NEAR_MM
    size = np.abs(relevance).sum(0)
    total = float(size.sum()) or 1.0
    (box,) = ndimage.find_objects(near.astype(np.int8))
    return (float(size[inside].sum()) / total, float(size[near].sum()) / total), box


def _distance(one: _Crop, other: _Crop) -> float:
    """Cosine distance of two maps that are zero outside their boxes."""
    low = np.maximum(one.start, other.start)
    high = np.minimum(one.start + one.values.shape[1:], other.start + other.values.shape[1:])
    norms = np.linalg.norm(one.values) * np.linalg.norm(other.values)
    if (low >= high).any() or norms == 0:
        return 1.0
    a, b = (
        crop.values[(slice(None), *(slice(lo, hi) for lo, hi in zip(low - crop.start, high - crop.start, strict=True)))]
        for crop in (one, other)
    )
    return float(1 - (a * b).sum() / norms)
