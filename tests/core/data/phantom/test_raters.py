from __future__ import annotations

import numpy as np

from slicerxai.data.phantom import PERFECT, RATERS, AnnotationStyle, Truth, consensus


def _drawn(truth: Truth, **habits: float) -> np.ndarray:
    return truth.mask("3", AnnotationStyle(**habits)).array.astype(bool)


def test_a_perfect_rater_draws_the_truth(truth: Truth) -> None:
    mask = truth.mask("1", PERFECT)
    assert mask.array.dtype == np.uint8
    np.testing.assert_array_equal(mask.array.astype(bool), truth.lesions.truth)


def test_over_drawing_contains_the_truth_which_contains_under_drawing(truth: Truth) -> None:
    true = truth.lesions.truth
    wide, narrow = _drawn(truth, offset_mm=1.5), _drawn(truth, offset_mm=-1.0)
    assert (wide >= true).all()
    assert wide.sum() > 1.2 * true.sum()
    assert (narrow <= true).all()
    assert 0 < narrow.sum() < 0.9 * true.sum()


def test_a_hasty_rater_misses_small_lesions_but_not_large_ones(truth: Truth) -> None:
    mask, lesions = _drawn(truth, missed_mm3=120), truth.lesions
    seen = np.array([mask[lesions.owner == n].any() for n in range(1, len(lesions.lesions) + 1)])
    volumes = np.array([lesion.volume for lesion in lesions.lesions])
    assert seen[volumes > 2000].all()
    assert seen[volumes < 60].mean() < 0.5
    # a lesion is missed or drawn as a whole
    assert mask.sum() == volumes[seen].sum() / truth.anatomy.spacing**3


def test_jitter_moves_the_boundary_both_ways(truth: Truth) -> None:
    mask, true = _drawn(truth, jitter_mm=1.0), truth.lesions.truth
    assert (mask & ~true).any()
    assert (true & ~mask).any()


def test_invented_lesions_are_small_and_in_white_matter(truth: Truth) -> None:
    extra = _drawn(truth, invented=15.0) & ~truth.lesions.truth
    assert extra.any()
    assert extra.sum() * truth.anatomy.spacing**3 < 2000
    assert truth.anatomy.white[extra].min() > 0.3


def test_raters_have_their_own_chance(truth: Truth) -> None:
    style = AnnotationStyle(jitter_mm=0.6)
    assert (truth.mask("1", style).array != truth.mask("2", style).array).any()


def test_raters_agree_about_as_well_as_experts_do(truth: Truth) -> None:
    masks = truth.masks(RATERS)
    agreed = masks["consensus"].array.astype(bool)
    for rater in RATERS:
        own = masks[rater].array.astype(bool)
        dice = 2 * (own & agreed).sum() / (own.sum() + agreed.sum())
        assert 0.45 < dice < 0.99, f"rater {rater}: {dice:.2f}"


def test_consensus_is_the_majority() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 6, 7):
        masks = [rng.random((4, 5, 6)) < 0.5 for _ in range(count)]
        found = consensus(masks)
        for voxel in np.ndindex(4, 5, 6):
            votes = sum(bool(mask[voxel]) for mask in masks)
            assert found[voxel] == (votes >= count / 2 and votes > 0)
