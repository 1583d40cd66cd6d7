import numpy as np
import pytest

from slicerxai.shift.estimators.weighting import weighted_values
from slicerxai.shift.weights import clipped_share, effective_sample_size, memberships, product, truncate


def test_products_truncation_and_values_one_by_one():
    rng = np.random.default_rng(0)
    log_ratios, metric, draws = rng.normal(size=(3, 10)), rng.random(10), rng.multinomial(10, np.full(10, 0.1), 5) * 1.0
    values = weighted_values(log_ratios, metric, draws, limit=1.5)
    assert values.shape == (5, 8)
    for b in range(5):
        for coalition in range(8):
            top = bottom = 0.0
            for j in range(10):
                w = 1.0
                for i in range(3):
                    if coalition >> i & 1:
                        w *= np.exp(log_ratios[i, j])
                w = min(w, 1.5) * draws[b, j]
                top += w * metric[j]
                bottom += w
            assert values[b, coalition] == pytest.approx(top / bottom, abs=1e-12)
    np.testing.assert_allclose(values[:, 0], (draws * metric).sum(1) / draws.sum(1), atol=1e-12)
    per_draw = np.broadcast_to(log_ratios, (5, 3, 10))
    np.testing.assert_allclose(weighted_values(per_draw, metric, draws, 1.5), values, atol=1e-12)


def test_blocks_do_not_matter():
    rng = np.random.default_rng(1)
    log_ratios, metric = rng.normal(size=(10, 20)), rng.random(20)
    values = weighted_values(log_ratios, metric, np.ones((1, 20)), 4.0)[0]
    raw = truncate(product(log_ratios, memberships(10)), 4.0)
    np.testing.assert_allclose(values, raw @ metric / raw.sum(1), atol=1e-12)


def test_effective_sample_size_and_clipped_share():
    weights = np.array([[1.0, 1, 1, 1], [4, 0, 0, 0], [0, 0, 0, 0]])
    assert effective_sample_size(weights).tolist() == [4, 1, 0]
    assert clipped_share(weights, 2.0).tolist() == [0, 0.25, 0]
