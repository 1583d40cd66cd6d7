"""Networks of the alignment benchmarks: a seven-layer CNN and a two-layer perceptron.

Activations are smooth, because the implicit gradient needs second derivatives in the input, and nothing normalises
over the batch, because the images' counterfactuals must not depend on each other.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from slicerxai.errors import InputError

Activation = Literal["silu", "softplus"]
Norm = Literal["none", "group"]
ACTIVATIONS: dict[Activation, type[nn.Module]] = {"silu": nn.SiLU, "softplus": nn.Softplus}
SMALLEST = 16
CELLS = 3
"""The last feature maps are pooled to so many cells along each axis, so that the head knows where something is."""
FINE_LAYER, MIDDLE_LAYER, COARSE_LAYER = "trunk.1", "trunk.2", "trunk.5"
"""Second, third and sixth convolution with their activations, on grids of 1, 2 and 8 pixels of the image."""


class SevenLayerCnn(nn.Module):
    """Six 3 × 3 convolutions and a linear layer over the pooled cells of the last maps: BCHW to logits BL.

    Attributes:
        trunk: all convolutions, (B, C, H, W) to `features`, (B, F, h, w).
        head: maps of the trunk to logits.
    """

    def __init__(self, channels: int, outputs: int, width: int, activation: Activation, norm: Norm) -> None:
        super().__init__()
        widths = (width, width, 2 * width, 2 * width, 4 * width, 4 * width)
        strides = (1, 1, 2, 1, 2, 2)
        blocks: list[nn.Module] = []
        before = channels
        for after, stride in zip(widths, strides, strict=True):
            blocks.append(_block(before, after, stride, activation, norm))
            before = after
        self.trunk = nn.Sequential(*blocks)
        self.head = CellHead(before, outputs)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(images))
        return logits


class CellHead(nn.Module):
    """Mean of each cell, then one linear layer: (B, F, h, w) to (B, L)."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features * CELLS**2, outputs)

    def forward(self, maps: Tensor) -> Tensor:
        cells = functional.adaptive_avg_pool2d(maps, CELLS)
        logits: Tensor = self.linear(cells.flatten(1))
        return logits


def seven_layer_cnn(
    channels: int,
    outputs: int,
    size: tuple[int, int],
    *,
    width: int = 16,
    activation: Activation = "silu",
    norm: Norm = "none",
    seed: int = 0,
) -> SevenLayerCnn:
    """The network of the seed; the caller's random state stays as it is.

    Args:
        size: (H, W) of the images, at least 16.
        width: channels of the first convolution; the last has four times as many.
        norm: "group" normalises each image's maps in groups of channels.

    Raises:
        InputError: images too small for three halvings.
    """
    if min(size) < SMALLEST:
        msg = f"images of {size[0]} × {size[1]} pixels are too small; at least {SMALLEST} × {SMALLEST} are accepted"
        raise InputError(msg)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SevenLayerCnn(channels, outputs, width, activation, norm)


def attribute_mlp(
    attributes: int, labels: int, *, width: int = 16, activation: Activation = "silu", seed: int = 0
) -> nn.Sequential:
    """Two-layer perceptron of the seed: attributes (B, P) to logits (B, L)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(attributes, width), ACTIVATIONS[activation](), nn.Linear(width, labels))


def _block(before: int, after: int, stride: int, activation: Activation, norm: Norm) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel_size=3, stride=stride, padding=1)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
    middle: list[nn.Module] = [nn.GroupNorm(4, after)] if norm == "group" else []
    return nn.Sequential(convolution, *middle, ACTIVATIONS[activation]())
