"""Adjusted p against their definitions; sign flips against full enumeration."""

from itertools import combinations, product

import numpy as np
import pytest

from slicerxai.errors import InputError
from slicerxai.interventions.multiple import benjamini_hochberg, holm
from slicerxai.interventions.replicates import sign_flip_test, smallest_p


def test_holm_is_the_closed_test_of_bonferroni():
    p = np.random.default_rng(0).random(5) ** 3
    for n, found in enumerate(holm(p)):
        sets = [one for size in range(1, 6) for one in combinations(range(5), size) if n in one]
        assert found == pytest.approx(max(min(1.0, len(one) * min(p[list(one)])) for one in sets))


def test_benjamini_hochberg_rejects_what_its_rule_rejects():
    p = np.round(np.random.default_rng(1).random(8) ** 2, 2)
    adjusted = benjamini_hochberg(p)
    for level in np.linspace(0.01, 1, 34):
        ordered = sorted(p)
        largest = max((k for k in range(1, 9) if ordered[k - 1] <= level * k / 8 + 1e-12), default=0)
        rejected = {n for n in range(8) if largest and p[n] <= ordered[largest - 1]}
        assert rejected == set(np.flatnonzero(adjusted <= level + 1e-9))


def test_one_p_stays_and_bad_ones_are_refused():
    assert holm(np.array([0.04])) == benjamini_hochberg(np.array([0.04])) == 0.04
    assert holm(np.array([])).size == 0
    for bad in ([1.2], [np.nan], [[0.1]]):
        with pytest.raises(InputError):
            holm(np.array(bad))


def test_sign_flips_of_few_replicates_are_all_visited():
    slopes = np.random.default_rng(2).normal(0.5, 1, (7, 2))
    for n, found in enumerate(sign_flip_test(slopes)):
        own = abs(sum(slopes[:, n]))
        count = sum(
            abs(sum(s * x for s, x in zip(sign, slopes[:, n], strict=True))) >= own - 1e-12
            for sign in product([1, -1], repeat=7)
        )
        assert found == pytest.approx(count / 2**7)


def test_many_replicates_are_drawn_and_resolution():
    generator = np.random.default_rng(3)
    assert sign_flip_test(np.ones((20, 1)), permutations=999)[0] == 1 / 1000
    assert sign_flip_test(np.zeros((20, 1)), permutations=99)[0] == 1
    assert sign_flip_test(np.ones((6, 1)))[0] == smallest_p(6) == 1 / 32
    assert smallest_p(20, 999) == 1 / 1000
    rate = np.mean(sign_flip_test(generator.standard_cauchy((9, 800))) <= 0.05)
    assert rate < 0.07
    with pytest.raises(InputError):
        sign_flip_test(np.array([[np.nan]]))
