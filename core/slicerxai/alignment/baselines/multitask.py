"""Multi-task learning: the label and, beside it, the expert's reasons – the mask and, where known, attributes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from slicerxai.alignment.baselines.blocks import channels_of
from slicerxai.alignment.baselines.masked_fitting import MaskedBatch, fit_masked
from slicerxai.alignment.masked_images import MaskedImages
from slicerxai.alignment.networks import SevenLayerCnn
from slicerxai.errors import InputError
from slicerxai.models.classifier_fitting import FitResult, LabelledImages
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class MultitaskWeights:
    """Weights of the cross-entropies of mask and attributes beside that of the label, which has 1."""

    mask: float = 1.0
    attributes: float = 1.0


class MultitaskCnn(nn.Module):
    """A seven-layer CNN whose trunk also serves a head for the mask and one for attributes.

    The mask is decided at each pixel from all layers above it, brought to the image's grid (hypercolumns, Hariharan et
    al., CVPR 2015); attributes as the label is. `forward` gives the label's logits BL alone.

    Attributes:
        trunk, head: those of the network it was made of.
    """

    def __init__(self, network: SevenLayerCnn, attributes: int = 0, width: int = 16) -> None:
        super().__init__()
        self.trunk, self.head = network.trunk, network.head
        depths = [channels_of(block) for block in network.trunk]
        self.mask_head = nn.Sequential(nn.Conv2d(sum(depths), width, 1), nn.SiLU(), nn.Conv2d(width, 1, 1))
        self.attribute_head = type(network.head)(depths[-1], attributes) if attributes else None

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(images))
        return logits

    def all_tasks(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits of label (B, L), mask (B, 1, H, W) and attributes (B, P), None without them."""
        maps, columns = images, []
        for block in self.trunk:
            maps = block(maps)
            columns.append(functional.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=False))
        attributes = None if self.attribute_head is None else self.attribute_head(maps)
        return self.head(maps), self.mask_head(torch.cat(columns, 1)), attributes


def fit_multitask(
    network: SevenLayerCnn,
    train: MaskedImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    attributes: Tensor | None = None,
    weights: MultitaskWeights = MultitaskWeights(),
) -> tuple[nn.Module, FitResult]:
    """Fit label, mask and attributes at once.

    (Hind et al., AIES 2019, arXiv:1811.04896: labels and explanations are both taught; Rieger et al., ICML 2020: the
    decision's reasons as a second objective. As Learning Causal Alignment uses both: two tasks on shared features.)

    Args:
        attributes: (N, P) in {0, 1} of the training images, in their order.

    Other arguments, result and errors as of `slicerxai.models.classifier_fitting.fit_network`.
    """
    if attributes is not None and (attributes.ndim != 2 or len(attributes) != len(train)):
        msg = f"attributes have shape {tuple(attributes.shape)}; ({len(train)}, P) is needed for {len(train)} images"
        raise InputError(msg)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parameters.seed)
        tasks = MultitaskCnn(network, 0 if attributes is None else attributes.shape[1])

    def objective(batch: MaskedBatch) -> Tensor:
        labels, masks, found = tasks.all_tasks(batch.images)
        loss = batch.cross_entropy(labels)
        loss = loss + weights.mask * functional.binary_cross_entropy_with_logits(masks, batch.masks.to(masks.dtype))
        if found is not None and attributes is not None:
            wanted = attributes[list(batch.indices)].to(found)
            loss = loss + weights.attributes * functional.binary_cross_entropy_with_logits(found, wanted)
        return loss

    return tasks, fit_masked(tasks, train, validation, parameters, device, progress, objective=objective)
