"""Grid search, bands and swap against loops over every limit and every case."""

import itertools

import numpy as np
import pytest

from slicerxai.monitoring.limits import Band, f1, fit_bands, fit_threshold, flagged, majority, swapped


def plain_f1(predicted, truth):
    positives = called = true = 0
    for p, t in zip(predicted, truth, strict=True):
        positives += p and t
        called += p
        true += t
    return 2 * positives / (called + true) if called + true else 0.0


def plain_swap(predicted, flags):
    return [not p if flag else p for p, flag in zip(predicted, flags, strict=True)]


def plain_search(measure, predicted, truth, low):
    """Every limit from 0 by 0.001 up to the first beyond the largest value; ties: fewest flagged, then least reach."""
    best, chosen = (plain_f1(predicted, truth), 0), None
    number, limits = 0, []
    while True:
        limits.append(number * 0.001)
        if limits[-1] > max(measure):
            break
        number += 1
    for limit in limits if low else limits[::-1]:
        flags = [m <= limit if low else m >= limit for m in measure]
        found = plain_f1(plain_swap(predicted, flags), truth), -sum(flags)
        if found[0] > best[0] or (found[0] == best[0] and chosen is not None and found[1] > best[1]):
            best, chosen = found, limit
    return chosen


def cases(seed, n=40):
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < rng.uniform(0.05, 0.7)
    wrong = rng.random(n) < rng.uniform(0.1, 0.6)
    measure = np.abs(rng.normal(size=n)) * 0.2 + rng.uniform(-0.1, 0.2) * wrong
    measure = np.maximum(measure, 0)
    return (np.round(measure, 3) if seed % 3 == 0 else measure), truth ^ wrong, truth


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_the_fast_search_finds_the_limit_of_the_slow_one(seed, low):
    measure, predicted, truth = cases(seed)
    wanted = plain_search(measure.tolist(), predicted.tolist(), truth.tolist(), low)
    bands = fit_threshold(measure, predicted, truth, low_is_suspicious=low)
    if wanted is None:
        assert bands == ()
    else:
        assert bands == ((Band(high=wanted),) if low else (Band(low=wanted),))
        flags = [m <= wanted if low else m >= wanted for m in measure.tolist()]
        assert flagged(bands, measure).tolist() == flags
        assert swapped(predicted, np.array(flags)).tolist() == plain_swap(predicted.tolist(), flags)


def test_some_searches_flag_and_some_do_not():
    found = [bool(fit_threshold(*cases(seed), low_is_suspicious=True)) for seed in range(25)]
    assert any(found)
    assert not all(found)


def test_f1_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    for seed in range(10):
        _, predicted, truth = cases(seed)
        assert f1(predicted, truth) == pytest.approx(f1_score(truth, predicted, zero_division=0), abs=1e-15)
    none = np.zeros(4, bool)
    assert f1(none, none) == 0


def test_without_errors_or_cases_nothing_is_flagged():
    measure, predicted, _ = cases(0)
    assert fit_threshold(measure, predicted, predicted, low_is_suspicious=True) == ()
    assert fit_bands(measure, predicted, predicted) == ()
    empty = np.zeros(0)
    assert fit_threshold(empty, empty > 0, empty > 0, low_is_suspicious=True) == ()
    assert fit_bands(empty, empty > 0, empty > 0) == ()


@pytest.mark.parametrize("seed", range(12))
def test_bands_are_the_best_of_all_subsets(seed):
    measure, predicted, truth = cases(seed)
    bands = fit_bands(measure, predicted, truth)
    values = np.sort(measure)
    cuts = [round(len(values) * k / 10) for k in range(1, 10)]
    edges = sorted({(values[c - 1] + values[c]) / 2 for c in cuts if values[c] > values[c - 1]})
    place = [sum(m > e for e in edges) for m in measure.tolist()]
    best = max(
        plain_f1(plain_swap(predicted.tolist(), [p in chosen for p in place]), truth.tolist())
        for size in range(len(edges) + 2)
        for chosen in itertools.combinations(range(len(edges) + 1), size)
    )
    assert f1(swapped(predicted, flagged(bands, measure)), truth) == pytest.approx(best, abs=1e-12)


def test_a_majority_of_one_sided_limits_is_their_median():
    votes = [(Band(high=h),) for h in (0.1, 0.5, 0.3, 0.9, 0.2)]
    assert majority(votes) == (Band(high=0.3),)
    assert majority([*votes[:2], (), (), ()]) == ()
    assert majority([(Band(low=1.0, high=2.0), Band(low=5.0)), (Band(low=1.5),), (Band(low=1.7, high=3.0),)]) == (
        Band(low=1.5, high=3.0),
        Band(low=5.0),
    )
    assert majority([(Band(),), (Band(),), ()]) == (Band(),)


def test_bands_hold_their_ends():
    measure = np.array([0.0, 1.0, 1.5, 2.0, 3.0])
    assert flagged((Band(low=1.0, high=2.0),), measure).tolist() == [False, True, True, True, False]
    assert flagged((Band(high=1.0), Band(low=3.0)), measure).tolist() == [True, True, False, False, True]
    assert not flagged((), measure).any()
