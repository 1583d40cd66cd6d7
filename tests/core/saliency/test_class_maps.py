"""Maps of every class: formulas, conservation on real DenseNets, and a network that stays as it was."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torchvision
from monai.networks.nets import DenseNet, DenseNet121, resnet18
from torch import Tensor, nn

from slicerxai.errors import InputError
from slicerxai.saliency import lrp_rules
from slicerxai.saliency.class_maps import class_maps

CPU = torch.device("cpu")


def lively(network: nn.Module) -> nn.Module:
    """Batch norms that have seen something, in eval mode."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def small(labels: int = 3) -> nn.Module:
    return lively(DenseNet(2, 2, labels, init_features=6, growth_rate=4, block_config=(2, 2)))


def fitted() -> tuple[nn.Module, Tensor]:
    """A DenseNet121 that a few steps have taught to tell bright left halves from bright right ones, and images."""
    network = lively(DenseNet121(2, 1, 2)).train()
    images = torch.rand(8, 1, 32, 32)
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 4)
    images[0::2, :, :16] += 1
    images[1::2, :, 16:] += 1
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    for _ in range(8):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(network(images), truth).backward()
        optimizer.step()
    return network.eval(), images[:2]


NETWORKS = {
    "densenet121 2d": lambda: (lively(DenseNet121(2, 1, 5)), torch.rand(2, 1, 64, 64)),
    "densenet121 3d": lambda: (lively(DenseNet121(3, 2, 3)), torch.rand(1, 2, 32, 32, 32)),
    "densenet121 2d trained": fitted,
    "densenet121 torchvision": lambda: (
        lively(torchvision.models.densenet121(num_classes=3)),
        torch.rand(1, 3, 64, 64),
    ),
    "resnet18 torchvision": lambda: (lively(torchvision.models.resnet18(num_classes=3)), torch.rand(1, 3, 48, 48)),
    "resnet18 monai 3d": lambda: (
        lively(resnet18(spatial_dims=3, n_input_channels=1, num_classes=3)),
        torch.rand(1, 1, 24, 24, 24),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_lrp_conserves_and_is_not_input_x_gradient(name):
    network, images = NETWORKS[name]()
    relevance, gradient = (class_maps(network, images, method, CPU) for method in ("lrp", "input_x_gradient"))
    logits = network(images).detach()
    assert relevance.maps.shape == (len(images), logits.shape[1], *images.shape[1:])
    assert relevance.gap.max() < 1e-4
    assert relevance.unruled == ()
    torch.testing.assert_close(relevance.logits, logits)
    torch.testing.assert_close(gradient.logits, logits)
    assert gradient.gap.isnan().all()
    cosine = torch.cosine_similarity(relevance.maps.flatten(2), gradient.maps.flatten(2), dim=2)
    assert cosine.abs().max() < 0.99


def test_a_broken_rule_shows_in_the_gap(monkeypatch):
    """Batch norms without their rule multiply relevance by their scale."""
    network, images = small(), torch.rand(1, 2, 24, 24)
    assert class_maps(network, images, "lrp", CPU).gap.max() < 1e-4
    monkeypatch.setattr(lrp_rules, "NORMALISATION", (nn.GroupNorm,))
    assert class_maps(network, images, "lrp", CPU).gap.min() > 0.05


def test_a_functional_head_loses_relevance_that_a_modular_one_keeps(monkeypatch):
    network, images = lively(torchvision.models.DenseNet(4, (1, 1), 8, num_classes=2)), torch.rand(1, 3, 64, 64)
    assert class_maps(network, images, "lrp", CPU).gap.max() < 1e-4
    monkeypatch.setattr("slicerxai.saliency.class_maps.modular", copy.deepcopy)
    assert class_maps(network, images, "lrp", CPU).gap.max() > 1e-3


def test_maps_of_one_pass_equal_those_of_passes_of_their_own():
    network, images = small(), torch.rand(2, 2, 20, 20)
    x = images.clone().requires_grad_()
    maps = class_maps(network, images, "input_x_gradient", CPU).maps
    relevance = class_maps(network, images, "lrp", CPU).maps
    for label in range(3):
        (gradient,) = torch.autograd.grad(network(x)[:, label].sum(), x)
        torch.testing.assert_close(maps[:, label], images * gradient, rtol=1e-4, atol=1e-7)
    alone = lively(copy.deepcopy(network))
    alone.load_state_dict(network.state_dict())
    with torch.no_grad():
        alone.class_layers.out.weight[:2] = 0
        alone.class_layers.out.bias[:2] = 0
    last = class_maps(alone, images, "lrp", CPU).maps
    torch.testing.assert_close(last[:, 2], relevance[:, 2], rtol=1e-4, atol=1e-7)


def test_integrated_gradients_against_a_plain_sum_and_completeness():
    network, images = small(), torch.rand(2, 2, 20, 20)
    baseline = images.mean(dim=(2, 3), keepdim=True).expand_as(images) * 0.5
    found = class_maps(network, images, "integrated_gradients", CPU, baseline=baseline, steps=5)
    nodes, weights = np.polynomial.legendre.leggauss(5)
    for label in range(3):
        total = torch.zeros_like(images)
        for node, weight in zip(nodes, weights, strict=True):
            x = (baseline + (node + 1) / 2 * (images - baseline)).float().requires_grad_()
            (gradient,) = torch.autograd.grad(network(x)[:, label].sum(), x)
            total += weight / 2 * gradient
        torch.testing.assert_close(found.maps[:, label], total * (images - baseline), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found.expected, (network(images) - network(baseline)).detach())
    smooth = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Softplus(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    assert class_maps(smooth.eval(), images, "integrated_gradients", CPU, steps=8).gap.max() < 1e-3


def features_and_gradients(network: nn.Module, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A (B, K, I, J) at the rectified end of a MONAI DenseNet, and g (B, L, K, I, J)."""
    a = nn.functional.relu(network.features(images)).detach().requires_grad_()
    logits = network.class_layers.out(a.mean(dim=(2, 3)))
    gradients = [torch.autograd.grad(logits[:, label].sum(), a, retain_graph=True)[0] for label in range(3)]
    return a.detach().double().numpy(), torch.stack(gradients, 1).double().numpy()


@pytest.mark.parametrize("method", ["grad_cam", "grad_cam_pp"])
def test_class_activation_maps_by_loops(method):
    network, images = small(), torch.rand(2, 2, 32, 32)
    found = class_maps(network, images, method, CPU)
    a, g = features_and_gradients(network, images)
    batch, channels, rows, columns = a.shape
    assert rows > 1
    plain = np.zeros((batch, 3, rows, columns))
    for b in range(batch):
        for label in range(3):
            for k in range(channels):
                weight = 0.0
                total = sum(a[b, k, i, j] for i in range(rows) for j in range(columns))
                for i in range(rows):
                    for j in range(columns):
                        slope = g[b, label, k, i, j]
                        if method == "grad_cam":
                            weight += slope / (rows * columns)
                        else:
                            below = 2 * slope**2 + total * slope**3
                            weight += (slope**2 / below if below else 0.0) * max(slope, 0.0)
                plain[b, label] += weight * a[b, k]
    plain = np.maximum(plain, 0)
    fine = nn.functional.interpolate(torch.from_numpy(plain), (32, 32), mode="bilinear", align_corners=False)
    assert found.layer == "class_layers.relu"
    assert found.maps.shape == (2, 3, 1, 32, 32)
    assert plain.max() > 0
    torch.testing.assert_close(found.maps[:, :, 0].double(), fine, rtol=1e-3, atol=1e-6)
    assert found.gap.isnan().all()


def test_class_activation_maps_of_residual_sums_in_place_and_volumes():
    network = lively(torchvision.models.resnet18(num_classes=2))
    images = torch.rand(1, 3, 64, 64)
    found = class_maps(network, images, "grad_cam", CPU)
    trunk = nn.Sequential(*list(network.children())[:-2])
    a = trunk(images).detach()
    weights = network.fc.weight[:, :, None, None] / (a.shape[2] * a.shape[3])
    plain = (weights * a).sum(1, keepdim=True).clamp(min=0).detach()
    fine = nn.functional.interpolate(plain, (64, 64), mode="bilinear", align_corners=False)
    assert found.layer == "layer4"
    torch.testing.assert_close(found.maps[0], fine, rtol=1e-3, atol=1e-6)
    volume = lively(DenseNet(3, 1, 2, init_features=4, growth_rate=2, block_config=(1, 1)))
    assert class_maps(volume, torch.rand(1, 1, 16, 16, 16), "grad_cam_pp", CPU).maps.shape == (1, 2, 1, 16, 16, 16)


def test_class_activation_needs_feature_maps():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()
    with pytest.raises(InputError, match="feature maps"):
        class_maps(network, torch.rand(1, 1, 4, 4), "grad_cam", CPU)


@pytest.mark.parametrize("method", ["input_x_gradient", "lrp", "grad_cam", "integrated_gradients", "occlusion"])
def test_the_network_stays_as_it_was(method):
    network = lively(torchvision.models.DenseNet(4, (1, 1), 8, num_classes=2))
    before = copy.deepcopy(network.state_dict())
    flags = [(getattr(m, "inplace", None), m.training) for m in network.modules()]
    images = torch.rand(1, 3, 32, 32)
    kept = images.clone()
    class_maps(network, images, method, CPU, steps=2)
    assert torch.equal(images, kept)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), network.state_dict().values(), strict=True))
    assert flags == [(getattr(m, "inplace", None), m.training) for m in network.modules()]
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in network.modules())


def test_training_mode_and_wrong_shapes_are_refused():
    network = small()
    with pytest.raises(ValueError, match="baseline"):
        class_maps(network, torch.rand(1, 2, 16, 16), "occlusion", CPU, baseline=torch.zeros(1, 2, 8, 8))
    with pytest.raises(ValueError, match="logits of shape"):
        class_maps(nn.Conv2d(2, 2, 1).eval(), torch.rand(1, 2, 4, 4), "input_x_gradient", CPU)
    with pytest.raises(ValueError, match="training mode"):
        class_maps(network.train(), torch.rand(1, 2, 16, 16), "lrp", CPU)


def by_hand(network: nn.Module, x0: Tensor, label: int) -> np.ndarray:
    """LRP of a small DenseNet, one unit at a time: cat shares by position, both uses of a map add up."""
    stem, norm, layer, head = network.stem, network.norm, network.layer, network.head
    x1 = stem(x0).relu()
    inner = norm(x1).relu()
    x2 = torch.cat([x1, layer(inner)], 1)
    pooled = nn.functional.avg_pool2d(x2, 2)
    last = pooled.relu()
    logits = head(last.flatten(1))
    relevance = logits[0, label].item() * np.eye(logits.shape[1])[label]
    relevance = linear(head, last.flatten(1)[0], relevance, "epsilon").reshape(last.shape[1:])
    relevance = pool(x2[0].numpy().astype(float), relevance)
    count = x1.shape[1]
    through = convolution(layer, inner[0], relevance[count:], "plus")
    return convolution(stem, x0[0], relevance[:count] + through, "flat")


def linear(layer: nn.Linear, x: Tensor, relevance: np.ndarray, rule: str) -> np.ndarray:
    assert rule == "epsilon"
    w, below = layer.weight.numpy().astype(float), np.zeros(len(x))
    for k, r in enumerate(relevance):
        z = float(layer.bias[k]) + sum(w[k, i] * float(x[i]) for i in range(len(x)))
        for i in range(len(x)):
            below[i] += w[k, i] * float(x[i]) / z * r
    return below


def pool(x: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    below = np.zeros_like(x)
    for k, i, j in np.ndindex(relevance.shape):
        field = np.abs(x[k, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]) + 1e-6
        below[k, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += field / field.sum() * relevance[k, i, j]
    return below


def convolution(layer: nn.Conv2d, x: Tensor, relevance: np.ndarray, rule: str) -> np.ndarray:
    """3 × 3 with a border of one."""
    w, values = layer.weight.numpy().astype(float), x.numpy().astype(float)
    below = np.zeros_like(values)
    for k, i, j in np.ndindex(relevance.shape):
        places = [
            (c, i + a - 1, j + b - 1, w[k, c, a, b])
            for c, a, b in np.ndindex(w.shape[1:])
            if 0 <= i + a - 1 < values.shape[1] and 0 <= j + b - 1 < values.shape[2]
        ]
        if rule == "flat":
            parts = [1.0 for _ in places]
        else:
            parts = [max(weight * values[c, m, n], 0) for c, m, n, weight in places]
            if sum(parts) == 0:
                parts = [abs(weight) * (abs(values[c, m, n]) + 1e-6) for c, m, n, weight in places]
        for (c, m, n, _), part in zip(places, parts, strict=True):
            below[c, m, n] += part / sum(parts) * relevance[k, i, j]
    return below


class TinyDense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.layer = (
            nn.Conv2d(2, 3, 3, padding=1),
            nn.BatchNorm2d(3),
            nn.Conv2d(3, 2, 3, padding=1),
        )
        self.pool, self.head = nn.AvgPool2d(2), nn.Linear(20, 3)
        self.first, self.inner, self.last, self.flat = nn.ReLU(True), nn.ReLU(True), nn.ReLU(True), nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x))
        x = torch.cat([x, self.layer(self.inner(self.norm(x)))], 1)
        return self.head(self.flat(self.last(self.pool(x))))


def test_lrp_of_a_small_densenet_by_loops():
    network, image = lively(TinyDense()), torch.randn(1, 2, 4, 4)
    found = class_maps(network, image, "lrp", CPU)
    with torch.no_grad():
        network.requires_grad_(requires_grad=False)
        plain = [by_hand(network, image, label) for label in range(3)]
    assert found.gap.max() < 1e-4
    np.testing.assert_allclose(found.maps[0].numpy(), np.stack(plain), rtol=1e-3, atol=1e-5)
    assert np.abs(plain).max() > 0.01
