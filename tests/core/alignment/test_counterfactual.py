"""Counterfactuals: optimality place by place, exact sparsity, bounds, independence of the images."""

import math

import pytest
import torch
from torch import nn

from slicerxai.alignment.counterfactual import counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.distances import distance
from slicerxai.alignment.losses import class_loss, label_loss
from slicerxai.errors import Cancelled

NAMES = ("l1", "l2", "scaled_l1", "scaled_l2")
DOUBLE = torch.float64


def network(dims=2, outputs=1, size=8, seed=0):
    torch.manual_seed(seed)
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    cells = ((size - 1) // 2 + 1) ** dims
    layers = (convolution(1, 3, 3, padding=1), nn.SiLU(), convolution(3, 3, 3, stride=2, padding=1), nn.Softplus())
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * cells, outputs)).double()


def problem(count=4, outputs=1, dims=2, size=8, seed=0):
    net = network(dims, outputs, size, seed)
    images = torch.randn(count, 1, *[size] * dims, dtype=DOUBLE)
    wanted = 1 - (net(images).detach() > 0).to(DOUBLE)
    return net, images, label_loss(net, wanted, torch.ones_like(wanted, dtype=torch.bool))


def tight(**values):
    return SolverParameters(**{"steps": 2000, "tolerance": 1e-8} | values)


def slopes(loss, images):
    at = images.clone().requires_grad_()
    loss(at).sum().backward()
    return at.grad


def check_optimal(found, loss, name, scale=None, low=-math.inf, high=math.inf, allowed=None, limit=1e-6):
    """Zero is in the subdifferential of eq. 2 (within the feasible directions) at every place."""
    slope = slopes(loss, found.images)
    places = 0
    for index in torch.cartesian_prod(*map(torch.arange, found.change.shape)).tolist():
        place = tuple(index)
        weight = float(found.alpha[place[0]]) / (1.0 if scale is None else float(scale[place[1:]]))
        change, value, pull = float(found.change[place]), float(found.images[place]), float(slope[place])
        if allowed is not None and not allowed[place]:
            assert change == 0
            continue
        if name.endswith("l1"):
            least, most = (weight, weight) if change > 0 else (-weight, -weight) if change < 0 else (-weight, weight)
        else:
            least = most = 2 * weight * change
        left, right = pull + least, pull + most
        assert left <= limit or value <= low
        assert right >= -limit or value >= high
        places += 1
    assert places


@pytest.mark.parametrize("name", NAMES)
def test_every_place_is_optimal(name):
    _, images, loss = problem()
    scale = torch.rand(1, 8, 8, dtype=DOUBLE) + 0.5 if name.startswith("scaled") else None
    found = counterfactual(loss, images, tight(distance=name, alpha=0.2), scale=scale)
    assert found.residual.max() <= 1e-8
    assert (found.change.flatten(1) != 0).any(1).all()
    check_optimal(found, loss, name, scale)
    before = loss(images)
    assert (found.loss + found.alpha * distance(found.change, name, scale) < before).all()
    torch.testing.assert_close(found.loss, loss(found.images))
    torch.testing.assert_close(found.images, images + found.change)


def test_three_dimensions():
    _, images, loss = problem(count=2, dims=3, size=5)
    found = counterfactual(loss, images, tight(alpha=0.3))
    assert 0 < found.support.sum() < found.support.numel()
    check_optimal(found, loss, "l1")


def test_several_labels_and_exclusive_classes():
    net = network(outputs=3)
    images = torch.randn(3, 1, 8, 8, dtype=DOUBLE)
    which = torch.tensor([[True, False, False], [True, True, True], [False, False, True]])
    for loss in (label_loss(net, torch.eye(3), which), class_loss(net, torch.tensor([0, 1, 2]))):
        found = counterfactual(loss, images, tight(alpha=0.1))
        check_optimal(found, loss, "l1")


def test_l1_changes_few_places_and_l2_all():
    _, images, loss = problem()
    sparse = counterfactual(loss, images, tight(alpha=0.5))
    dense = counterfactual(loss, images, tight(distance="l2", alpha=0.5))
    assert sparse.support.float().mean() < 0.3
    assert dense.support.float().mean() > 0.95
    assert torch.equal(sparse.support, sparse.change != 0)
    assert torch.equal(sparse.images[~sparse.support], images[~sparse.support])


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_bounds_of_values(name):
    _, images, loss = problem()
    images = images.clamp(-0.9, 0.9)
    free = counterfactual(loss, images, tight(distance=name, alpha=0.05))
    assert (free.images.abs() > 1).any()
    found = counterfactual(loss, images, tight(distance=name, alpha=0.05, low=-1, high=1))
    assert found.images.abs().max() <= 1 + 1e-12
    check_optimal(found, loss, name, low=-1 + 1e-12, high=1 - 1e-12)
    at_bound = found.support & (found.images.abs() > 1 - 1e-12)
    assert at_bound.any()
    assert not (found.free & at_bound).any()
    assert torch.equal(found.free | at_bound, found.support)


def test_a_value_beyond_the_bounds_may_stay():
    _, images, loss = problem()
    found = counterfactual(loss, images, tight(alpha=2.0, low=-0.1, high=0.1))
    assert images.abs().max() > 0.1
    assert not found.support.any()


