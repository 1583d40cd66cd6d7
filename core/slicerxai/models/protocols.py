"""The two protocols behind which every model stands. Methods know these and nothing about architectures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class ModelInfo:
    """What a caller must know about a model.

    Attributes:
        name: the name under which it is stored.
        kind: the implementation that loads it: "fast" or "nnunet" for segmenters, "classifier" for classifiers.
        channels: modality of each input channel in order, such as ("FLAIR", "T1").
        labels: name of each output channel in order; for segmenters the first is "background".
        digest: SHA-256 over the files that define the model.
        provenance: what it was trained on, with which parameters, versions, seed and time (JSON-able).
    """

    name: str
    kind: str
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    digest: str
    provenance: Mapping[str, object]


@dataclass(frozen=True)
class Prepared:
    """One case on the grid and in the units that the network sees.

    Attributes:
        tensor: shape (C, I, J, K), float32, CPU; normalised as in training. K is 1 for a model of single images, whose
            network takes it without that axis.
        affine: (4, 4), index on this working grid to RAS mm. May be permuted, flipped, cropped or rescaled
            against the image's own grid.
        reference: the first channel's own image; results go back to its grid.
    """

    tensor: Tensor
    affine: NDArray[np.float64]
    reference: Volume


@dataclass(frozen=True)
class Segmentation:
    """Prediction on the grid of the input image.

    Attributes:
        labelmap: uint8, index into `ModelInfo.labels`.
        probability: float32 in [0, 1], 1 - P(background).
    """

    labelmap: Volume
    probability: Volume


@runtime_checkable
class Segmenter(Protocol):
    """A model that labels every voxel.

    `network` maps BCIJK to logits BLIJK (L labels, background first) for patches of `patch_size`; it is in eval mode,
    differentiable, and has no in-place operations, so that hooks and gradients see every step. `overlap` is the share
    that neighbouring patches of the sliding window have in common, in [0, 1); `threshold` is the probability from which
    a voxel is foreground, in (0, 1).
    """

    info: ModelInfo
    network: nn.Module
    patch_size: tuple[int, int, int]
    overlap: float
    threshold: float
    device: torch.device

    def prepare(self, images: Mapping[str, Volume]) -> Prepared:
        """Images by modality to the network's grid. Raises `InputError` for a missing modality or an unusable image."""

    def predict(self, images: Mapping[str, Volume], progress: Progress = silent) -> Segmentation:
        """Segment one case."""


@runtime_checkable
class Classifier(Protocol):
    """A model that gives one logit per label for a whole image.

    `network` maps BCIJ[K] to logits BL; it is in eval mode, differentiable, and has no in-place operations. Labels are
    independent (multi-label) unless `exclusive`. `thresholds` holds for each label the probability from which it counts
    as present, in (0, 1).
    """

    info: ModelInfo
    network: nn.Module
    exclusive: bool
    thresholds: tuple[float, ...]
    device: torch.device

    def prepare(self, images: Mapping[str, Volume]) -> Prepared:
        """Images by modality to the network's grid. Raises `InputError` for a missing modality or an unusable image."""

    def predict(self, images: Mapping[str, Volume]) -> NDArray[np.float32]:
        """Probability of each label, shape (L,), in [0, 1]."""


Model = Segmenter | Classifier


def segmenter(model: Model, name: str) -> Segmenter:
    """The model of this name, which must be a segmenter. Raises `InputError` when it classifies."""
    if not isinstance(model, Segmenter):
        msg = f"model {name!r} classifies whole images; a segmenter is needed"
        raise InputError(msg)
    return model


def classifier(model: Model, name: str) -> Classifier:
    """The model of this name, which must be a classifier. Raises `InputError` when it segments."""
    if not isinstance(model, Classifier):
        msg = f"model {name!r} segments; a classifier of whole images is needed"
        raise InputError(msg)
    return model
