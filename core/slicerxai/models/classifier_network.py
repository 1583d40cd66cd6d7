"""Networks that give one logit per label for a whole image."""

from __future__ import annotations

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
    dims = config.spatial_dims
    if config.architecture == "resnet18":
        network: nn.Module = _resnet18(dims, channels, labels)
        _pool_by(network, "avgpool", config.pooling, dims)
        return network
    network = _densenet(config, channels, labels)
    _pool_by(network.class_layers, "pool", config.pooling, dims)
    return network


def _densenet(config: ClassifierConfig, channels: int, labels: int) -> DenseNet:
    """DenseNet (Huang et al., CVPR 2017) of the wanted size; "densenet121" as published."""
    size: dict[str, Any] = {}
    if config.architecture == "densenet":
        size = {
            "init_features": config.features,
            "growth_rate": config.growth,
            "block_config": config.blocks,
        }
    return DenseNet(config.spatial_dims, channels, labels, act=NOT_IN_PLACE, dropout_prob=config.dropout, **size)


class _Block(ResNetBlock):
    """Residual block whose sum makes a new tensor."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.act(self.bn1(self.conv1(x)))))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.act(torch.add(out, shortcut))


def _resnet18(dims: int, channels: int, labels: int) -> ResNet:
    """ResNet-18 (He et al., CVPR 2016)."""
    return ResNet(
        _Block,
        [2, 2, 2, 2],
        [64, 128, 256, 512],
        spatial_dims=dims,
        n_input_channels=channels,
        conv1_t_stride=2,
        num_classes=labels,
        act=NOT_IN_PLACE,
    )


def _pool_by(module: nn.Module, name: str, pooling: str, dims: int) -> None:
    if pooling == "max":
        setattr(module, name, {2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}[dims](1))
