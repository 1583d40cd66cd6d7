"""What is read from a prediction: numbers of a model's output as functions of prepared images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slicerxai.data.lesions import label_lesions
from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.segmented import Seen, segmented_case
from slicerxai.models.protocols import Classifier, Model, Prepared, Segmenter
from slicerxai.progress import Progress, each, silent
from slicerxai.saliency.grids import squeeze_flat

Array = NDArray[np.float64]
BATCH_VOXELS: Final = 2**20
"""Voxels of the images that a classifier computes at once."""


@dataclass(frozen=True)
class Output:
    """One number of a prediction.

    Attributes:
        name: the column's name, such as a label or "lesion_volume_ml".
        units: "probability", "ml", "lesions" or "".
        threshold: value at which the decision turns; None where there is no decision.
    """

    name: str
    units: str
    threshold: float | None


class GridChangedError(InputError):
    """An image is prepared to another grid than the case's own, so that the two cannot be compared voxel by voxel."""


class Reader(ABC):
    """Reads the outputs of one model for images of one case.

    Attributes:
        outputs: what `read` gives, in this order.
        prepared: the unchanged images on the network's grid.
        reported: (O,), the outputs according to the model's own `predict` of the unchanged images.
    """

    outputs: tuple[Output, ...]
    prepared: Prepared
    reported: Array

    def __init__(self, model: Model, images: Mapping[str, Volume]) -> None:
        self._prepare = model.prepare
        self.prepared = model.prepare(images)

    def prepare(self, images: Mapping[str, Volume]) -> Tensor:
        """Images by modality to (C, *grid) on the grid of the reader's own case.

        Raises:
            InputError: a missing or unusable image.
            GridChangedError: an image that is prepared to another grid.
        """
        made, own = self._prepare(images), self.prepared
        if made.tensor.shape != own.tensor.shape or not np.allclose(made.affine, own.affine, atol=1e-3):
            msg = (
                "the changed image is not prepared to the grid of the unchanged one: where it has signal, or its own "
                "grid, is another; register the images to one grid and mask them alike"
            )
            raise GridChangedError(msg)
        return made.tensor

    @abstractmethod
    def read(self, tensors: Tensor, progress: Progress = silent, experts: Sequence[Volume | None] = ()) -> Array:
        """Outputs (B, O) of prepared images (B, C, *grid).

        Args:
            experts: for images with other lesions, their delineation on the first image's grid in place of the case's
                own; empty: the case's own for all of them.
        """

    @abstractmethod
    def read_images(self, images: Mapping[str, Volume], progress: Progress = silent) -> Array:
        """Outputs (O,) of images that may be prepared to a grid of their own."""

    def labelmap(self, tensor: Tensor, progress: Progress = silent) -> Volume | None:
        """What is predicted in one prepared image (C, *grid), uint8 on the image's grid; None for a classifier."""
        return None


def reader(
    model: Model, images: Mapping[str, Volume], expert: Volume | None = None, progress: Progress = silent
) -> Reader:
    """A reader of a case.

    Args:
        images: the unchanged images by modality.
        expert: delineation of the lesions, not 0 inside, on any grid.
        progress: of the model's own prediction of the unchanged images, which a segmenter's outputs start from.

    Returns:
        For a classifier the probability of every label. For a segmenter: lesion_volume_ml, lesion_count (of at least
        3 mm³), expected_volume_ml (Σ probability), lesion_probability (highest of the largest lesion of the unchanged
        image, of all voxels where it has none), and dice where there is an expert's delineation.

    Raises:
        InputError: as the model's `prepare`.
    """
    if isinstance(model, Segmenter):
        return SegmenterReader(model, images, expert, progress)
    return ClassifierReader(model, images)


