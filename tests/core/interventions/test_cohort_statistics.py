"""Ranking of properties over patients, and the combination of their tests."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from slicerxai.errors import InputError
from slicerxai.interventions.cohort import combine_controls, rank_effects


def test_ranking_is_the_mean_over_patients_and_its_bootstrap() -> None:
    effects = np.random.default_rng(0).gamma(2.0, [3.0, 1.0, 2.9], (12, 3))
    found = rank_effects(effects, bootstraps=300, level=0.9, seed=5)
    chosen = np.random.default_rng(5).integers(12, size=(256, 12))
    chosen = np.concatenate([chosen, _after(5, 256, 12, 44)])
    means = np.array([[np.mean([effects[n, m] for n in row]) for m in range(3)] for row in chosen])
    np.testing.assert_allclose(found.mean, effects.mean(0))
    for m in range(3):
        np.testing.assert_allclose(found.interval[m], np.percentile(means[:, m], [5, 95]))
        assert found.first[m] == pytest.approx(np.mean(means.argmax(1) == m))
        assert found.first_share[m] == pytest.approx(np.mean(effects.argmax(1) == m))
    assert found.rank.tolist() == (np.argsort(np.argsort(-effects.mean(0))) + 1).tolist()
    assert found.first.sum() == pytest.approx(1)
    assert (found.rank_interval[:, 0] <= found.rank).all()


def _after(seed: int, rows: int, patients: int, more: int) -> np.ndarray:
    """What the generator draws after the first rows."""
    generator = np.random.default_rng(seed)
    generator.integers(patients, size=(rows, patients))
    return generator.integers(patients, size=(more, patients))


def test_patients_without_a_property_and_ties_are_left_to_the_others() -> None:
    effects = np.array([[1.0, np.nan, 1.0], [3.0, 5.0, 3.0], [2.0, np.nan, 2.0]])
    found = rank_effects(effects, bootstraps=200)
    np.testing.assert_allclose(found.mean, [2, 5, 2])
    assert found.rank.tolist() == [2.5, 1, 2.5]
    np.testing.assert_allclose(found.first_share, [1 / 3, 1 / 3, 1 / 3])
    assert found.first.sum() == pytest.approx(1)
    with pytest.raises(InputError, match="at least one patient"):
        rank_effects(np.array([[1.0, np.nan]]))


@pytest.mark.parametrize(("exceedances", "controls"), [([0, 2, 1], [4, 4, 2]), ([0, 0], [3, 3]), ([4, 1], [4, 1])])
def test_combined_p_counts_all_places_that_the_property_could_have_had(exceedances: list[int], controls: list[int]):
    places = list(product(*(range(most + 1) for most in controls)))
    found = combine_controls(exceedances, controls)
    assert found.p == pytest.approx(np.mean([sum(one) <= sum(exceedances) for one in places]))
    assert found.resolution == pytest.approx(1 / len(places))


def test_combined_p_keeps_its_level_and_sees_a_small_common_effect() -> None:
    generator = np.random.default_rng(1)
    for shift, low, high in ((0.0, 0.02, 0.08), (1.0, 0.75, 1.0)):
        statistics = generator.standard_normal((400, 10, 5))
        statistics[..., 0] += shift
        exceedances = (statistics[..., 1:] >= statistics[..., :1]).sum(-1)
        rejected = np.mean([combine_controls(row.tolist(), [4] * 10).p <= 0.05 for row in exceedances])
        assert low <= rejected <= high


def test_impossible_counts_are_refused() -> None:
    for exceedances, controls in (([5], [4]), ([0], [0]), ([], [])):
        with pytest.raises(InputError, match="at least 1 control"):
            combine_controls(exceedances, controls)
