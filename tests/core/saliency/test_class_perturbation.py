"""Black-box maps: occlusion by loops, Shapley values of a linear model, shared evaluations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from slicerxai.saliency import class_perturbation
from slicerxai.saliency.class_maps import class_maps
from slicerxai.saliency.class_perturbation import tiles

CPU = torch.device("cpu")


class Counted(nn.Module):
    """Counts the images that it evaluates; the count outlives copies of the network."""

    seen = 0

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Counted.seen += len(x)
        return self.network(x)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(class_perturbation.tiles, "__defaults__", (4,))
    Counted.seen = 0


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Counted(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 7, 3))).eval()


@pytest.fixture
def images():
    return torch.rand(2, 2, 8, 9, generator=torch.Generator().manual_seed(1))


def test_tiles_cover_evenly():
    ids = tiles(torch.Size((17, 20)))
    sizes = torch.bincount(ids.flatten())
    assert len(sizes) == 64
    assert sizes.min() >= 4
    assert sizes.max() <= 9
    assert int(tiles(torch.Size((9, 9, 3))).max()) + 1 == 4 * 4 * 3
    assert ids[0, 0] == 0
    assert ids[-1, -1] == 63


def test_occlusion_by_loops(few, network, images):
    baseline = torch.full_like(images, 0.2)
    found = class_maps(network, images, "occlusion", CPU, baseline=baseline)
    ids = tiles(torch.Size((8, 9)), 4)
    with torch.no_grad():
        for b in range(2):
            for box in range(4):
                hidden = images[b].clone()
                for i in range(8):
                    for j in range(9):
                        if ids[i, j] == box:
                            hidden[:, i, j] = 0.2
                drop = (network(images[b][None]) - network(hidden[None]))[0]
                places = ids == box
                for label in range(3):
                    values = found.maps[b, label][:, places]
                    torch.testing.assert_close(
                        values, drop[label].expand_as(values) / (2 * places.sum()), rtol=1e-3, atol=1e-6
                    )
    assert found.gap.isnan().all()
    assert found.maps.abs().max() > 0


@pytest.mark.parametrize("method", ["kernel_shap", "lime"])
def test_linear_models_are_explained_exactly(few, images, method):
    """Shapley values of a sum are its parts; LIME's ridge penalty takes a little away."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        linear = nn.Sequential(nn.Flatten(), nn.Linear(2 * 8 * 9, 3)).eval()
    found = class_maps(linear, images, method, CPU, steps=100, seed=3)
    weights = linear[1].weight.detach().reshape(3, 2, 8, 9)
    ids = tiles(torch.Size((8, 9)), 4)
    parts = torch.stack([(weights[None] * images[:, None])[..., ids == box].sum((2, 3)) for box in range(4)], 2)
    sums = torch.stack([found.maps[..., ids == box].sum((2, 3)) for box in range(4)], 2)
    tolerance = 1e-4 if method == "kernel_shap" else 0.15
    torch.testing.assert_close(sums, parts, rtol=tolerance, atol=tolerance * float(parts.abs().max()))
    if method == "kernel_shap":
        assert found.gap.max() < 1e-3
    else:
        assert found.gap.isnan().all()


def test_kernel_shap_is_the_shapley_value_of_every_order(few, network, images):
    found = class_maps(network, images[:1], "kernel_shap", CPU, steps=400)
    ids = tiles(torch.Size((8, 9)), 4)

    def value(shown: set[int]) -> np.ndarray:
        visible = torch.isin(ids, torch.tensor(sorted(shown), dtype=torch.int64))
        with torch.no_grad():
            return network(images[:1] * visible)[0].numpy().astype(float)

    from itertools import permutations

    orders = list(permutations(range(4)))
    shapley = np.zeros((4, 3))
    for order in orders:
        for place, box in enumerate(order):
            shapley[box] += (value({*order[: place + 1]}) - value({*order[:place]})) / len(orders)
    sums = torch.stack([found.maps[0][..., ids == box].sum((1, 2)) for box in range(4)]).numpy()
    np.testing.assert_allclose(sums, shapley, atol=0.05 * np.abs(shapley).max())


def test_labels_share_evaluations_and_seeds_repeat(few, network, images):
    first = class_maps(network, images[:1], "lime", CPU, steps=8, seed=5).maps
    seen = Counted.seen
    assert seen < 2 * 4 * 8
    again = class_maps(network, images[:1], "lime", CPU, steps=8, seed=5).maps
    other = class_maps(network, images[:1], "lime", CPU, steps=8, seed=6).maps
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    one = class_maps(nn.Sequential(network, Pick(2)).eval(), images[:1], "lime", CPU, steps=8, seed=5).maps
    torch.testing.assert_close(one[:, 0], first[:, 2])


class Pick(nn.Module):
    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits[:, self.label : self.label + 1]
