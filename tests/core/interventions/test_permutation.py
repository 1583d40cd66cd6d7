"""The published test against plain loops, and its resolution."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest

from slicerxai.errors import InputError
from slicerxai.interventions import permutation
from slicerxai.interventions.permutation import (
    exact_permutation_p,
    mean_over_permutations,
    permutation_test,
    smallest_share,
)


def plain(curve):
    return float(np.mean(np.abs(np.gradient(curve))))


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_same_p_as_a_loop_over_the_same_permutations(alternative, monkeypatch):
    monkeypatch.setattr(permutation, "BLOCK", 9 * 40)
    curves = np.random.default_rng(0).normal(size=(9, 2)).cumsum(0)
    found = permutation_test(curves, 200, seed=3, alternative=alternative)
    generator = np.random.default_rng(3)
    orders = [row for _ in range(5) for row in generator.permuted(np.tile(np.arange(9), (40, 1)), axis=1)]
    for n, curve in enumerate(curves.T):
        own, centre = plain(curve), float(mean_over_permutations(curves)[n])
        values = [plain(curve[order]) for order in orders]
        if alternative == "greater":
            count = sum(value >= own - 1e-12 for value in values)
        else:
            count = sum(abs(value - centre) >= abs(own - centre) - 1e-12 for value in values)
        assert found.statistic[n] == pytest.approx(own)
        assert found.exceedances[n] == count
        assert found.p[n] == (count + 1) / 201


def test_exact_p_and_mean_over_all_orders():
    curves = np.random.default_rng(1).normal(size=(6, 2))
    for n, curve in enumerate(curves.T):
        values = np.array([plain(curve[list(order)]) for order in permutations(range(6))])
        assert mean_over_permutations(curves)[n] == pytest.approx(values.mean())
        far = np.abs(values - values.mean()) >= abs(plain(curve) - values.mean()) - 1e-12
        assert exact_permutation_p(curves)[n] == pytest.approx(far.mean())
        assert exact_permutation_p(curves, "greater")[n] == pytest.approx((values >= plain(curve) - 1e-12).mean())
    with pytest.raises(InputError, match="at most 8"):
        exact_permutation_p(np.zeros((9, 1)))


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 6, 7])
def test_no_monotone_curve_has_a_smaller_p_and_one_reaches_it(steps):
    generator = np.random.default_rng(steps)
    gaps = np.exp(generator.uniform(-5, 5, (steps, 60)))
    found = exact_permutation_p(gaps.cumsum(0))
    assert found.min() >= smallest_share(steps) - 1e-12
    assert found.min() == pytest.approx(smallest_share(steps))


def test_resolution_is_stated():
    assert permutation_test(np.arange(5.0)[:, None], 999).resolution == pytest.approx(1 / 15)
    assert permutation_test(np.arange(6.0)[:, None], 999).resolution == pytest.approx(1 / 45)
    assert permutation_test(np.arange(11.0)[:, None], 999).resolution == pytest.approx(1 / 1000)
    assert smallest_share(9) == 2 / factorial(9)


def test_a_constant_output_is_not_significant():
    assert permutation_test(np.full((9, 1), 0.3), 99).p[0] == 1


def test_level_on_noise_and_rejection_of_a_smooth_curve():
    curves = np.random.default_rng(5).normal(size=(12, 400))
    assert (permutation_test(curves, 199).p <= 0.05).mean() < 0.08
    assert permutation_test(np.sin(np.linspace(-1.5, 1.5, 12))[:, None], 999).p[0] <= 0.01


@pytest.mark.parametrize(
    ("curves", "count"), [(np.zeros((1, 1)), 10), (np.full((4, 1), np.inf), 10), (np.zeros((4, 1)), 0)]
)
def test_unusable(curves, count):
    with pytest.raises(InputError):
        permutation_test(curves, count)
