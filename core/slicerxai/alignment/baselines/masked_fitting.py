"""The training loop that all methods share, with a loss that sees the experts' masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from slicerxai.alignment.masked_images import (
    MaskedImages,
    WithoutMasks,
    check_masked,
    masked_augmentation,
    masked_batch,
)
from slicerxai.models.classifier_fitting import FitResult, LabelledImages, fit_network, labels_of, positive_weights
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class MaskedBatch:
    """One augmented batch on the device.

    Attributes:
        images: (B, C, *spatial).
        labels: (B, L) in {0, 1}.
        masks: (B, 1, *spatial) in {0, 1}; moved as the images are.
        indices: of the images among the training images.
        generator: of the epoch, on the CPU.
        weights: (L,) of the present labels, or None.
    """

    images: Tensor
    labels: Tensor
    masks: Tensor
    indices: Sequence[int]
    generator: Generator
    weights: Tensor | None

    def cross_entropy(
        self, logits: Tensor, labels: Tensor | None = None, image_weights: Tensor | None = None
    ) -> Tensor:
        """Mean binary cross-entropy of logits (N, L) with labels, by default the batch's; each image's times (N,)."""
        wanted = (self.labels if labels is None else labels).to(logits.dtype)
        factor = None if image_weights is None else image_weights[:, None]
        return functional.binary_cross_entropy_with_logits(logits, wanted, factor, pos_weight=self.weights)


Objective = Callable[[MaskedBatch], Tensor]
"""What is minimised at each step, a scalar."""


def fit_masked(
    network: nn.Module,
    train: MaskedImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    objective: Objective,
) -> FitResult:
    """`slicerxai.models.classifier_fitting.fit_network` with another objective; images and masks augmented together.

    Raises:
        InputError: as there; masks that do not fit their images or hold other values than 0 and 1.
    """
    check_masked(train)
    augment = masked_augmentation(parameters.augmentation, parameters.spatial_dims)
    plain = WithoutMasks(train)
    weights = positive_weights(labels_of(plain)).to(device) if parameters.positive_weights else None

    def batch_loss(indices: Sequence[int], generator: Generator) -> Tensor:
        images, labels, masks = masked_batch(train, indices)
        images, masks = augment(images.to(device), masks.to(device), generator)
        return objective(MaskedBatch(images, labels.to(device), masks, indices, generator, weights))

    return fit_network(network, plain, validation, parameters, device, progress, batch_loss=batch_loss)
