from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from slicerxai.errors import InputError
from slicerxai.saliency import checks
from slicerxai.saliency.lrp import lrp
from slicerxai.saliency.lrp_rules import EPSILON
from slicerxai.saliency.target import classification_target, segmentation_target

CPU = torch.device("cpu")


def matrix(layer: nn.Module, shape: tuple[int, ...]) -> np.ndarray:
    """The linear part of a layer, column by column."""
    bias = layer(torch.zeros(1, *shape)).flatten()
    columns = []
    for index in range(int(np.prod(shape))):
        unit = torch.zeros(int(np.prod(shape)))
        unit[index] = 1
        columns.append((layer(unit.reshape(1, *shape)).flatten() - bias).detach().double().numpy())
    return np.stack(columns, axis=1)


def stabilised(z: float) -> float:
    return z + EPSILON if z >= 0 else z - EPSILON


def propagate(rule: str, weights: np.ndarray, bias: np.ndarray, x: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """One layer, unit by unit, as printed in Montavon et al. 2019."""
    below = np.zeros_like(x)
    for k in range(len(relevance)):
        if rule == "flat":
            parts, extra = (weights[k] != 0).astype(float), 0.0
        elif rule == "plus":
            parts, extra = np.maximum(weights[k] * x, 0), 0.0
            if parts.sum() == 0:
                parts = np.abs(weights[k]) * (np.abs(x) + EPSILON)
        else:
            parts, extra = weights[k] * x, bias[k]
        below += parts / stabilised(parts.sum() + extra) * relevance[k]
    return below


def test_rules_equal_a_plain_implementation():
    torch.manual_seed(1)
    first, second, head = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 2, 1)
    network = nn.Sequential(first, nn.LeakyReLU(0.1), second, nn.ReLU(), head).eval()
    image = torch.randn(1, 4, 5)
    weight = torch.rand(4, 5)
    target = segmentation_target(network, image[..., None], weight[..., None] > 0.5, 1, 2, (4, 5, 1), 0.0, CPU)
    squeezed = [type(w)(w.slices[:2], w.share[..., 0], w.importance[..., 0]) for w in target.windows]
    flat = type(target)(network, image, tuple(squeezed), target.coefficients, CPU)
    result = lrp(flat)

    x0 = image[None]
    x1 = network[1](first(x0))
    x2 = network[3](second(x1))
    z = head(x2)
    relevance = (z * flat.weights([0], z)).detach().double().flatten().numpy()
    layers = [("epsilon", head, x2), ("plus", second, x1), ("flat", first, x0)]
    for rule, layer, x in layers:
        pixels = 20
        bias = layer.bias.detach().double().repeat_interleave(pixels).numpy()
        values = x.detach().double().flatten().numpy()
        relevance = propagate(rule, matrix(layer, tuple(x.shape[1:])), bias, values, relevance)
    np.testing.assert_allclose(result.relevance.flatten().numpy(), relevance, rtol=2e-3, atol=1e-5)
    assert np.abs(relevance).max() > 1e-3


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_unets_conserve(tiny_unet, make_target, norm, slope):
    result = lrp(make_target(tiny_unet(3, norm, slope)))
    assert checks.gap(result) < 1e-3
    assert result.unruled == ()


def test_two_dimensional_classifier_conserves():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)).eval()
    result = lrp(classification_target(network, torch.randn(1, 20, 20), 1, 3, CPU))
    assert checks.gap(result) < 1e-3


class Residual(nn.Module):
    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.stem, self.inner, self.head = (
            nn.Conv3d(2, 4, 3, padding=1),
            nn.Conv3d(4, 4, 3, padding=1),
            nn.Conv3d(4, 2, 1),
        )
        self.act, self.act2, self.in_place = nn.ReLU(), nn.ReLU(), in_place

    def forward(self, x):
        x = self.act(self.stem(x))
        y = self.inner(x)
        if self.in_place:
            y += x
        else:
            y = y + x
        return self.head(self.act2(y))


@pytest.mark.parametrize("in_place", [True, False])
def test_residual_sums_conserve(make_target, in_place):
    torch.manual_seed(0)
    result = lrp(make_target(Residual(in_place).eval()))
    assert checks.gap(result) < 1e-3


def test_a_sum_shares_relevance_by_magnitude():
    class Add(nn.Module):
        def forward(self, x):
            return x[:, :2] + x[:, 2:]

    head = nn.Linear(2, 2, bias=False)
    head.weight.data = torch.eye(2)
    network = nn.Sequential(nn.Linear(2, 4, bias=False), Add(), head).eval()
    network[0].weight.data = torch.tensor([[1.0, 0], [0, 0], [-3.0, 0], [0, 0]])
    result = lrp(classification_target(network, torch.tensor([2.0, 0.0]), 0, 2, CPU))
    assert result.value == -4
    torch.testing.assert_close(result.relevance, torch.tensor([-4.0, 0.0]), rtol=1e-4, atol=1e-4)


def test_a_layer_used_twice_is_refused(make_target):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(2, 2, 3, padding=1)

        def forward(self, x):
            return self.conv(self.conv(x))

    with pytest.raises(InputError, match="more than once"):
        lrp(make_target(Twice().eval()))


def test_parameters_without_a_rule_are_named(make_target, tiny_unet):
    class Gain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            return x * self.gain

    result = lrp(make_target(nn.Sequential(tiny_unet(), Gain()).eval()))
    assert result.unruled == ("1",)
    assert checks.rule_coverage(result).verdict == "unreliable"
