from itertools import combinations
from math import factorial

import numpy as np
import pytest

from slicerxai.errors import InputError
from slicerxai.shift.shapley import sampled_shapley, shapley


def slow(values, n):
    """Equation (2), one coalition after the other."""
    phi = np.zeros(n)
    for i in range(n):
        others = [k for k in range(n) if k != i]
        for size in range(n):
            for members in combinations(others, size):
                number = sum(2**k for k in members)
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                phi[i] += weight * (values[number + 2**i] - values[number])
    return phi


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_equals_the_formula(n):
    values = np.random.default_rng(n).normal(size=2**n)
    np.testing.assert_allclose(shapley(values), slow(values, n), atol=1e-12)


def test_many_games_at_once_and_efficiency():
    values = np.random.default_rng(0).normal(size=(3, 4, 2**12))
    phi = shapley(values)
    assert phi.shape == (3, 4, 12)
    np.testing.assert_allclose(phi.sum(-1), values[..., -1] - values[..., 0], atol=1e-9)
    np.testing.assert_allclose(phi[1, 2], shapley(values[1, 2]), atol=1e-12)


def test_null_player_and_symmetry():
    def value(members):
        return 3.0 * (members[0] and members[1]) + 0.0 * members[2]

    values = np.array([value([(c >> k) & 1 for k in range(3)]) for c in range(8)])
    np.testing.assert_allclose(shapley(values), [1.5, 1.5, 0.0], atol=1e-12)


def test_sampling_agrees_within_its_error_and_adds_up():
    rng = np.random.default_rng(1)
    main, pairs = rng.normal(size=8), rng.normal(size=(8, 8))

    def value(members):
        return float(members @ main + members @ pairs @ members)

    values = np.array([value(((c >> np.arange(8)) & 1).astype(float)) for c in range(256)])
    phi, error = sampled_shapley(lambda m: value(m.astype(float)), 8, 200, seed=0)
    assert phi.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)
    np.testing.assert_allclose(phi, shapley(values), atol=1e-9)  # antithetic pairs are exact for games of order two
    assert (error < 1e-9).all()

    def rough(members):
        return float(np.sin(3 * value(members.astype(float))))

    exact = shapley(np.array([rough((c >> np.arange(8)) & 1) for c in range(256)]))
    phi, error = sampled_shapley(rough, 8, 2000, seed=0)
    assert (np.abs(phi - exact) <= 4 * error).all()
    assert (error > 0).all()


@pytest.mark.parametrize("bad", [lambda: shapley(np.zeros(6)), lambda: shapley(np.zeros(2**17))])
def test_bad_sizes_are_refused(bad):
    with pytest.raises(InputError):
        bad()


def test_odd_permutations_are_refused():
    with pytest.raises(InputError, match="even"):
        sampled_shapley(lambda m: 0.0, 3, 5, seed=0)
