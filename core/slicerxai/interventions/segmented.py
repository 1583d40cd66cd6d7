"""How one case's prepared images are segmented, as its model itself does, and what is seen on the image's grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from slicerxai.data.resample import resample, resample_like
from slicerxai.data.volume import Volume
from slicerxai.interventions.windows import Windows
from slicerxai.models.protocols import Prepared, Segmentation, Segmenter
from slicerxai.progress import Progress, silent

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """One segmentation.

    Attributes:
        foreground: bool, a part of the image's grid outside of which nothing is foreground; may be empty.
        start: index on the image's grid of the part's first voxel.
        expected_ml: Σ probability × volume over the voxels of the image, or of the network's grid within it.
        probability: 1 - P(background) at the points asked for, (N,).
    """

    foreground: Volume
    start: tuple[int, int, int]
    expected_ml: float
    probability: NDArray[np.float64]


class SegmentedCase(Protocol):
    """Segments images that were prepared to the grid of one case."""

    def see(self, tensor: Tensor, points: Points, progress: Progress = silent) -> Seen:
        """What is predicted in (C, I, J, K); points (N, 3) are in RAS mm."""

    def labelmap(self, tensor: Tensor, progress: Progress = silent) -> Volume:
        """uint8 on the image's grid, 1 where it is foreground."""


def segmented_case(model: Segmenter, images: Mapping[str, Volume], prepared: Prepared) -> SegmentedCase:
    """The case of these images, for any segmenter."""
    if model.info.kind == "nnunet":
        from slicerxai.models.nnunet import NnunetSegmenter

        if isinstance(model, NnunetSegmenter):
            return WholeCase(model.segmenting(images))
    return WindowedCase(model, prepared)


class WindowedCase:
    """Sliding window and threshold, as `slicerxai.models.fast.FastSegmenter.predict` has them."""

    def __init__(self, model: Segmenter, prepared: Prepared) -> None:
        self._windows = Windows(model, prepared.tensor)
        self._affine, self._reference, self._threshold = prepared.affine, prepared.reference, model.threshold
        i, j, k = prepared.tensor.shape[1:]
        image = self._reference.with_array(np.ones(self._reference.shape, dtype=np.uint8))
        self._inside = np.asarray(resample(image, prepared.affine, (i, j, k), order=0).array) != 0
        self._last: tuple[Tensor, Volume] | None = None

    def see(self, tensor: Tensor, points: Points, progress: Progress = silent) -> Seen:
        working = self._probability(tensor, progress)
        start, shape = _part(working, self._threshold, self._reference)
        shift = np.eye(4)
        shift[:3, 3] = start
        place = self._reference.affine @ shift
        array = np.zeros(shape, dtype=bool)
        if array.size:
            array = np.asarray(resample(working, place, shape).array, dtype=np.float32) >= self._threshold
        expected = float(working.array[self._inside].sum(dtype=np.float64)) * working.voxel_volume / 1000
        return Seen(Volume(array, place), start, expected, sampled(working, points))

    def labelmap(self, tensor: Tensor, progress: Progress = silent) -> Volume:
        probability = resample_like(self._probability(tensor, progress), self._reference)
        lesions = np.asarray(probability.array, dtype=np.float32) >= self._threshold
        return probability.with_array(lesions.astype(np.uint8))

    def _probability(self, tensor: Tensor, progress: Progress) -> Volume:
        """On the working grid; that of the image before is kept, for whoever asks for its label map as well."""
        if self._last is None or not torch.equal(self._last[0], tensor):
            logits, covered = self._windows.logits(tensor, progress)
            lesion = 1 - torch.softmax(logits, dim=0)[0]
            working = Volume(torch.where(covered, lesion, torch.zeros(())).numpy(), self._affine)
            self._last = tensor, working
        return self._last[1]


class WholeCase:
    """A model that goes from a prepared tensor to the segmentation on the image's grid itself."""

    def __init__(self, segment: Callable[[Tensor, Progress], Segmentation]) -> None:
        self._segment = segment
        self._last: tuple[Tensor, Segmentation] | None = None

    def see(self, tensor: Tensor, points: Points, progress: Progress = silent) -> Seen:
        found = self._found(tensor, progress)
        probability = np.asarray(found.probability.array)
        expected = float(probability.sum(dtype=np.float64)) * found.probability.voxel_volume / 1000
        foreground = found.labelmap.with_array(np.asarray(found.labelmap.array) != 0)
        return Seen(foreground, (0, 0, 0), expected, sampled(found.probability, points))

    def labelmap(self, tensor: Tensor, progress: Progress = silent) -> Volume:
        found = self._found(tensor, progress).labelmap
        return found.with_array((np.asarray(found.array) != 0).astype(np.uint8))

    def _found(self, tensor: Tensor, progress: Progress) -> Segmentation:
        if self._last is None or not torch.equal(self._last[0], tensor):
            self._last = tensor, self._segment(tensor, progress)
        return self._last[1]


def sampled(volume: Volume, points: Points) -> NDArray[np.float64]:
    """Values at points (N, 3) in RAS mm, linearly interpolated; beyond the edge the nearest one."""
    inverse = np.linalg.inv(volume.affine)
    index = inverse[:3, :3] @ points.T + inverse[:3, 3:]
    found: NDArray[np.float64] = ndimage.map_coordinates(
        np.asarray(volume.array, dtype=np.float64), index, order=1, mode="nearest"
    )
    return found


def _part(working: Volume, threshold: float, reference: Volume) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """First voxel and shape of the part of an image's grid in which interpolated values can reach a threshold.

    Linear interpolation stays below it unless one of the neighbours on the working grid reaches it.
    """
    hits = np.nonzero(np.asarray(working.array, dtype=np.float32) >= threshold)
    if not hits[0].size:
        return (0, 0, 0), (0, 0, 0)
    sides = [(float(axis.min()) - 1, float(axis.max()) + 1) for axis in hits]
    corners = np.stack(np.meshgrid(*sides, [1.0], indexing="ij")).reshape(4, -1)
    places = (np.linalg.inv(reference.affine) @ working.affine @ corners)[:3]
    low = np.maximum(np.floor(places.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(places.max(axis=1)).astype(int) + 1, reference.shape)
    size = np.maximum(high - low, 0)
    return (int(low[0]), int(low[1]), int(low[2])), (int(size[0]), int(size[1]), int(size[2]))
