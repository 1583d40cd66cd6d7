"""The network of the fast segmenter: a small 3D U-Net of MONAI blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from monai.networks.nets.basic_unet import Down, TwoConv, UpCat
from torch import Tensor, nn

RELU = ("relu", {"inplace": False})
NORM = ("batch", {"momentum": 0.05})


class FastUNet(nn.Module):
    """U-Net with batch normalisation, ReLU, max pooling and transposed convolutions, each a module of its own.

    In eval mode it is piecewise linear, without in-place operations, so that relevance propagation and gradients see
    every step and conserve. After Ronneberger et al. 2015 (arXiv 1505.04597) and Çiçek et al. 2016 (arXiv 1606.06650).

    Args:
        channels: input channels C.
        labels: output channels L, background first.
        features: channels of each level, finest first; each further level halves the resolution.

    Shape:
        BCIJK to BLIJK, float; I, J and K are multiples of `2 ** (len(features) - 1)`.
    """

    def __init__(self, channels: int, labels: int, features: Sequence[int]) -> None:
        super().__init__()
        self.encoder = nn.ModuleList([TwoConv(3, channels, features[0], RELU, NORM, bias=False)])
        for fine, coarse in pairwise(features):
            self.encoder.append(Down(3, fine, coarse, RELU, NORM, bias=False))
        self.decoder = nn.ModuleList(
            UpCat(3, coarse, fine, fine, RELU, NORM, bias=False, halves=False)
            for coarse, fine in pairwise(reversed(features))
        )
        self.head = nn.Conv3d(features[0], labels, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        levels = [images]
        for block in self.encoder:
            levels.append(block(levels[-1]))
        x = levels.pop()
        for block in self.decoder:
            x = block(x, levels.pop())
        logits: Tensor = self.head(x)
        return logits
