"""Tiny networks with fixed weights, an image, and targets on them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from slicerxai.saliency.target import Target, segmentation_target

CPU = torch.device("cpu")
CONV = {2: nn.Conv2d, 3: nn.Conv3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
NORMS = {
    "batch": {2: nn.BatchNorm2d, 3: nn.BatchNorm3d},
    "instance": {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d},
}


class TinyUNet(nn.Module):
    """Two levels with a skip concatenation: every kind of layer that the segmenters here have."""

    def __init__(self, dims: int, norm: str, slope: float) -> None:
        super().__init__()
        self.fine = self._block(dims, 2, 4, norm, slope)
        self.pool = POOL[dims](2)
        self.coarse = self._block(dims, 4, 6, norm, slope)
        self.up = UP[dims](6, 4, 2, stride=2)
        self.join = self._block(dims, 8, 4, norm, slope)
        self.head = CONV[dims](4, 2, 1)

    @staticmethod
    def _block(dims: int, inside: int, outside: int, norm: str, slope: float) -> nn.Sequential:
        layer = NORMS[norm][dims](outside, affine=True)
        with torch.no_grad():
            layer.weight.uniform_(0.5, 1.5)
            layer.bias.normal_(0, 0.2)
            if norm == "batch":
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 2)
        act = nn.LeakyReLU(slope) if slope else nn.ReLU()
        return nn.Sequential(CONV[dims](inside, outside, 3, padding=1), layer, act)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        joined = torch.cat([self.up(self.coarse(self.pool(fine))), fine], dim=1)
        logits: Tensor = self.head(self.join(joined))
        return logits


@pytest.fixture
def tiny_unet() -> Callable[..., nn.Module]:
    def make(dims: int = 3, norm: str = "batch", slope: float = 0.0, seed: int = 0) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return TinyUNet(dims, norm, slope).eval()

    return make


@pytest.fixture
def image() -> Tensor:
    """(2, 20, 18, 16) with an empty border."""
    image = torch.randn(2, 20, 18, 16, generator=torch.Generator().manual_seed(3)) + 0.5
    image[:, :2] = 0
    return image


@pytest.fixture
def region() -> Tensor:
    region = torch.zeros(20, 18, 16, dtype=torch.bool)
    region[8:11, 7:11, 9:12] = True
    return region


@pytest.fixture
def make_target(image: Tensor, region: Tensor) -> Callable[[nn.Module], Target]:
    def make(network: nn.Module, patch: int = 12, overlap: float = 0.25) -> Target:
        return segmentation_target(network, image, region, 1, 2, (patch,) * 3, overlap, CPU)

    return make
