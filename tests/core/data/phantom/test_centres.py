from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from slicerxai.data.phantom import CENTRES, NEUTRAL, VARIED, AcquisitionStyle, Truth
from slicerxai.data.phantom.centres import acquire
from slicerxai.data.phantom.contrast import Signal

SHAPE = (40, 40, 40)
EVERYWHERE = np.ones(SHAPE, dtype=bool)


def _flat(style: AcquisitionStyle, level: float = 1.0) -> np.ndarray:
    signal = Signal(np.full(SHAPE, level, np.float32), np.full(SHAPE, level, np.float32))
    return acquire(np.random.default_rng(0), signal, EVERYWHERE, 2.0, style)["FLAIR"].astype(float)


def test_a_perfect_scanner_only_rounds(truth: Truth) -> None:
    images = truth.images(NEUTRAL)
    brain = truth.anatomy.brain
    expected = np.maximum(np.rint(1000 * truth.signal.flair), 1)
    np.testing.assert_array_equal(images["FLAIR"].array[brain], expected[brain])
    assert images["T1"].array.dtype == np.int16


def test_noise_is_rician() -> None:
    sigma = 0.1
    bright, dark = _flat(NEUTRAL.model_copy(update={"noise": sigma})), _flat(AcquisitionStyle(noise=sigma), level=0.0)
    assert bright.std() / 1000 == pytest.approx(sigma, rel=0.05)
    # without signal the magnitude is Rayleigh distributed: mean sigma sqrt(pi / 2)
    assert dark.mean() / 1000 == pytest.approx(sigma * np.sqrt(np.pi / 2), rel=0.05)


def test_grain_keeps_the_noise_level_and_correlates_neighbours() -> None:
    fine, grainy = (_flat(AcquisitionStyle(noise=0.05, grain_mm=grain)) for grain in (0.0, 3.0))
    assert grainy.std() == pytest.approx(fine.std(), rel=0.1)
    lag = [np.corrcoef(image[1:].ravel(), image[:-1].ravel())[0, 1] for image in (fine, grainy)]
    assert abs(lag[0]) < 0.05
    assert lag[1] > 0.2


def test_each_effect_changes_what_it_names(truth: Truth) -> None:
    a = truth.anatomy
    plain = truth.images(NEUTRAL)["FLAIR"].array.astype(float)

    def with_(**settings: float) -> np.ndarray:
        return truth.images(NEUTRAL.model_copy(update=settings))["FLAIR"].array.astype(float)

    ratio = with_(bias=0.2)[a.brain] / plain[a.brain]
    assert 0.05 < np.log(ratio).std() < 0.4
    lesion, fluid = truth.lesions.truth, a.csf > 0.95
    assert with_(gamma=1.5)[lesion].mean() > plain[lesion].mean()
    assert with_(fluid=0.2)[fluid].mean() > plain[fluid].mean() + 100
    inside = a.brain[:, :, 1:] & a.brain[:, :, :-1]
    rough = [np.abs(np.diff(image, axis=2))[inside].mean() for image in (plain, with_(slice_mm=5.0))]
    assert rough[1] < 0.8 * rough[0]
    assert np.median(with_(scale=300.0)[a.white > 0.9]) == pytest.approx(
        0.3 * np.median(plain[a.white > 0.9]), rel=0.02
    )


def test_outside_is_zero_and_inside_is_not(truth: Truth) -> None:
    for style in CENTRES.values():
        for image in truth.images(style).values():
            assert ((image.array > 0) == truth.anatomy.brain).all()


def test_varied_scanner_differs_from_patient_to_patient() -> None:
    levels = []
    signal = Signal(np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32))
    for seed in range(6):
        image = acquire(np.random.default_rng(seed), signal, EVERYWHERE, 2.0, VARIED)["FLAIR"].astype(float)
        levels.append(image.std() / image.mean())
    assert max(levels) > 1.5 * min(levels)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="noise"):
        AcquisitionStyle(noise=-0.1)
