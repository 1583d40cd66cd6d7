from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from slicerxai.saliency.frozen import frozen_norms


@pytest.mark.parametrize("affine", [True, False])
def test_frozen_norms_give_the_same_outputs_and_image_gradients(affine):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(4, affine=affine)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
        if affine:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
        network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Sequential(norm, nn.ReLU(inplace=True)), nn.Conv2d(4, 1, 3))
        network = network.eval()
        x = torch.randn(2, 2, 9, 9, requires_grad=True)
    frozen = frozen_norms(copy.deepcopy(network))
    assert torch.equal(frozen(x), network(x))
    (plain,) = torch.autograd.grad(network(x).square().sum(), x)
    (fast,) = torch.autograd.grad(frozen(x).square().sum(), x)
    torch.testing.assert_close(fast, plain)
    assert plain.abs().max() > 0


def test_norms_of_the_image_itself_are_left_alone():
    network = nn.Sequential(nn.BatchNorm2d(2, track_running_stats=False), nn.InstanceNorm2d(2), nn.GroupNorm(1, 2))
    kinds = [type(module) for module in network.modules()]
    assert [type(module) for module in frozen_norms(network).modules()] == kinds
