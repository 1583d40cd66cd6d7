from __future__ import annotations

import numpy as np

from slicerxai.data.phantom import Truth


def test_flair_orders_tissues_as_radiologists_know_them(truth: Truth) -> None:
    a, flair = truth.anatomy, truth.signal.flair
    healthy = ~truth.lesions.truth

    def median(part: np.ndarray) -> float:
        return float(np.median(flair[(part > 0.9) & healthy]))

    lesion = float(np.median(flair[truth.lesions.truth]))
    assert median(a.csf) < 0.6
    assert 0.9 < median(a.white) < median(a.cortex) < lesion


def test_t1_orders_tissues_as_radiologists_know_them(truth: Truth) -> None:
    a, t1 = truth.anatomy, truth.signal.t1
    healthy = ~truth.lesions.truth
    csf, cortex, white = (float(np.median(t1[(part > 0.9) & healthy])) for part in (a.csf, a.cortex, a.white))
    assert csf < 0.5 * cortex < cortex < 0.9 * white
    assert np.median(t1[truth.lesions.truth]) < white


def test_no_threshold_finds_the_lesions(truth: Truth) -> None:
    flair, lesions = truth.signal.flair, truth.lesions.truth
    dice = [
        2 * (found & lesions).sum() / (found.sum() + lesions.sum())
        for threshold in np.linspace(1.0, 2.0, 41)
        if (found := flair > threshold).any()
    ]
    assert max(dice) < 0.8


def test_images_are_zero_outside_the_brain(truth: Truth) -> None:
    assert (truth.signal.flair[~truth.anatomy.brain] == 0).all()
    assert (truth.signal.t1[~truth.anatomy.brain] == 0).all()
