"""Baselines against plain formulas, in two and three dimensions."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from slicerxai.errors import InputError
from slicerxai.monitoring import uncertainty
from slicerxai.monitoring.observe import observe
from slicerxai.monitoring.uncertainty import Copies

CPU = torch.device("cpu")


def network(dims, dropout=0.0, seed=0):
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    torch.manual_seed(seed)
    layers = [conv(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout), nn.LazyLinear(3)]
    made = nn.Sequential(*layers)
    made(torch.zeros(1, 1, *(16,) * dims))
    return made.eval()


def images(dims, n=5):
    return torch.rand(n, 1, *(16,) * dims, generator=torch.Generator().manual_seed(1))


def test_entropy_in_bits():
    p = np.array([[0.0, 1.0, 0.5, 0.25, 1e-12]])
    wanted = [0 if q in (0, 1) else -q * math.log2(q) - (1 - q) * math.log2(1 - q) for q in p[0].tolist()]
    assert uncertainty.binary_entropy(p)[0] == pytest.approx(wanted, abs=1e-14)
    assert wanted[2] == 1


@pytest.mark.parametrize("dims", [2, 3])
def test_a_quarter_turn_and_a_shift_move_pixels_where_they_belong(dims):
    image = torch.zeros(1, 1, *(8, 12, 10)[:dims])
    image[0, 0, 3, 4] = 1.0
    generator = torch.Generator().manual_seed(0)
    copy = uncertainty._copy(image, Copies(rotation=0, padding=3), blurred=False, generator=generator)
    generator = torch.Generator().manual_seed(0)
    torch.rand((), generator=generator)
    torch.randn(3, generator=generator)
    shift = torch.randint(-3, 4, (dims,), generator=generator).tolist()
    assert any(shift)
    wanted = torch.zeros_like(image)
    for index in np.ndindex(image.shape[2:]):
        source = [i + s for i, s in zip(index, shift, strict=True)]
        if all(0 <= s < n for s, n in zip(source, image.shape[2:], strict=True)):
            wanted[(0, 0, *index)] = image[(0, 0, *source)]
    assert torch.allclose(copy, wanted, atol=1e-5)


def test_a_turn_of_an_oblong_image_keeps_angles():
    """A point at distance r from the centre stays at distance r, in pixels."""
    image = torch.zeros(1, 1, 33, 65)
    image[0, 0, 16, 26] = 1.0
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        copy = uncertainty._copy(image, Copies(rotation=60, padding=0), blurred=False, generator=generator)[0, 0]
        weights = copy / copy.sum()
        i = float((weights.sum(1) * torch.arange(33)).sum()) - 16
        j = float((weights.sum(0) * torch.arange(65)).sum()) - 32
        assert math.hypot(i, j) == pytest.approx(6, abs=0.3)
        assert abs(math.degrees(math.atan2(i, -j))) <= 60


def test_the_blur_is_a_mean_over_a_box():
    image = images(2, 1)
    blurred = uncertainty._blur(image, 4)
    padded = np.pad(image[0, 0].numpy(), (1, 2), mode="edge")
    for i in range(16):
        for j in range(16):
            assert blurred[0, 0, i, j] == pytest.approx(padded[i : i + 4, j : j + 4].mean(), abs=1e-6)
    assert uncertainty._blur(images(3, 1), 3).shape == (1, 1, 16, 16, 16)


def test_copies_in_proportion_to_the_image():
    assert Copies().scaled(320) == Copies()
    assert Copies().scaled(640) == Copies()
    assert Copies().scaled(64) == Copies(kernel=2, padding=2)


@pytest.mark.parametrize("dims", [2, 3])
def test_readings_do_not_depend_on_the_rest_of_the_batch(dims):
    for score in ("entropy", "tta", "mc_dropout"):
        net = network(dims, dropout=0.3)
        found = observe(net, images(dims), (0.5, 0.5, 0.5), CPU, score=score)
        again = observe(net, images(dims), (0.5, 0.5, 0.5), CPU, score=score)
        assert np.array_equal(found.measure, again.measure)
        assert found.measure.shape == (5, 3)
        assert found.saliency is None
        if score != "mc_dropout":
            alone = observe(net, images(dims)[2:3], (0.5, 0.5, 0.5), CPU, score=score)
            assert alone.measure[0] == pytest.approx(found.measure[2], abs=1e-5)
        assert not net.training
        assert not any(m.training for m in net.modules())


def test_a_network_that_ignores_position_has_no_spread():
    class Mean(nn.Module):
        def forward(self, x):
            return x.amax((2, 3)) @ torch.ones(1, 2)

    constant = torch.ones(2, 1, 16, 16)
    spread = uncertainty.augmentation_spread(Mean(), constant, CPU, copies=Copies(padding=1))
    assert spread == pytest.approx(np.zeros((2, 2)), abs=1e-6)


def test_dropout_is_drawn_and_its_mean_taken():
    net, x = network(2, dropout=0.5), images(2)
    found = uncertainty.dropout_entropy(net, x, CPU, draws=4, seed=3)
    torch.manual_seed(3)
    net.train()
    with torch.no_grad():
        mean = torch.stack([torch.sigmoid(net(x)) for _ in range(4)]).mean(0).double().numpy()
    assert found == pytest.approx(uncertainty.binary_entropy(mean), abs=1e-6)
    with pytest.raises(InputError, match="dropout"):
        uncertainty.dropout_entropy(network(2), x, CPU)


def test_an_ensemble_takes_the_mean_of_its_members():
    nets, x = [network(2, seed=s) for s in range(3)], images(2)
    with torch.no_grad():
        mean = torch.stack([torch.sigmoid(net(x)) for net in nets]).mean(0).double().numpy()
    assert uncertainty.ensemble_entropy(nets, x, CPU) == pytest.approx(uncertainty.binary_entropy(mean), abs=1e-6)
    with pytest.raises(InputError, match="two"):
        uncertainty.ensemble_entropy(nets[:1], x, CPU)


@pytest.mark.parametrize("dims", [2, 3])
def test_distinctiveness_of_the_maps_of_a_linear_network(dims):
    """Input × Gradient of a linear network is known: the image times each class's weights."""
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(16**dims, 3)).eval()
    x = images(dims)
    found = observe(linear, x, (0.2, 0.5, 0.7), CPU, saliency="input_x_gradient", batch=2)
    weights = linear[1].weight.detach().double().numpy()
    for n, image in enumerate(x.flatten(1).double().numpy()):
        maps = [image * w for w in weights]
        for i in range(3):
            cosines = [
                maps[i] @ maps[j] / np.linalg.norm(maps[i]) / np.linalg.norm(maps[j]) for j in range(3) if j != i
            ]
            assert found.measure[n, i] == pytest.approx(sum(1 - c for c in cosines), abs=1e-5)
    assert np.array_equal(found.predicted, found.probabilities >= np.array([0.2, 0.5, 0.7]))
    assert np.array_equal(found.suspicious, -found.measure)
