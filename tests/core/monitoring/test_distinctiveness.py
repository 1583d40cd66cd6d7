"""Equation 1 against a loop over classes, pixels and pairs."""

import math

import numpy as np
import pytest

from slicerxai.errors import InputError
from slicerxai.monitoring.distinctiveness import cosine_distances, distinctiveness


def plain_distance(one, other):
    dot = norm_one = norm_other = 0.0
    for a, b in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
        dot += a * b
        norm_one += a * a
        norm_other += b * b
    if norm_one == 0 or norm_other == 0:
        return 1.0
    return 1 - dot / (math.sqrt(norm_one) * math.sqrt(norm_other))


@pytest.mark.parametrize("shape", [(3, 2, 1, 5, 4), (2, 5, 3, 4, 4), (1, 14, 2, 6, 3), (2, 4, 2, 3, 4, 5)])
def test_distances_and_their_sums_agree_with_loops(shape):
    maps = np.random.default_rng(0).normal(size=shape)
    maps[0, 1] = 0
    distances = cosine_distances(maps.astype(np.float32))
    sums = distinctiveness(distances)
    assert distances.dtype == np.float64
    maps = maps.astype(np.float32).astype(np.float64)
    for b in range(shape[0]):
        for i in range(shape[1]):
            total = 0.0
            for j in range(shape[1]):
                if i != j:
                    wanted = plain_distance(maps[b, i], maps[b, j])
                    assert distances[b, i, j] == pytest.approx(wanted, abs=1e-12)
                    total += wanted
            assert distances[b, i, i] == 0
            assert sums[b, i] == pytest.approx(total, abs=1e-11)


def test_distances_do_not_depend_on_scale_and_know_the_sign():
    one = np.random.default_rng(1).normal(size=(4, 4))
    maps = np.stack([one, 1e-30 * one, -3 * one, np.zeros((4, 4))])[None]
    assert cosine_distances(maps)[0] == pytest.approx(
        np.array([[0, 0, 2, 1], [0, 0, 2, 1], [2, 2, 0, 1], [1, 1, 1, 0]]), abs=1e-12
    )


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (np.zeros((2, 1, 4, 4)), "classes ≥ 2"),
        (np.zeros((2, 3)), "classes ≥ 2"),
        (np.full((1, 2, 3), np.nan), "not finite"),
        (np.full((1, 2, 3), np.inf), "not finite"),
    ],
)
def test_unusable_maps_are_refused(maps, message):
    with pytest.raises(InputError, match=message):
        cosine_distances(maps)
