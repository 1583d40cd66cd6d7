import numpy as np
import pytest
from scipy import stats

from slicerxai.progress import silent
from slicerxai.shift.bootstrap import bca, draw, evaluate, jackknife_error, leave_out, studentised

SUBJECTS = np.array(["a", "a", "b", "c", "d", "e", "a", "f", "g", "g"])
LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1.0])


def test_draws_keep_subjects_together_and_strata_apart():
    weights = draw(SUBJECTS, LABELS, 200, seed=0)
    for name in np.unique(SUBJECTS):
        own = weights[:, name == SUBJECTS]
        assert (own == own[:, :1]).all()
    assert (weights[:, 0] == 1).all()  # the only subject of both environments
    assert (weights[:, 2:6].sum(1) == 4).all()
    assert (weights[:, 7] + weights[:, 8] == 2).all()
    assert len(np.unique(weights, axis=0)) > 50


def test_jackknife_of_a_difference_of_means_is_the_textbook_error():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=15), rng.normal(size=38)])
    labels = np.repeat([0.0, 1.0], [15, 38])
    weights, kinds = leave_out(np.array([f"{k}" for k in range(53)]), labels, seed=0)

    def statistic(w):
        source, target = w * (labels == 0), w * (labels == 1)
        return ((source @ values) / source.sum(1) - (target @ values) / target.sum(1))[:, None]

    error, freedom = jackknife_error(evaluate(statistic, weights, silent, ""), kinds)
    expected = stats.ttest_ind(values[:15], values[15:], equal_var=False)
    assert error[0] == pytest.approx(np.sqrt(values[:15].var(ddof=1) / 15 + values[15:].var(ddof=1) / 38))
    assert freedom[0] == pytest.approx(expected.df)
    low, high = studentised(statistic(np.ones((1, 53)))[0], error, freedom, 0.95)[0]
    interval = expected.confidence_interval(0.95)
    assert (low, high) == pytest.approx((interval.low, interval.high))


def test_leaving_out_groups_when_there_are_many_subjects():
    subjects = np.array([f"{k}" for k in range(300)])
    weights, kinds = leave_out(subjects, (np.arange(300) >= 100).astype(float), seed=0)
    assert len(weights) <= 62
    assert ((1 - weights).sum(0) == 1).all()
    assert set(kinds) == {0, 1}


def test_bca_agrees_with_scipy():
    values = np.random.default_rng(3).exponential(size=40)
    labels = np.zeros(40)
    subjects = np.array([f"{k}" for k in range(40)])

    def statistic(w):
        return ((w @ values) / w.sum(1))[:, None]

    left_out, kinds = leave_out(subjects, labels, seed=0)
    draws = statistic(draw(subjects, labels, 20000, seed=1))
    ours = bca(statistic(np.ones((1, 40)))[0], draws, statistic(left_out), kinds, 0.9)[0]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20000, confidence_level=0.9, method="BCa", random_state=0)
    assert ours == pytest.approx([theirs.confidence_interval.low, theirs.confidence_interval.high], abs=0.01)
