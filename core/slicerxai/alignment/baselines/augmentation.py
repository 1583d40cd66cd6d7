"""Counterfactual and factual data augmentation: what is not in the mask must not decide."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slicerxai.alignment.baselines.infill import Background, Infill, backgrounds, boxes, filled
from slicerxai.alignment.baselines.masked_fitting import MaskedBatch, fit_masked
from slicerxai.alignment.masked_images import MaskedImages
from slicerxai.models.classifier_fitting import FitResult, LabelledImages
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class AugmentationChoice:
    """What is generated.

    Attributes:
        infill: of the counterfactual images, which lose the inside of the mask's bounding box; None: no such images.
        background: of the factual images, which keep the inside of the mask and their label; None: no such images.
        counterfactual_weight: of the loss of the counterfactual images.
    """

    infill: Infill | None = "tile"
    background: Background | None = "mixed"
    counterfactual_weight: float = 1.0


def generated(batch: MaskedBatch, choice: AugmentationChoice) -> tuple[Tensor, Tensor, Tensor]:
    """Original, factual and counterfactual images (M, C, H, W), their labels (M, L) and their weights (M,).

    Images with an empty mask only appear as they are.
    """
    has = batch.masks.flatten(1).any(1)
    images, labels, masks = batch.images[has], batch.labels[has], batch.masks[has]
    weight = torch.ones(len(images), device=images.device)
    parts = [(batch.images, batch.labels, torch.ones(len(batch.images), device=images.device))]
    if choice.background is not None and len(images):
        parts.append((backgrounds(images, masks, labels, choice.background, batch.generator), labels, weight))
    if choice.infill is not None and len(images):
        without = filled(images, boxes(masks), choice.infill, batch.generator)
        parts.append((without, 1 - labels, weight * choice.counterfactual_weight))
    return tuple(torch.cat(stack) for stack in zip(*parts, strict=True))  # type: ignore[return-value]


def fit_augmentation(
    network: nn.Module,
    train: MaskedImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    choice: AugmentationChoice = AugmentationChoice(),
) -> tuple[nn.Module, FitResult]:
    """Fit to the images, to counterfactual and to factual ones (Chang, Adam & Goldenberg, CVPR 2021, arXiv:2106.01127).

    Counterfactual: the object is gone, so the label changes; with two classes −log(1 − p_y) is the cross-entropy with
    the other class, and each label of logits BL is such a pair. Factual: the object is kept on another background, so
    the label stays. Defaults are CF(Tile) + F(Mixed-Rand), the publication's best ones that need no pretrained
    inpainting network (its CF(CAGAN) is not offered). The loss is the mean over all images, original and made.

    Arguments, result and errors as of `slicerxai.models.classifier_fitting.fit_network`.
    """

    def objective(batch: MaskedBatch) -> Tensor:
        images, labels, weights = generated(batch, choice)
        return batch.cross_entropy(network(images), labels, weights)

    return network, fit_masked(network, train, validation, parameters, device, progress, objective=objective)
