"""Networks that give one logit per label for a whole image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from monai.networks.nets.densenet import DenseNet
from monai.networks.nets.resnet import ResNet, ResNetBlock
from torch import Tensor, nn

from slicerxai.models.classifier_parameters import ClassifierConfig

NOT_IN_PLACE = ("relu", {"inplace": False})
"""In-place activations would hide the values that hooks have to see."""


def build_network(config: ClassifierConfig, channels: int, labels: int) -> nn.Module:
    """A network from (B, `channels`, *spatial) to logits (B, `labels`); its weights follow torch's global seed.

    Every step is a module of its own, none works in place.
    """
    dims, cells = config.spatial_dims, config.pooled_cells
    pool = _POOLS[config.pooling, dims](cells)
    if config.architecture == "regional":
        return RegionalNet(config, channels, labels, pool)
    if config.architecture == "resnet18":
        return _resnet18(dims, channels, labels, pool, cells)
    return _densenet(config, channels, labels, pool, cells)


def _densenet(config: ClassifierConfig, channels: int, labels: int, pool: nn.Module, cells: int) -> DenseNet:
    """DenseNet (Huang et al., CVPR 2017) of the wanted size; "densenet121" as published."""
    size: dict[str, Any] = {}
    if config.architecture == "densenet":
        size = {
            "init_features": config.features,
            "growth_rate": config.growth,
            "block_config": config.blocks,
        }
    dims = config.spatial_dims
    network = DenseNet(dims, channels, labels, act=NOT_IN_PLACE, dropout_prob=config.dropout, **size)
    head: Any = network.class_layers
    head.pool = pool
    head.out = nn.Linear(head.out.in_features * cells**dims, labels)
    return network


INTENSITY_STEPS = (-4.0, -2.0, -1.0, 0.0, 1.0, 1.5, 2.0, 3.0)
"""Where the first layer of `RegionalNet` starts to see, in the units of normalised intensity."""


class RegionalNet(nn.Sequential):
    """How much of each kind of brightness there is in each region: few weights, for a few hundred images.

    Each channel is split at intensity steps (max(0, x - step), the steps are learned on), each part is brought to one
    scale, so that rare bright voxels count as much as tissue; two convolutions at half and a quarter of the resolution
    follow, and a linear layer on the maps pooled in a grid of cells, which knows where each cell is.
    """

    def __init__(self, config: ClassifierConfig, channels: int, labels: int, pool: nn.Module) -> None:
        dims, width = config.spatial_dims, config.features
        parts = channels * len(INTENSITY_STEPS)
        convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
        norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims]
        halve = {2: nn.AvgPool2d, 3: nn.AvgPool3d}[dims]
        split = convolution(channels, parts, 1, groups=channels)
        nn.init.ones_(split.weight)
        with torch.no_grad():
            split.bias.copy_(-torch.tensor(INTENSITY_STEPS).repeat(channels))  # type: ignore[union-attr]
        super().__init__(
            OrderedDict(
                split=split,
                relu0=nn.ReLU(),
                halve1=halve(2),
                norm0=norm(parts),
                conv1=convolution(parts, width, 3, padding=1, bias=False),
                norm1=norm(width),
                relu1=nn.ReLU(),
                halve2=halve(2),
                conv2=convolution(width, 2 * width, 3, padding=1, bias=False),
                norm2=norm(2 * width),
                relu2=nn.ReLU(),
                pool=pool,
                flatten=nn.Flatten(1),
                dropout=nn.Dropout(config.dropout),
                out=nn.Linear(2 * width * config.pooled_cells**dims, labels),
            )
        )


class _Block(ResNetBlock):
    """Residual block whose sum makes a new tensor."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.act(torch.add(out, shortcut))


def _resnet18(dims: int, channels: int, labels: int, pool: nn.Module, cells: int) -> ResNet:
    """ResNet-18 (He et al., CVPR 2016)."""
    widths = [64, 128, 256, 512]
    network: Any = ResNet(
        _Block,
        [2, 2, 2, 2],
        widths,
        spatial_dims=dims,
        n_input_channels=channels,
        conv1_t_stride=2,
        act=NOT_IN_PLACE,
    )
    for module in network.modules():
        if isinstance(module, nn.ReLU):  # the blocks are not given the activation of the network
            module.inplace = False
    network.avgpool = pool
    network.fc = nn.Linear(widths[-1] * cells**dims, labels)
    return network


_POOLS: dict[tuple[str, int], Callable[[int], nn.Module]] = {
    ("average", 2): nn.AdaptiveAvgPool2d,
    ("average", 3): nn.AdaptiveAvgPool3d,
    ("max", 2): nn.AdaptiveMaxPool2d,
    ("max", 3): nn.AdaptiveMaxPool3d,
}
