"""Interpretable CNN: each filter of the top layers answers to one part of one category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from slicerxai.alignment.baselines.blocks import channels_of
from slicerxai.alignment.baselines.masked_fitting import MaskedBatch, fit_masked
from slicerxai.alignment.baselines.part_templates import categories, masked_maps, mean_activity, part_loss
from slicerxai.alignment.masked_images import MaskedImages
from slicerxai.alignment.networks import SevenLayerCnn
from slicerxai.models.classifier_fitting import FitResult, LabelledImages
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress, silent

MEMORY = 0.9
"""Share of the earlier mean activity that each batch leaves."""


@dataclass(frozen=True)
class IcnnWeights:
    """Weight λ of the filter loss in the first epoch; in epoch t it is λ / t, as in the authors' program.

    At 10 its gradient in the maps is about a tenth of the cross-entropy's when the training of a network for 64 × 64
    pixels starts.
    """

    parts: float = 10.0


class Icnn(nn.Module):
    """A seven-layer CNN made interpretable (Zhang, Wu & Zhu, CVPR 2018, arXiv:1710.00935): BCHW to logits BL.

    The filters of its last convolution become part detectors, and so do those of another convolution on top of it, as
    many as there are below. The maps of both are rectified and masked around their largest value before the next layer.

    Attributes:
        trunk, head: those of the network it was made of.
        added: the convolution on top.
        activity: (2, K, D) mean activity of each filter of the two layers in images of each category; buffers.
    """

    activity: Tensor

    def __init__(self, network: SevenLayerCnn, labels: int) -> None:
        super().__init__()
        self.trunk, self.head = network.trunk, network.head
        filters = channels_of(network.trunk[-1])
        self.added = nn.Conv2d(filters, filters, 3, padding=1)
        nn.init.kaiming_normal_(self.added.weight, nonlinearity="relu")
        self.register_buffer("activity", torch.zeros(2, 2 if labels == 1 else labels, filters))

    def forward(self, images: Tensor) -> Tensor:
        return self.with_features(images)[0]

    def with_features(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Logits and the rectified maps x of the two layers before masking, (B, D, h, w) each."""
        first = torch.relu(self.trunk(images))
        second = torch.relu(self.added(masked_maps(first)))
        return self.head(masked_maps(second)), (first, second)

    @torch.no_grad()
    def remember(self, features: Sequence[Tensor], member: Tensor) -> None:
        """Let a batch of categories (B, K) change the mean activities."""
        for layer, maps in enumerate(features):
            new, old = mean_activity(maps, member), self.activity[layer]
            started = (old != 0).any(1, keepdim=True)
            mixed = torch.where(started, MEMORY * old + (1 - MEMORY) * new, new)
            self.activity[layer] = torch.where(new.isnan(), old, mixed)

    def wanted(self, layer: int, member: Tensor) -> Tensor:
        """Whether each image is of the category in which the filter is most active, (B, D)."""
        return member[:, self.activity[layer].argmax(0)]


def fit_icnn(
    network: SevenLayerCnn,
    train: MaskedImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    weights: IcnnWeights = IcnnWeights(),
) -> tuple[nn.Module, FitResult]:
    """Fit with cross-entropy and the filter loss of both interpretable layers; masks are not used.

    Arguments, result and errors as of `slicerxai.models.classifier_fitting.fit_network`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parameters.seed)
        interpretable = Icnn(network, len(train[0][1])).to(device)
    steps, done = len(train) // parameters.batch, 0

    def objective(batch: MaskedBatch) -> Tensor:
        nonlocal done
        epoch, done = 1 + done // steps, done + 1
        logits, features = interpretable.with_features(batch.images)
        member = categories(batch.labels)
        interpretable.remember(features, member)
        parts = [part_loss(maps, interpretable.wanted(layer, member)) for layer, maps in enumerate(features)]
        return batch.cross_entropy(logits) + weights.parts / epoch * torch.stack(parts).sum()

    return interpretable, fit_masked(
        interpretable, train, validation, parameters, device, progress, objective=objective
    )
