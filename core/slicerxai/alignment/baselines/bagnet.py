"""BagNet: a classifier that averages the evidence of small patches, each seen by itself."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from slicerxai.alignment.masked_images import MaskedImages, WithoutMasks, check_masked
from slicerxai.errors import InputError
from slicerxai.models.classifier_fitting import FitResult, LabelledImages, fit_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress, silent

ReceptiveField = Literal[9, 17, 33]
STRIDES = (2, 2, 2, 1)
"""Of the four stages."""
KERNELS: dict[ReceptiveField, tuple[int, int, int, int]] = {9: (3, 3, 1, 1), 17: (3, 3, 3, 1), 33: (3, 3, 3, 3)}
"""Of the first block of each stage; all others are 1 × 1."""
PUBLISHED_BLOCKS = (3, 4, 6, 3)
PUBLISHED_WIDTH = 64
EXPANSION = 4


class BagNet(nn.Module):
    """BagNet-9, -17 or -33 (Brendel & Bethge, ICLR 2019, arXiv:1904.00760): BCHW to logits BL.

    ResNet's bottlenecks with 1 × 1 convolutions in place of all but a few 3 × 3 ones, none padded: each place of the
    last maps sees a square of `field` pixels and nothing else. The logit is linear in their mean, hence the mean of the
    evidence of the patches. With `PUBLISHED_BLOCKS` and `PUBLISHED_WIDTH` it is the published network; with one block a
    stage it has two convolutions, four blocks and a linear layer, near the networks that it is compared with.

    Attributes:
        trunk: the first two convolutions and the four stages, (B, C, H, W) to (B, F, h, w); "trunk.1" has the image's
            own grid less one pixel on each side.
        out: (B, h, w, F) to evidence of each label.
    """

    def __init__(self, channels: int, labels: int, field: ReceptiveField, width: int, blocks: tuple[int, ...]) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        before = width
        for stage, (count, stride, kernel) in enumerate(zip(blocks, STRIDES, KERNELS[field], strict=True)):
            inner = width * 2**stage
            chain = [Bottleneck(before, inner, stride, kernel)]
            chain += [Bottleneck(inner * EXPANSION, inner, 1, 1) for _ in range(count - 1)]
            stages.append(nn.Sequential(*chain))
            before = inner * EXPANSION
        self.field = field
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False),
            nn.Sequential(nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *stages,
        )
        self.out = nn.Linear(before, labels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def evidence(self, images: Tensor) -> Tensor:
        """Logits of every patch, (B, L, h, w); their mean is the logit of the image.

        Place (i, j) sees the pixels from 8i and 8j on, `field` along each axis.
        """
        maps: Tensor = self.trunk(images)
        patches: Tensor = self.out(maps.movedim(1, -1))
        return patches.movedim(-1, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.evidence(images).mean(dim=(2, 3))


class Bottleneck(nn.Module):
    """1 × 1, kernel × kernel without padding, 1 × 1; the shortcut loses as many of its last places."""

    def __init__(self, before: int, inner: int, stride: int, kernel: int) -> None:
        super().__init__()
        after = inner * EXPANSION
        self.residual = nn.Sequential(
            nn.Conv2d(before, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, kernel, stride, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            nn.Conv2d(inner, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        same = stride == 1 and before == after
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.residual(x)
        shortcut: Tensor = self.shortcut(x)
        total: Tensor = self.act(out + shortcut[..., : out.shape[-2], : out.shape[-1]])
        return total


def bagnet(
    channels: int,
    labels: int,
    *,
    field: ReceptiveField = 17,
    width: int = 16,
    blocks: tuple[int, int, int, int] = (1, 1, 1, 1),
    seed: int = 0,
) -> BagNet:
    """The network of the seed; the caller's random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BagNet(channels, labels, field, width, blocks)


def fit_bagnet(
    network: BagNet | None,
    train: MaskedImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    field: ReceptiveField = 17,
) -> tuple[nn.Module, FitResult]:
    """Fit with cross-entropy; masks are not used.

    Args:
        network: None for one of the parameters' seed with this receptive field.
        validation, parameters, device, progress: as of `slicerxai.models.classifier_fitting.fit_network`; errors too.

    Raises:
        InputError: images smaller than the receptive field.
    """
    check_masked(train)
    image, labels, _ = train[0]
    network = network or bagnet(len(image), len(labels), field=field, seed=parameters.seed)
    if min(image.shape[1:]) < network.field:
        msg = f"images of shape {tuple(image.shape[1:])} are smaller than the receptive field of {network.field} pixels"
        raise InputError(msg)
    return network, fit_network(network, WithoutMasks(train), validation, parameters, device, progress)
