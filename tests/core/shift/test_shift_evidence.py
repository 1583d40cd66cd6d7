import numpy as np
import pytest
from scipy.stats import kstest

from slicerxai.shift.evidence import _fixed_size, gain, holm, judge, p_value, relabel

SUBJECTS = np.array([f"{k}" for k in range(53)])
LABELS = np.repeat([0.0, 1.0], [15, 38])


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]


def test_states():
    states = [one.state for one in judge(np.array([0.001, 0.1, 0.6]), 0.05, 0.2)]
    assert states == ["shifted", "uncertain", "not seen"]


def test_relabelling_keeps_counts_and_subjects_together():
    subjects = np.array(["a", "b", "c", "d", "e", "e", "a"])
    labels = np.array([0, 0, 0, 1, 1, 1, 1.0])
    drawn = relabel(subjects, labels, np.zeros(7), 500, seed=0)
    assert (drawn[:, 0] + drawn[:, 6] == 1).all()  # in both environments: exchanged or not
    assert 0.4 < drawn[:, 0].mean() < 0.6
    assert (drawn[:, 4] == drawn[:, 5]).all()
    assert (drawn[:, 1] + drawn[:, 2] + drawn[:, 3] + drawn[:, 4] == 2).all()


def test_chain_of_swaps_has_the_right_distribution():
    log_odds = np.array([0.0, 1.0, -1.0, 0.5])
    drawn = _fixed_size(log_odds, 2, 40000, np.random.default_rng(0))
    odds = np.exp(log_odds)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    mass = np.array([odds[i] * odds[j] for i, j in pairs])
    found = np.array([(drawn[:, i] & drawn[:, j]).mean() for i, j in pairs])
    np.testing.assert_allclose(found, mass / mass.sum(), atol=0.01)


def test_gain_is_what_a_ridge_regression_explains():
    rng = np.random.default_rng(0)
    parents, variable = rng.normal(size=(53, 2)), rng.normal(size=(53, 3)) + LABELS[:, None]
    design = np.column_stack([np.ones(53), parents])

    def left(values):
        return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]

    own = left(variable)
    for ridge in (0.0, 0.7):
        expected = []
        for y in (left(LABELS), left(LABELS[::-1])):
            slopes = np.linalg.solve(own.T @ own + 53 * ridge * np.eye(3), own.T @ y)
            expected.append(y @ own @ slopes / (y @ y))
        labels = np.stack([LABELS, LABELS[::-1]])
        np.testing.assert_allclose(gain(parents, variable, labels, ridge), expected, atol=1e-10)
    assert abs(gain(parents, np.zeros((53, 1)), labels)).max() < 1e-9


def p_values(shift, parents_shift, runs=120):
    found = []
    for run in range(runs):
        rng = np.random.default_rng([1, run])
        parent = rng.normal(size=(53, 1)) + parents_shift * LABELS[:, None]
        variable = 0.7 * parent + rng.normal(size=(53, 2)) + shift * LABELS[:, None] * [1, 0]
        log_odds = parents_shift * parent[:, 0]
        found.append(p_value([parent], variable, LABELS, SUBJECTS, log_odds, 8, 99, run))
    return np.array(found)


@pytest.mark.parametrize("parents_shift", [0.0, 1.0])
def test_p_values_are_uniform_without_a_shift_of_the_mechanism_itself(parents_shift):
    found = p_values(0.0, parents_shift)
    assert kstest(found, "uniform").pvalue > 0.001
    assert (found <= 0.05).mean() < 0.12


def test_a_shift_is_found():
    assert (p_values(1.2, 0.0, runs=40) <= 0.05).mean() > 0.8


def test_identical_features_give_no_evidence():
    features = np.random.default_rng(0).normal(size=(20, 3))
    subjects = np.tile([f"{k}" for k in range(20)], 2)
    labels = np.repeat([0.0, 1.0], 20)
    assert p_value([], np.tile(features, (2, 1)), labels, subjects, np.zeros(40), 8, 99, 0) == 1.0