class ClassifierReader(Reader):
    """Probabilities of all labels."""

    def __init__(self, model: Classifier, images: Mapping[str, Volume]) -> None:
        super().__init__(model, images)
        self._model = model
        several = model.exclusive and len(model.info.labels) > 2
        limits = (0.5,) * len(model.info.labels) if model.exclusive else model.thresholds
        self.outputs = tuple(
            Output(name, "probability", None if several else float(limit))
            for name, limit in zip(model.info.labels, limits, strict=True)
        )
        self.reported = np.asarray(model.predict(images), dtype=np.float64)

    @torch.no_grad()
    def read(self, tensors: Tensor, progress: Progress = silent, experts: Sequence[Volume | None] = ()) -> Array:
        size = max(1, BATCH_VOXELS // max(1, tensors[0].numel()))
        rows = []
        for batch, now in each(progress, tensors.split(size)):
            now(0.0, "classifying")
            flat = torch.stack([squeeze_flat(one, self._model.network) for one in batch])
            logits = self._model.network(flat.to(self._model.device)).double()
            found = torch.softmax(logits, dim=1) if self._model.exclusive else torch.sigmoid(logits)
            rows.append(found.cpu().numpy())
        return np.concatenate(rows)

    def read_images(self, images: Mapping[str, Volume], progress: Progress = silent) -> Array:
        found: Array = self.read(self._prepare(images).tensor[None], progress)[0]
        return found


class SegmenterReader(Reader):
    """Measures of the segmentation on the image's own grid."""

    def __init__(
        self, model: Segmenter, images: Mapping[str, Volume], expert: Volume | None, progress: Progress = silent
    ) -> None:
        super().__init__(model, images)
        self._model = model
        self._case = segmented_case(model, images, self.prepared)
        first = self.prepared.reference
        self._expert = None if expert is None else _on(expert, first)
        names = [
            Output("lesion_volume_ml", "ml", None),
            Output("lesion_count", "lesions", None),
            Output("expected_volume_ml", "ml", None),
            Output("lesion_probability", "probability", model.threshold),
        ]
        self.outputs = (*names, *([Output("dice", "", None)] if expert is not None else []))
        found = model.predict(images, progress)
        self.found = found
        foreground = found.labelmap.with_array(np.asarray(found.labelmap.array) != 0)
        self._points = _largest(foreground)
        probability = np.asarray(found.probability.array)
        inside = np.asarray(label_lesions(foreground).array) == 1
        seen = Seen(
            foreground,
            (0, 0, 0),
            float(probability.sum(dtype=np.float64)) * found.probability.voxel_volume / 1000,
            np.asarray(probability[inside if inside.any() else ...], dtype=np.float64).ravel(),
        )
        self.reported = self._numbers(seen, self._expert)

    def read(self, tensors: Tensor, progress: Progress = silent, experts: Sequence[Volume | None] = ()) -> Array:
        rows = []
        for (index, tensor), now in each(progress, list(enumerate(tensors))):
            expert = experts[index] if experts else None
            seen = self._case.see(tensor, self._points, now)
            rows.append(self._numbers(seen, self._expert if expert is None else _mask(expert)))
        return np.stack(rows)

    def read_images(self, images: Mapping[str, Volume], progress: Progress = silent) -> Array:
        prepared = self._prepare(images)
        case = segmented_case(self._model, images, prepared)
        return self._numbers(case.see(prepared.tensor, self._points, progress), self._expert)

    def labelmap(self, tensor: Tensor, progress: Progress = silent) -> Volume | None:
        return self._case.labelmap(tensor, progress)

    def _numbers(self, seen: Seen, expert: NDArray[np.bool_] | None) -> Array:
        foreground = np.asarray(seen.foreground.array, dtype=bool)
        voxels = int(np.count_nonzero(foreground))
        count = int(np.asarray(label_lesions(seen.foreground).array).max()) if voxels else 0
        highest = float(seen.probability.max()) if seen.probability.size else 0.0
        values = [voxels * seen.foreground.voxel_volume / 1000, float(count), seen.expected_ml, highest]
        if self._expert is not None and expert is not None:
            values.append(_dice(foreground, seen.start, expert))
        return np.array(values)


def _on(expert: Volume, image: Volume) -> NDArray[np.bool_]:
    drawn = expert.with_array((np.asarray(expert.array) != 0).astype(np.uint8))
    moved = _mask(resample_like(drawn, image, order=0))
    if np.asarray(drawn.array).any() and not moved.any():
        msg = "the mask has no voxel inside the image; check that it was drawn on this image"
        raise InputError(msg)
    return moved


def _mask(volume: Volume) -> NDArray[np.bool_]:
    return np.asarray(volume.array) != 0


def _largest(foreground: Volume) -> NDArray[np.float64]:
    """Voxel centres of the largest lesion of at least 3 mm³, RAS mm, (N, 3); of every voxel when there is none."""
    inside = np.asarray(label_lesions(foreground).array) == 1
    index = np.argwhere(inside if inside.any() else np.ones_like(inside))
    return index @ foreground.affine[:3, :3].T + foreground.affine[:3, 3]


def _dice(foreground: NDArray[np.bool_], start: tuple[int, int, int], expert: NDArray[np.bool_]) -> float:
    """2 |A ∩ B| / (|A| + |B|) of a part of a grid and a whole one; 1 when both are empty."""
    place = tuple(slice(first, first + size) for first, size in zip(start, foreground.shape, strict=True))
    both = int(np.count_nonzero(foreground & expert[place]))
    size = int(np.count_nonzero(foreground)) + int(np.count_nonzero(expert))
    return 2 * both / size if size else 1.0
