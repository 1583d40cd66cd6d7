import numpy as np
import pytest

from slicerxai.shift.discriminators import LogisticDiscriminator, subject_folds
from slicerxai.shift.estimators.regression import DIFFERENCE, PooledRidge, choose_ridge
from slicerxai.shift.estimators.robust import RobustGame, Swapped
from slicerxai.shift.graph import DEFAULT_GRAPH, Mechanism, MechanismGraph
from slicerxai.shift.ratios import RatioModel
from slicerxai.shift.samples import Pair, Samples
from slicerxai.shift.shapley import shapley

MOVING = ("shifted", "shifted", "shifted")


def linear(n, shifts, prefix, seed):
    """S, X, Y and a metric that is linear in them."""
    rng = np.random.default_rng([seed, ord(prefix)])
    s = rng.normal(shifts[0], 1, n)
    x = rng.normal(0.5 * s + shifts[1], 1)
    y = rng.normal(0.5 * x + shifts[2], 1)
    metric = 0.7 + 0.1 * s - 0.05 * x - 0.1 * y + rng.normal(0, 0.03, n)
    names = np.array([f"{prefix}{k}" for k in range(n)])
    return Samples({"S": s[:, None], "X": x[:, None], "Y": y[:, None]}, metric, names)


def truth(shifts):
    """Drop that each mechanism causes."""
    s, x, y = shifts
    return -np.array([(0.1 - 0.05 * 0.5 - 0.1 * 0.25) * s, (-0.05 - 0.1 * 0.5) * x, -0.1 * y])


def game(pair, states=MOVING, graph=DEFAULT_GRAPH, **options):
    folds = subject_folds(pair.subjects, pair.labels, 5, 0)[None]
    return RobustGame(RatioModel(pair, graph, LogisticDiscriminator(), folds), states, **options)


def test_pooled_ridge_solves_its_normal_equations():
    rng = np.random.default_rng(0)
    features, labels, response = rng.normal(size=(30, 2)), np.repeat([0.0, 1.0], 15), rng.normal(size=30)
    weights, train = rng.integers(0, 3, (2, 30)).astype(float), np.arange(30) % 3 > 0
    found = PooledRidge(features, labels, 2.0).predict(response, weights, train)
    for b in range(2):
        e = labels - 0.5
        design = np.column_stack([np.ones(30), e, features, features * e[:, None]])[train]
        penalty = np.diag([1e-6, 1e-2, 2.0, 2.0, 2.0 * DIFFERENCE, 2.0 * DIFFERENCE])
        w = np.diag(weights[b, train])
        solved = np.linalg.solve(design.T @ w @ design + penalty, design.T @ w @ response[train])
        for environment in (0, 1):
            e = np.full(30, environment - 0.5)
            asked = np.column_stack([np.ones(30), e, features, features * e[:, None]])
            np.testing.assert_allclose(found[b, environment], asked @ solved, atol=1e-9)


def test_penalty_follows_the_noise():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 6)), np.repeat([0.0, 1.0], 30)
    folds = np.arange(60) % 5
    weak = choose_ridge(features, labels, rng.normal(size=60), folds)
    strong = choose_ridge(features, labels, features @ np.ones(6) + 0.01 * rng.normal(size=60), folds)
    assert strong < weak


def slow_value(robust, bits, weights):
    """Theorem 2.4 written out for three mechanisms, every term kept, one coalition."""
    pair = robust.ratios.pair
    labels, metric, folds = pair.labels, pair.metric, robust.ratios.folds[0]
    log_ratios = robust.ratios.log_ratios(weights[None])[0]
    n = len(labels)
    boundaries = [k for k in (1, 2) if bits[k] != bits[k - 1]]
    gamma = {3: metric}
    held_out = {}
    for fold in np.unique(folds):
        out, level = folds == fold, dict(gamma)
        above = 3
        for k in reversed(boundaries):
            both = robust._models[k - 1].predict(level[above], weights[None], ~out)[0]
            level[k] = both[bits[k]]
            held_out.setdefault(k, np.empty(n))[out] = level[k][out]
            above = k
    levels = {**held_out, 3: metric}

    def mean(values, importance, environment):
        w = weights * importance * (labels == environment)
        return (w * values).sum() / w.sum()

    total = mean(levels[boundaries[0] if boundaries else 3], np.ones(n), bits[0])
    for position, k in enumerate(boundaries):
        above = boundaries[position + 1] if position + 1 < len(boundaries) else 3
        alpha = np.ones(n)
        for j in range(k):
            if bits[j] != bits[k]:
                alpha *= np.exp(log_ratios[j]) if bits[j] == 1 else np.exp(-log_ratios[j])
        alpha = np.minimum(alpha, np.sqrt((labels == bits[k]).sum()))
        total += mean(levels[above] - levels[k], alpha, bits[k])
    return total


