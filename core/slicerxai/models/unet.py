"""The network of the fast segmenter: a small 3D U-Net of MONAI blocks that works mostly at half resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.nets.basic_unet import Down, TwoConv, UpCat
from torch import Tensor, nn

RELU = ("relu", {"inplace": False})
MOMENTUM = 0.05
DETAIL = 8
"""Channels of the thin layers at full resolution."""
NORM = ("batch", {"momentum": MOMENTUM})

PRIOR_BACKGROUND = 0.95
"""Probability of background before training. With even odds the many background voxels first push every feature down
until those of bright voxels are dead and a lesion differs from background by the bias alone; starting from the prior
avoids it (Lin et al. 2017, arXiv 1708.02002, section 3.3)."""


class FastUNet(nn.Module):
    """U-Net with batch normalisation, ReLU, max pooling and transposed convolutions, each a module of its own.

    A strided convolution halves the resolution before the first level, and a transposed one restores it at the end,
    where thin layers at full resolution sharpen the outlines: far less time than a U-Net with a whole level there,
    which is worth more in training steps. In eval mode the network is piecewise linear, without in-place operations, so
    that relevance propagation and gradients see every step and conserve.

    After Ronneberger et al. 2015 (arXiv 1505.04597) and Çiçek et al. 2016 (arXiv 1606.06650).

    Args:
        channels: input channels C.
        labels: output channels L, background first.
        features: channels of each level, finest (half resolution) first; each further level halves it again.

    Shape:
        BCIJK to BLIJK, float; I, J and K are multiples of `2 ** len(features)`.
    """

    def __init__(self, channels: int, labels: int, features: Sequence[int]) -> None:
        super().__init__()
        first = features[0]
        self.detail = _block(nn.Conv3d(channels, DETAIL, kernel_size=3, padding=1, bias=False))
        self.stem = _block(nn.Conv3d(channels, first, kernel_size=4, stride=2, padding=1, bias=False))
        self.encoder = nn.ModuleList([TwoConv(3, first, first, RELU, NORM, bias=False)])
        for fine, coarse in pairwise(features):
            self.encoder.append(Down(3, fine, coarse, RELU, NORM, bias=False))
        self.decoder = nn.ModuleList(
            UpCat(3, coarse, fine, fine, RELU, NORM, bias=False, halves=False)
            for coarse, fine in pairwise(reversed(features))
        )
        self.up = _block(nn.ConvTranspose3d(first, DETAIL, kernel_size=2, stride=2, bias=False))
        self.refine = _block(nn.Conv3d(2 * DETAIL, DETAIL, kernel_size=3, padding=1, bias=False))
        self.head = nn.Conv3d(DETAIL, labels, kernel_size=1)
        bias = torch.zeros(labels)
        bias[0] = math.log(PRIOR_BACKGROUND / (1 - PRIOR_BACKGROUND) * (labels - 1))
        self.head.bias = nn.Parameter(bias)

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        levels = []
        for block in self.encoder:
            x = block(x)
            levels.append(x)
        levels.pop()
        for block in self.decoder:
            x = block(x, levels.pop())
        x = self.refine(torch.cat([self.up(x), self.detail(images)], dim=1))
        logits: Tensor = self.head(x)
        return logits


def _block(convolution: nn.Conv3d | nn.ConvTranspose3d) -> nn.Sequential:
    """A convolution with batch normalisation and ReLU."""
    normalisation = nn.BatchNorm3d(convolution.out_channels, momentum=MOMENTUM)
    return nn.Sequential(convolution, normalisation, nn.ReLU(inplace=False))