def test_changes_only_where_allowed():
    _, images, loss = problem()
    allowed = torch.zeros(1, 1, 8, 8)
    allowed[..., :3] = 1
    found = counterfactual(loss, images, tight(alpha=0.2), allowed=allowed)
    assert found.support.any()
    check_optimal(found, loss, "l1", allowed=allowed.expand(4, 1, 8, 8))


def test_relative_weight_at_which_nothing_moves():
    _, images, loss = problem()
    steepest = slopes(loss, images).abs().flatten(1).amax(1)
    assert not counterfactual(loss, images, tight(alpha=1.0)).support.any()
    found = counterfactual(loss, images, tight(alpha=0.95))
    assert (found.support.flatten(1).sum(1) >= 1).all()
    torch.testing.assert_close(found.alpha, 0.95 * steepest)
    fixed = counterfactual(loss, images, tight(alpha_absolute=0.01))
    torch.testing.assert_close(fixed.alpha, torch.full((4,), 0.01, dtype=DOUBLE))


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_an_image_does_not_depend_on_the_others(name):
    _, images, loss = problem(count=5)
    images = images * torch.tensor([0.2, 0.5, 1, 2, 4], dtype=DOUBLE).view(5, 1, 1, 1)  # each takes its own time
    parameters = tight(distance=name, alpha=0.1)
    together = counterfactual(loss, images, parameters)
    assert len(together.iterations.unique()) > 1
    for row in range(5):
        alone = counterfactual(loss.rows(torch.tensor([row])), images[row : row + 1], parameters)
        torch.testing.assert_close(alone.change[0], together.change[row], rtol=0, atol=1e-6)
        assert torch.equal(alone.support[0], together.support[row])


def test_converged_images_cost_nothing_more():
    net, images, loss = problem(count=5)
    sizes = []
    net.register_forward_hook(lambda module, inputs, output: sizes.append(len(output)))
    found = counterfactual(loss, images, tight(alpha=0.1))
    assert sum(sizes) == 5 + int(found.iterations.sum())  # one gradient at the start, one a step


def test_a_plain_callable_gives_the_same():
    _, images, loss = problem()
    for steps in (85, 2000):  # three images have converged; all have
        one, other = (counterfactual(given, images, tight(alpha=0.1, steps=steps)) for given in (loss, loss.__call__))
        assert one.iterations.tolist()[1:] == other.iterations.tolist()[1:]
        assert max(one.iterations.tolist()[1:]) < 85
        worth = [loss(found.images) + found.alpha * found.change.abs().flatten(1).sum(1) for found in (one, other)]
        torch.testing.assert_close(*worth, rtol=0, atol=1e-12)
        # the bottom is flat: a batch of another size is rounded otherwise, and the last image stops elsewhere on it
        compared = slice(None) if steps == 85 else slice(1, None)
        torch.testing.assert_close(one.change[compared], other.change[compared], rtol=0, atol=1e-9)


def test_networks_are_left_without_gradients():
    net, images, loss = problem()
    parameters = SolverParameters(alpha=0.2, steps=20)
    trainable = counterfactual(loss, images, parameters)
    assert all(weight.grad is None for weight in net.parameters())
    assert not trainable.images.requires_grad
    net.requires_grad_(False)
    with torch.no_grad():
        frozen = counterfactual(loss, images, parameters)
    assert torch.equal(trainable.change, frozen.change)


def test_start_reaches_the_same_place_sooner():
    _, images, loss = problem()
    cold = counterfactual(loss, images, tight(alpha=0.2))
    warm = counterfactual(loss, images, tight(alpha=0.2), start=cold.change)
    assert warm.iterations.max() <= 1
    torch.testing.assert_close(warm.change, cold.change, rtol=0, atol=1e-6)


def test_too_few_steps_are_told():
    _, images, loss = problem()
    found = counterfactual(loss, images, SolverParameters(alpha=0.1, steps=2, tolerance=1e-8))
    assert (found.residual > 1e-8).any()
    assert found.iterations.max() == 2


def test_cancelling():
    _, images, loss = problem()

    def stop(fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        counterfactual(loss, images, SolverParameters(), progress=stop)


def test_nothing_breaks_when_precision_is_exhausted():
    _, images, loss = problem()
    net = loss.network.float()
    exhausted = label_loss(net, loss.wanted[0].float(), loss.wanted[1])
    found = counterfactual(exhausted, images.float(), SolverParameters(alpha=0.3, steps=400, tolerance=0))
    assert torch.isfinite(found.images).all()
    assert found.residual.max() < 1e-4


def test_a_loss_without_slope_moves_nothing():
    images = torch.randn(2, 1, 4, 4)
    found = counterfactual(lambda batch: 0 * batch.flatten(1).sum(1) + 1, images, SolverParameters())
    assert not found.support.any()
    assert torch.equal(found.residual, torch.zeros(2))
    assert torch.isfinite(found.images).all()


@pytest.mark.parametrize("values", [{"alpha": 0}, {"low": 1, "high": 0}, {"distance": "l3"}, {"steps": 0}])
def test_bad_parameters(values):
    with pytest.raises(ValueError, match="validation error"):
        SolverParameters(**values)