def test_equals_the_theorem_written_out():
    pair = Pair(linear(25, (0, 0, 0), "s", 0), linear(30, (0.5, 0.5, 0.5), "t", 0))
    robust = game(pair)
    weights = np.random.default_rng(0).integers(0, 3, (2, 55)).astype(float)
    found = robust.values(weights)
    for b in range(2):
        for coalition in range(8):
            bits = [coalition >> k & 1 for k in range(3)]
            assert found[b, coalition] == pytest.approx(slow_value(robust, bits, weights[b]), abs=1e-10)


def test_ends_are_the_observed_means():
    pair = Pair(linear(25, (0, 0, 0), "s", 0), linear(30, (0.5, 0.5, 0.5), "t", 0))
    values = game(pair).values(np.ones((1, 55)))[0]
    assert values[0] == pytest.approx(pair.source.metric.mean(), abs=1e-12)
    assert values[-1] == pytest.approx(pair.target.metric.mean(), abs=1e-12)


@pytest.mark.parametrize("shifts", [(0.7, 0, 0), (0, 0.7, 0), (0, 0, 0.7), (0.5, 0.5, 0.5)])
def test_many_cases_give_the_truth(shifts):
    pair = Pair(linear(3000, (0, 0, 0), "s", 1), linear(3000, shifts, "t", 1))
    phi = shapley(-game(pair).values(np.ones((1, 6000))))[0]
    np.testing.assert_allclose(phi, truth(shifts), atol=0.012)


def test_wrong_regression_is_saved_by_the_weights_and_wrong_weights_of_patients_by_the_regression():
    shifts = (0.6, 0.6, 0)
    pair = Pair(linear(4000, (0, 0, 0), "s", 2), linear(4000, shifts, "t", 2))
    without_regression = shapley(-game(pair, regress=False).values(np.ones((1, 8000))))[0]
    np.testing.assert_allclose(without_regression, truth(shifts), atol=0.015)

    class Uninformed(RatioModel):
        def log_ratios(self, weights):
            return np.zeros((len(weights), 3, weights.shape[1]))

    shifts = (0.6, 0, 0)
    pair = Pair(linear(4000, (0, 0, 0), "s", 2), linear(4000, shifts, "t", 2))
    folds = subject_folds(pair.subjects, pair.labels, 5, 0)[None]
    blind = RobustGame(Uninformed(pair, DEFAULT_GRAPH, LogisticDiscriminator(), folds), MOVING)
    np.testing.assert_allclose(shapley(-blind.values(np.ones((1, 8000))))[0], truth(shifts), atol=0.015)


def test_mechanisms_not_seen_to_shift_are_regressed_away():
    """Chance differences of the patients cost the acquisition's share no precision."""
    adjusted, raw = [], []
    for seed in range(30):
        pair = Pair(linear(15, (0, 0, 0), "s", seed), linear(38, (0, 1.0, 0), "t", seed))
        values = game(pair, ("not seen", "shifted", "not seen")).values(np.ones((1, 53)))[0]
        assert values[0b010] == pytest.approx(values[0b111])
        adjusted.append(values[0] - values[0b010])
        raw.append(pair.source.metric.mean() - pair.target.metric.mean())
    spread = np.array([adjusted, raw]).std(1)
    assert spread[0] < spread[1]
    assert np.mean(adjusted) == pytest.approx(truth((0, 1, 0))[1], abs=0.02)


def test_an_observed_exchange_is_used_as_it_is():
    source, target = linear(20, (0, 0, 0), "s", 3), linear(30, (0, 0.5, 0), "t", 3)
    swapped = Swapped("annotation", source.metric - 0.1, target.metric + 0.2)
    graph = MechanismGraph((Mechanism("acquisition", "X"), Mechanism("annotation", "Y", ("X",))))
    values = game(Pair(source, target), ("shifted", "shifted"), graph, swapped=swapped).values(np.ones((1, 50)))[0]
    s, t = source.metric.mean(), target.metric.mean()
    np.testing.assert_allclose(values, [s, t + 0.2, s - 0.1, t], atol=1e-12)


def test_observed_exchange_beside_two_others():
    """Harmonised images: the acquisition is exchanged on every case, population and annotation are estimated."""
    pair = Pair(linear(2000, (0, 0, 0), "s", 4), linear(2000, (0.5, 0.5, 0.5), "t", 4))
    cost = truth((0, 0.5, 0))[1]
    swapped = Swapped("acquisition", pair.source.metric - cost, pair.target.metric + cost)
    phi = shapley(-game(pair, swapped=swapped).values(np.ones((1, 4000))))[0]
    assert phi[1] == pytest.approx(cost, abs=1e-6)
    assert phi.sum() == pytest.approx(pair.source.metric.mean() - pair.target.metric.mean(), abs=1e-9)


def test_overlap_counts_only_ratios_that_matter():
    pair = Pair(linear(20, (0, 0, 0), "s", 5), linear(30, (0, 0, 1.0), "t", 5))
    quiet = game(pair, ("not seen", "not seen", "shifted")).overlap()
    assert not quiet.used.any()
    assert (quiet.ess == 1).all()
    moving = game(pair).overlap()
    assert moving.used[0b100].tolist() == [True, True, False]
    assert moving.ess[0b100] < 1
