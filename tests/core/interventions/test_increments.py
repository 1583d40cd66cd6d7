"""The test of one curve that allows for dependence, against a plain loop; level on random walks."""

from itertools import product

import numpy as np
import pytest

from slicerxai.interventions.increments import increment_test


def test_same_p_as_a_loop_over_all_signs():
    curves = np.random.default_rng(0).normal(size=(8, 2)).cumsum(0)
    found = increment_test(curves)
    for n, curve in enumerate(curves.T):
        own, count = curve.max() - curve.min(), 0
        for signs in product([1, -1], repeat=7):
            walk = [0.0]
            for step, sign in zip(np.diff(curve), signs, strict=True):
                walk.append(walk[-1] + sign * step)
            count += max(walk) - min(walk) >= own - 1e-12
        assert found.statistic[n] == pytest.approx(own)
        assert found.p[n] == pytest.approx(count / 2**7)
    assert found.resolution == 2 / 2**7


def test_long_curves_draw_signs():
    found = increment_test(np.arange(30.0)[:, None], permutations=199)
    assert found.p[0] == 1 / 200
    assert found.resolution == 1 / 200
    assert increment_test(np.ones((30, 1)), permutations=99).p[0] == 1


@pytest.mark.parametrize("correlation", [0.0, 0.9, 1.0])
def test_level_from_noise_to_random_walk(correlation):
    generator = np.random.default_rng(1)
    curves = generator.normal(size=(12, 600))
    for n in range(1, 12):
        curves[n] += correlation * curves[n - 1]
    rate = (increment_test(curves).p <= 0.05).mean()
    assert rate < 0.075
    if correlation == 1:
        assert rate > 0.02
