"""The implicit gradient against central finite differences, through every solver."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from slicerxai.alignment.alignment_loss import off_mask
from slicerxai.alignment.counterfactual import counterfactual
from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters
from slicerxai.alignment.implicit import implicit
from slicerxai.alignment.linear_system import solve
from slicerxai.alignment.losses import label_loss
from slicerxai.alignment.unrolled import unrolled

DOUBLE = torch.float64
EXACT = LinearSolve(tolerance=1e-10, iterations=500)
CASES = {
    "l1": {"distance": "l1", "alpha_absolute": 0.02},
    "l1, bounds active": {"distance": "l1", "alpha_absolute": 0.005, "low": -1.5, "high": 1.5},
    "l2": {"distance": "l2", "alpha_absolute": 0.02},
    "scaled l1": {"distance": "scaled_l1", "alpha_absolute": 0.02},
    "scaled l2": {"distance": "scaled_l2", "alpha_absolute": 0.02},
}


class Task:
    """A small smooth network of 68 weights, three images that are to be decided otherwise, and a mask."""

    def __init__(self, **values):
        torch.manual_seed(1)
        self.network = nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Conv2d(2, 2, 3, stride=2), nn.Softplus(), nn.Flatten()
        ).append(nn.Linear(2 * 9, 1))
        self.network.double()
        vector_to_parameters(2 * parameters_to_vector(self.network.parameters()), self.network.parameters())
        self.images = torch.randn(3, 1, 7, 7, dtype=DOUBLE).clamp(-1.4, 1.4)
        wanted = 1 - (self.network(self.images).detach() > 0).to(DOUBLE)
        self.loss = label_loss(self.network, wanted, torch.ones(3, 1, dtype=torch.bool))
        self.mask = (torch.rand(3, 1, 7, 7) > 0.5).to(DOUBLE)
        self.parameters = SolverParameters(steps=5000, tolerance=1e-9, **values)
        self.scale = None
        if self.parameters.distance.startswith("scaled"):
            self.scale = torch.rand(1, 7, 7, dtype=DOUBLE) + 0.5

    def found(self, start=None):
        return counterfactual(self.loss, self.images, self.parameters, scale=self.scale, start=start)

    def outer(self, images):
        return off_mask(images - self.images, self.mask).mean()

    def hypergradient(self, found, linear=EXACT, report=None):
        return self.gradient(implicit(self.network, self.loss, found, linear, report))

    def gradient(self, images):
        return gradient(self.outer(images), self.network)

    def finite_differences(self, found, step=1e-5):
        weights = parameters_to_vector(self.network.parameters()).detach()
        slow = []
        for index in range(len(weights)):
            values = []
            for sign in (1, -1):
                moved = weights.clone()
                moved[index] += sign * step
                vector_to_parameters(moved, self.network.parameters())
                values.append(self.outer(self.found(found.change).images))
            slow.append((values[0] - values[1]) / (2 * step))
        vector_to_parameters(weights, self.network.parameters())
        return torch.stack(slow)


def gradient(value, network):
    """Of a value in all weights of a network, one vector; 0 where the value does not depend on a weight."""
    weights = tuple(network.parameters())
    given = torch.autograd.grad(value, weights, allow_unused=True)
    pairs = zip(given, weights, strict=True)
    return torch.cat([torch.zeros(w.numel(), dtype=DOUBLE) if g is None else g.reshape(-1) for g, w in pairs])


def cosine(one, other):
    return float(torch.dot(one, other) / (one.norm() * other.norm()))


def error(found, truth):
    return float((found - truth).norm() / truth.norm())


@pytest.mark.parametrize("case", CASES)
def test_hypergradient_is_that_of_finite_differences(case):
    task = Task(**CASES[case])
    found, report = task.found(), {}
    assert found.residual.max() <= 1e-9
    if "bounds" in case:
        assert 0 < found.free.sum() < found.support.sum()
    truth = task.finite_differences(found)
    exact = task.hypergradient(found, report=report)
    assert cosine(exact, truth) >= 0.999
    assert error(exact, truth) <= 1e-3
    assert report["linear_residual_max"] <= 1e-9
    assert report["negative_curvature"] == 0
    assert report["support"] == pytest.approx(float(found.free.flatten(1).sum(1).double().mean()))
    for linear in (
        LinearSolve(solver="torchopt", tolerance=1e-10, iterations=500),
        LinearSolve(solver="normal_cg", tolerance=1e-12, iterations=500),
        LinearSolve(products="finite_difference", tolerance=1e-7, iterations=500),
    ):
        other = task.hypergradient(found, linear)
        assert error(other, exact) <= 1e-5, linear
        assert error(other, truth) <= 1e-3, linear
    if "l1" in case:  # the published theorem on all places: l1 is not smooth where nothing changed
        naive = task.hypergradient(replace(found, free=torch.ones_like(found.free)), LinearSolve(solver="normal_cg"))
        assert error(naive, truth) > 0.1
        assert cosine(naive, truth) < 0.99


@pytest.mark.parametrize("case", ["l1", "l2"])
def test_unrolling_agrees_on_a_converged_problem(case):
    task = Task(**CASES[case])
    found = task.found()
    exact = task.hypergradient(found)
    steps = {"steps": int(found.iterations.max())}
    images = unrolled(task.loss, task.images, task.parameters.model_copy(update=steps), scale=task.scale)
    torch.testing.assert_close(images, found.images, rtol=0, atol=1e-7)
    assert error(task.gradient(images), exact) <= 1e-3


def test_images_are_those_found():
    task = Task(alpha_absolute=0.02)
    found = task.found()
    for solver in ("cg", "torchopt"):
        images = implicit(task.network, task.loss, found, LinearSolve(solver=solver))
        assert torch.equal(images, found.images)
        assert images.requires_grad
    task.network.requires_grad_(False)
    assert not implicit(task.network, task.loss, found, LinearSolve()).requires_grad


def test_gradient_of_a_batch_is_the_sum_over_its_images():
    task = Task(alpha_absolute=0.02)
    found = task.found()
    assert len(found.support.flatten(1).sum(1).unique()) > 1
    total = task.hypergradient(found)
    parts = torch.zeros_like(total)
    for row in range(3):
        index = torch.tensor([row])
        names = ("images", "change", "support", "free", "residual", "iterations", "loss", "alpha")
        alone = replace(found, **{name: getattr(found, name)[index] for name in names})
        image = implicit(task.network, task.loss.rows(index), alone, EXACT)
        outer = off_mask(image - task.images[index], task.mask[index]).sum() / 3
        parts += gradient(outer, task.network)
    torch.testing.assert_close(parts, total, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("solver", ["cg", "normal_cg", "torchopt"])
def test_empty_support_has_exactly_no_gradient(solver):
    task, report = Task(alpha=1.0), {}
    found = task.found()
    assert not found.support.any()
    gradient = task.hypergradient(found, LinearSolve(solver=solver), report)
    assert torch.equal(gradient, torch.zeros_like(gradient))
    assert report == {
        "linear_residual": 0,
        "linear_residual_max": 0,
        "linear_iterations": 0,
        "support": 0,
        "empty": 3,
        "negative_curvature": 0,
    }


def test_one_empty_image_among_others():
    task, report = Task(alpha_absolute=0.02), {}
    allowed = torch.ones(3, 1, 1, 1)
    allowed[1] = 0
    found = counterfactual(task.loss, task.images, task.parameters, allowed=allowed)
    gradient = task.hypergradient(found, report=report)
    assert report["empty"] == 1
    assert torch.isfinite(gradient).all()
    assert gradient.norm() > 0


def test_weights_that_are_frozen_receive_nothing():
    task = Task(alpha_absolute=0.02)
    task.network[0].requires_grad_(False)
    task.outer(implicit(task.network, task.loss, task.found(), LinearSolve())).backward()
    assert all(weight.grad is None for weight in task.network[0].parameters())
    assert task.network[2].weight.grad.norm() > 0


def systems(*diagonals):
    """Diagonal systems in a random basis each, and their right-hand sides."""
    torch.manual_seed(2)
    size = len(diagonals[0])
    bases = [torch.linalg.qr(torch.randn(size, size, dtype=DOUBLE))[0] for _ in diagonals]
    matrices = torch.stack([q @ torch.diag(torch.tensor(d, dtype=DOUBLE)) @ q.T for q, d in zip(bases, diagonals)])  # noqa: B905
    return matrices, torch.randn(len(diagonals), 1, size, dtype=DOUBLE)


def product(matrices):
    return lambda vector, rows: torch.einsum("bij,bcj->bci", matrices[rows], vector)


def test_negative_curvature_stops_its_image_alone():
    matrices, wanted = systems((1, 2, 3, 4), (-1, -2, -0.5, -3))
    solution = solve(product(matrices), wanted, EXACT)
    assert solution.negative.tolist() == [False, True]
    torch.testing.assert_close(solution.vector[0, 0], torch.linalg.solve(matrices[0], wanted[0, 0]))
    assert torch.equal(solution.vector[1], torch.zeros_like(solution.vector[1]))
    assert solution.residual[1] == 1


def test_products_are_asked_for_images_that_are_not_done():
    matrices, wanted = systems((1, 1, 1, 1), (2, 2, 2, 2), (1, 2, 2, 2), (1, 2, 3, 4))
    asked = []

    def counted(vector, rows):
        asked.append(rows.tolist())
        return product(matrices)(vector, rows)

    solution = solve(counted, wanted, EXACT)
    assert asked == [[0, 1, 2, 3], [2, 3], [3], [3], [0, 1, 2, 3]]
    torch.testing.assert_close(solution.vector[:, 0], torch.linalg.solve(matrices, wanted[:, 0]))
    assert solution.iterations == 4


def test_normal_equations_and_ridge_meet_negative_curvature():
    matrices, wanted = systems((1, 2, 3, 4), (1, -2, 0.5, 3))
    truth = torch.linalg.solve(matrices, wanted[:, 0])
    normal = solve(product(matrices), wanted, LinearSolve(solver="normal_cg", tolerance=1e-13, iterations=100))
    torch.testing.assert_close(normal.vector[:, 0], truth, rtol=1e-6, atol=1e-8)
    assert not normal.negative.any()
    ridge = 3.0
    along = (torch.einsum("bij,bj->bi", matrices, wanted[:, 0])).norm(dim=1) / wanted[:, 0].norm(dim=1)
    shifted = matrices + ridge * along.view(-1, 1, 1) * torch.eye(4, dtype=DOUBLE)
    damped = solve(product(matrices), wanted, LinearSolve(ridge=ridge, tolerance=1e-12))
    assert not damped.negative.any()
    torch.testing.assert_close(damped.vector[:, 0], torch.linalg.solve(shifted, wanted[:, 0]))


def test_too_few_iterations_are_told():
    matrices, wanted = systems((1, 2, 3, 40))
    solution = solve(product(matrices), wanted, LinearSolve(iterations=2))
    left = torch.einsum("bij,bcj->bci", matrices, solution.vector) - wanted
    assert solution.residual.item() == pytest.approx(float(left.norm() / wanted.norm()))
    assert solution.residual > 1e-4


def test_torchopt_forms_its_own_products():
    with pytest.raises(ValueError, match="exact"):
        LinearSolve(solver="torchopt", products="finite_difference")
