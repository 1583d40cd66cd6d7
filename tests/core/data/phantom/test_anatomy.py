from __future__ import annotations

import numpy as np
import pytest

from slicerxai.data.phantom import Truth
from slicerxai.data.phantom.anatomy import simulate_anatomy
from slicerxai.data.phantom.atlas import load_atlas


def test_tissue_fractions_add_up_inside_the_brain_and_vanish_outside(truth: Truth) -> None:
    a = truth.anatomy
    total = a.white + a.cortex + a.nuclei + a.csf
    np.testing.assert_allclose(total[a.brain], 1, atol=1e-4)
    assert (total[~a.brain] == 0).all()
    assert min(part.min() for part in (a.white, a.cortex, a.nuclei, a.csf)) >= 0


def test_brain_has_a_human_size_and_does_not_touch_the_border(truth: Truth) -> None:
    a = truth.anatomy
    assert 800 < a.brain.sum() * a.spacing**3 / 1000 < 1800
    border = np.ones(a.shape, dtype=bool)
    border[1:-1, 1:-1, 1:-1] = False
    assert not (a.brain & border).any()


def test_coarse_grid_covers_the_same_place() -> None:
    fine, coarse = load_atlas(1.0), load_atlas(2.0)
    centres = [
        np.array([np.average(i, weights=atlas.maps["white"]) for i in np.indices(atlas.shape)])
        for atlas in (fine, coarse)
    ]
    world = [
        atlas.affine[:3, :3] @ centre + atlas.affine[:3, 3]
        for atlas, centre in zip((fine, coarse), centres, strict=True)
    ]
    np.testing.assert_allclose(world[0], world[1], atol=0.3)


def test_age_widens_ventricles_and_sulci_of_the_same_person() -> None:
    young, old = (simulate_anatomy(np.random.default_rng(1), 2.0, age) for age in (25.0, 70.0))
    ventricles = [float(a.csf[(a.ventricle < 2)].sum()) for a in (young, old)]
    assert ventricles[1] > 1.3 * ventricles[0]
    assert old.csf.sum() > 1.1 * young.csf.sum()


def test_patients_differ() -> None:
    one, other = (simulate_anatomy(np.random.default_rng(seed), 2.0, 40.0) for seed in (1, 2))
    both = one.brain & other.brain
    assert np.corrcoef(one.white[both], other.white[both])[0, 1] < 0.9


def test_left_and_right_are_not_mirror_images(truth: Truth) -> None:
    mirrored = truth.anatomy.white[::-1]
    assert np.corrcoef(truth.anatomy.white.ravel(), mirrored.ravel())[0, 1] < 0.95


def test_infratentorial_is_below(truth: Truth) -> None:
    a = truth.anatomy
    assert a.position[2][a.infratentorial].max() < 6
    share = a.infratentorial.sum() / a.brain.sum()
    assert share == pytest.approx(0.12, abs=0.06)
