"""The filter loss of interpretable CNNs against loops over images, templates and places."""

import math

import pytest
import torch

from slicerxai.alignment.baselines.part_templates import (
    categories,
    filter_losses,
    masked_maps,
    mean_activity,
    part_loss,
    prior,
    templates,
)

HEIGHT, WIDTH = 3, 4
TAU = 0.5 / 16


def slow_template(mu: tuple[int, int] | None) -> list[list[float]]:
    if mu is None:
        return [[-TAU] * WIDTH for _ in range(HEIGHT)]
    return [[TAU * max(1 - 4 * (abs(i - mu[0]) + abs(j - mu[1])) / 4, -1) for j in range(WIDTH)] for i in range(HEIGHT)]


ALL = [(i, j) for i in range(HEIGHT) for j in range(WIDTH)]


def maps(seed: int = 0) -> torch.Tensor:
    return 30 * torch.rand(5, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fit(x: torch.Tensor, template: list[list[float]]) -> float:
    return sum(float(x[i, j]) * template[i][j] for i, j in ALL)


def slow_densities(x: torch.Tensor, filter_: int):
    """tr, Z_T, p(x|T) and p(x) of one filter."""
    every = [slow_template(mu) for mu in [*ALL, None]]
    trace = [[fit(image[filter_], template) for template in every] for image in x]
    total = [sum(math.exp(row[t]) for row in trace) for t in range(len(every))]
    given = [[math.exp(row[t]) / total[t] for t in range(len(every))] for row in trace]
    probability = [16 / 17 / 12] * 12 + [1 / 17]
    n2 = len(ALL)
    probability = [n2 / (1 + n2) / n2] * n2 + [1 - n2 / (1 + n2)]
    marginal = [sum(p * q for p, q in zip(probability, row, strict=True)) for row in given]
    return every, trace, total, given, probability, marginal


def test_templates():
    found = templates(HEIGHT, WIDTH)
    expected = torch.tensor([slow_template(mu) for mu in [*ALL, None]])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(prior(12), torch.full((13,), 1 / 13))


def test_filter_loss_is_the_negative_mutual_information():
    x = maps()
    for filter_ in range(2):
        _, _, _, given, probability, marginal = slow_densities(x, filter_)
        expected = -sum(
            probability[t] * given[b][t] * math.log(given[b][t] / marginal[b])
            for b in range(len(x))
            for t in range(len(probability))
        )
        assert filter_losses(x.float())[filter_].item() == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_gradient_is_equation_three():
    x = maps(1).float().requires_grad_()
    (found,) = torch.autograd.grad(filter_losses(x).sum(), x)
    for filter_ in range(2):
        every, trace, total, _, probability, marginal = slow_densities(x.detach().double(), filter_)
        for b in range(len(x)):
            for i, j in ALL:
                expected = -sum(
                    probability[t]
                    * every[t][i][j]
                    / total[t]
                    * math.exp(trace[b][t])
                    * (trace[b][t] - math.log(total[t] * marginal[b]))
                    for t in range(len(every))
                )
                assert found[b, filter_, i, j].item() == pytest.approx(expected, rel=2e-2, abs=2e-8)


def test_part_loss_has_the_gradient_of_the_target_template():
    x = maps(2).float().requires_grad_()
    wanted = torch.tensor([[True, False]] * 3 + [[False, True]] * 2)
    (found,) = torch.autograd.grad(part_loss(x, wanted), x)
    for filter_ in range(2):
        every, trace, total, _, probability, marginal = slow_densities(x.detach().double(), filter_)
        for b in range(len(x)):
            peak = max(range(12), key=lambda place: float(x[b, filter_][ALL[place]]))
            t = peak if wanted[b, filter_] else 12
            strength = (
                -probability[t]
                / total[t]
                * math.exp(trace[b][t])
                * (trace[b][t] - math.log(total[t]) - math.log(marginal[b]))
            )
            for i, j in ALL:
                assert found[b, filter_, i, j].item() == pytest.approx(strength * every[t][i][j], rel=2e-2, abs=2e-8)


def test_masks_keep_the_surroundings_of_the_peak():
    x = maps(3).float()
    found = masked_maps(x)
    for b in range(5):
        for filter_ in range(2):
            peak = max(ALL, key=lambda place: float(x[b, filter_][place]))
            for i, j in ALL:
                weight = max(1 - abs(i - peak[0]) - abs(j - peak[1]), -1)
                assert found[b, filter_, i, j].item() == pytest.approx(max(weight * float(x[b, filter_, i, j]), 0))


def test_categories_and_their_activity():
    assert categories(torch.tensor([[0.0], [1.0]])).tolist() == [[True, False], [False, True]]
    two = categories(torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]]))
    assert two.tolist() == [[False, True], [True, True], [False, True]]
    x = maps(4)[:3].float()
    found = mean_activity(x, two)
    torch.testing.assert_close(found[0], x[1].sum((1, 2)))
    torch.testing.assert_close(found[1], x.sum((2, 3)).mean(0))
    assert mean_activity(x, torch.zeros(3, 1, dtype=torch.bool)).isnan().all()
