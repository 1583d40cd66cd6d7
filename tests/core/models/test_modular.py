from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from monai.networks.nets import DenseNet, resnet18
from torch import nn

from slicerxai.models.modular import modular, private

NETWORKS = {
    "torchvision densenet": (lambda: torchvision.models.DenseNet(4, (2, 1), 8, num_classes=2), (2, 3, 32, 32)),
    "thrifty densenet": (
        lambda: torchvision.models.DenseNet(4, (2, 1), 8, num_classes=2, memory_efficient=True),
        (2, 3, 32, 32),
    ),
    "torchvision resnet": (lambda: torchvision.models.resnet18(num_classes=2), (1, 3, 32, 32)),
    "monai densenet": (
        lambda: DenseNet(3, 1, 2, init_features=4, growth_rate=2, block_config=(1, 1)),
        (1, 1, 16, 16, 16),
    ),
    "monai resnet": (lambda: resnet18(spatial_dims=2, n_input_channels=1, num_classes=2), (1, 1, 32, 32)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_same_outputs_and_nothing_in_place(name):
    make, shape = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, images = make().eval(), torch.randn(shape)
    copied = modular(network)
    with torch.no_grad():
        assert torch.equal(copied(images), network(images))
    assert not any(getattr(module, "inplace", False) for module in copied.modules())
    assert not copied.training
    last = list(copied.modules())
    assert any(isinstance(module, (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.AvgPool2d)) for module in last)
    assert not any(parameter.requires_grad for parameter in copied.parameters())


def test_a_private_copy_shares_memory_and_nothing_else():
    network = NETWORKS["monai densenet"][0]().eval()
    before = copy.deepcopy(network.state_dict())
    copied = private(network)
    pairs = list(zip(network.state_dict().values(), copied.state_dict().values(), strict=True))
    assert all(a.data_ptr() == b.data_ptr() for a, b in pairs)
    assert not set(network.modules()) & set(copied.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before.values(), network.state_dict().values(), strict=True))


def test_mode_is_kept():
    assert modular(NETWORKS["torchvision densenet"][0]()).training
