from __future__ import annotations

import numpy as np
import pytest

from slicerxai.data.phantom import REGIONS, Truth
from slicerxai.data.phantom.anatomy import Anatomy
from slicerxai.data.phantom.lesions import (
    DEEP,
    INFRATENTORIAL,
    JUXTACORTICAL,
    PERIVENTRICULAR,
    Lesions,
    simulate_lesions,
)


@pytest.mark.parametrize("load", [1.0, 6.0, 35.0])
def test_load_comes_close_to_what_was_asked(truth: Truth, load: float) -> None:
    lesions = simulate_lesions(np.random.default_rng(2), truth.anatomy, load)
    made = lesions.truth.sum() * truth.anatomy.spacing**3 / 1000
    assert made == pytest.approx(load, rel=0.6)
    assert 3 <= len(lesions.lesions) <= 60


def test_a_heavy_load_has_one_confluent_periventricular_lesion(truth: Truth) -> None:
    lesions = simulate_lesions(np.random.default_rng(2), truth.anatomy, 35.0).lesions
    largest = max(lesions, key=lambda lesion: lesion.volume)
    assert largest.region == PERIVENTRICULAR
    assert largest.volume > 10_000


def test_records_agree_with_the_maps(truth: Truth) -> None:
    lesions, voxel = truth.lesions, truth.anatomy.spacing**3
    assert (lesions.truth == (lesions.owner > 0)).all()
    assert (lesions.truth == (lesions.regions > 0)).all()
    assert lesions.owner.max() == len(lesions.lesions)
    for number, lesion in enumerate(lesions.lesions, start=1):
        own = lesions.owner == number
        assert own.sum() * voxel == pytest.approx(lesion.volume)
        assert set(np.unique(lesions.regions[own])) == {lesion.region}


def test_regions_mean_what_they_say(truth: Truth) -> None:
    a = truth.anatomy
    several = [simulate_lesions(np.random.default_rng(seed), a, 20.0) for seed in range(4)]
    assert {lesion.region for lesions in several for lesion in lesions.lesions} == set(REGIONS)
    for lesions in several:
        _check_regions(a, lesions)


def _check_regions(a: Anatomy, lesions: Lesions) -> None:
    for number, lesion in enumerate(lesions.lesions, start=1):
        own = lesions.owner == number
        below = a.infratentorial[own].mean() > 0.5
        assert below == (lesion.region == INFRATENTORIAL)
        if lesion.region == PERIVENTRICULAR:
            assert a.ventricle[own].min() <= 1 + a.spacing
        if lesion.region in (JUXTACORTICAL, DEEP):
            assert a.ventricle[own].min() > 1 + a.spacing
            assert (a.cortical[own].min() <= 1 + a.spacing / 2) == (lesion.region == JUXTACORTICAL)


def test_lesions_lie_in_tissue(truth: Truth) -> None:
    a = truth.anatomy
    assert truth.lesions.truth[~a.brain].sum() == 0
    assert a.csf[truth.lesions.truth].mean() < 0.15
    assert a.white[truth.lesions.truth].mean() > 0.6


@pytest.mark.parametrize("affected", [(INFRATENTORIAL,), (PERIVENTRICULAR, INFRATENTORIAL)])
def test_only_affected_regions_have_lesions_and_each_has_one(truth: Truth, affected: tuple[int, ...]) -> None:
    lesions = simulate_lesions(np.random.default_rng(4), truth.anatomy, 3.0, affected).lesions
    assert {lesion.region for lesion in lesions} == set(affected)
