from itertools import combinations
from math import factorial

import numpy as np
import pytest

from slicerxai.errors import InputError
from slicerxai.shift.shapley import EXACT_LIMIT, coalitions, sampled, shapley


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
    few = sampled(8, 200, seed=0)
    read = np.array([value(m.astype(float)) for m in few.members])
    phi = few.shapley(read)
    assert phi.sum() == pytest.approx(values[-1] - values[0], abs=1e-9)
    np.testing.assert_allclose(phi, shapley(values), atol=1e-9)  # antithetic pairs are exact for games of order two
    assert (few.error(read) < 1e-9).all()

    def rough(members):
        return float(np.sin(3 * value(members.astype(float))))

    exact = shapley(np.array([rough((c >> np.arange(8)) & 1) for c in range(256)]))
    many = sampled(8, 2000, seed=0)
    read = np.array([rough(m) for m in many.members])
    error = many.error(read)
    assert (np.abs(many.shapley(read) - exact) <= 4 * error).all()
    assert (error > 0).all()


def slow_sampling(value, orders):
    """Every order and its reverse, one player after the other."""
    phi = np.zeros(len(orders[0]))
    for order in orders:
        for direction in (order, order[::-1]):
            members = np.zeros(len(phi), bool)
            for player in direction:
                before = value(members)
                members[player] = True
                phi[player] += (value(members) - before) / (2 * len(orders))
    return phi


def test_sampling_one_order_after_the_other():
    rng = np.random.default_rng(0)
    orders = np.argsort(np.random.default_rng(7).random((3, 5)), 1)
    game = {c: rng.normal() for c in range(32)}

    def value(members):
        return game[int((members * 2 ** np.arange(5)).sum())]

    few = sampled(5, 6, seed=7)
    np.testing.assert_allclose(few.shapley(np.array([value(m) for m in few.members])), slow_sampling(value, orders))


def test_many_players_are_sampled_and_few_are_not():
    assert len(coalitions(4, seed=0).members) == 16
    worth = np.random.default_rng(0).normal(size=EXACT_LIMIT + 2)
    many = coalitions(EXACT_LIMIT + 2, seed=0)
    assert len(many.members) < 1000
    assert not many.members[0].any()
    assert many.members[-1].all()
    np.testing.assert_allclose(many.shapley(0.3 + many.members @ worth), worth, atol=1e-12)
    assert (many.error(0.3 + many.members @ worth) < 1e-12).all()


@pytest.mark.parametrize("bad", [lambda: shapley(np.zeros(6)), lambda: shapley(np.zeros(2**17))])
def test_bad_sizes_are_refused(bad):
    with pytest.raises(InputError):
        bad()


def test_odd_permutations_are_refused():
    with pytest.raises(InputError, match="even"):
        sampled(3, 5, seed=0)
