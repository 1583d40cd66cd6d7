"""Figures against plain re-implementations and known answers."""

import numpy as np
import pytest

from slicerxai.monitoring import evaluation


def tables(seed, n=60, classes=4):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, classes)) < 0.3
    return truth ^ (rng.random((n, classes)) < 0.2), truth, rng


def test_scores_of_each_class():
    predicted, truth, _ = tables(0)
    found = evaluation.class_scores(predicted, truth)
    for c in range(4):
        tp = fp = fn = tn = 0
        for p, t in zip(predicted[:, c], truth[:, c], strict=True):
            tp, fp, fn, tn = tp + (p and t), fp + (p and not t), fn + (t and not p), tn + (not p and not t)
        assert found.f1[c] == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert found.sensitivity[c] == pytest.approx(tp / (tp + fn))
        assert found.specificity[c] == pytest.approx(tn / (tn + fp))
    assert evaluation.mean_f1(predicted, truth) == pytest.approx(found.f1.mean())


def test_a_class_that_never_occurs_has_no_sensitivity():
    none, some = np.zeros((5, 1), bool), np.ones((5, 1), bool)
    found = evaluation.class_scores(none, none)
    assert found.f1[0] == 0
    assert np.isnan(found.sensitivity[0])
    assert found.specificity[0] == 1
    assert np.isnan(evaluation.class_scores(some, some).specificity[0])


def test_bootstraps_are_shared_and_repeat():
    predicted, truth, _ = tables(1)
    found = evaluation.bootstrap_f1({"a": predicted, "b": predicted.copy(), "c": truth}, truth, draws=30, seed=5)
    assert found["a"].shape == (30,)
    assert np.array_equal(found["a"], found["b"])
    assert (found["c"] == 1).all()
    again = evaluation.bootstrap_f1({"a": predicted}, truth, draws=30, seed=5)
    assert np.array_equal(again["a"], found["a"])
    assert found["a"].mean() == pytest.approx(evaluation.mean_f1(predicted, truth), abs=0.05)
    generator = np.random.default_rng(5)
    first = generator.integers(60, size=60)
    assert found["a"][0] == evaluation.mean_f1(predicted[first], truth[first])


def test_bootstraps_of_subjects_keep_them_whole():
    truth = np.array([[True], [True], [False], [True]])
    predicted = np.array([[True], [True], [False], [False]])
    groups = ["a", "a", "a", "b"]
    values = evaluation.bootstrap_f1({"p": predicted}, truth, draws=50, groups=groups)["p"]
    assert set(np.round(values, 6)) == {1.0, 0.8, 0.0}


def test_comparison_has_the_paired_p_and_the_interval():
    rng = np.random.default_rng(0)
    other = rng.normal(size=30)
    one = other + rng.normal(0.3, 0.1, 30)
    found = evaluation.compare(one, other)
    difference = one - other
    t = difference.mean() / (difference.std(ddof=1) / np.sqrt(30))
    from scipy.stats import t as student

    assert found.p == pytest.approx(2 * student.sf(abs(t), 29))
    assert found.difference == pytest.approx(difference.mean())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(difference, [0.025, 0.975])))
    same = evaluation.compare(one, one)
    assert (same.p, same.difference, same.low, same.high) == (1, 0, 0, 0)


def test_risk_and_coverage_of_known_orders():
    wrong = np.array([False] * 6 + [True] * 2)
    perfect = np.arange(8.0)
    coverage, risk = evaluation.risk_coverage(perfect, wrong)
    assert coverage == pytest.approx(np.arange(1, 9) / 8)
    assert risk == pytest.approx([0] * 6 + [1 / 7, 2 / 8])
    assert evaluation.aurc(perfect, wrong) == pytest.approx((1 / 7 + 1 / 4) / 8)
    assert evaluation.aurc(np.zeros(8), wrong) == pytest.approx(0.25)
    assert evaluation.aurc(-perfect, wrong) > 0.25
    shuffled = np.random.default_rng(0).permutation(8)
    ties = np.array([0, 0, 1, 1, 1, 2, 2, 2.0])
    assert evaluation.aurc(ties[shuffled], wrong[shuffled]) == pytest.approx(evaluation.aurc(ties, wrong))


def test_aurc_of_noise_is_the_error_rate():
    rng = np.random.default_rng(0)
    wrong = rng.random(4000) < 0.2
    assert evaluation.aurc(rng.random(4000), wrong) == pytest.approx(wrong.mean(), abs=0.03)


def test_error_auroc_counts_pairs():
    _, _, rng = tables(2)
    suspicion, wrong = np.round(rng.random((20, 2)), 1), rng.random((20, 2)) < 0.3
    pairs = [
        1.0 if a > b else 0.5 if a == b else 0.0 for a in suspicion[wrong].tolist() for b in suspicion[~wrong].tolist()
    ]
    assert evaluation.error_auroc(suspicion, wrong) == pytest.approx(np.mean(pairs))
    assert np.isnan(evaluation.error_auroc(suspicion, np.zeros((20, 2), bool)))


def test_calibration_error_by_bins():
    _, _, rng = tables(3)
    chance = rng.random((200, 2))
    happened = rng.random((200, 2)) < chance**2
    total = 0.0
    for b in range(10):
        inside = [(c, h) for c, h in zip(chance.ravel(), happened.ravel(), strict=True) if b <= c * 10 < b + 1]
        if inside:
            total += abs(np.mean([c for c, _ in inside]) - np.mean([h for _, h in inside])) * len(inside) / 400
    assert evaluation.calibration_error(chance, happened) == pytest.approx(total)
    assert evaluation.calibration_error(np.array([1.0, 0.0]), np.array([True, False])) == 0
