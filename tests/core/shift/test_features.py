from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.fast import FastConfig, FastSegmenter
from slicerxai.models.protocols import ModelInfo, Segmentation
from slicerxai.models.unet import FastUNet
from slicerxai.shift import features

SPACING = (2.0, 2.0, 2.0)
SHAPE = (40, 44, 36)


def volume(array: NDArray[np.generic], spacing: tuple[float, float, float] = SPACING) -> Volume:
    return Volume(array, np.diag([*spacing, 1.0]))


def ball(radius: float, centre: tuple[float, float, float] = (20, 22, 18)) -> NDArray[np.bool_]:
    axes = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    return np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True))) <= radius


def brain_image(seed: int = 0, noise: float = 0.03, gamma: float = 1.0) -> NDArray[np.float32]:
    """A ball of tissue with smooth variation, a dark core as fluid and a bright lesion of 3 voxels radius."""
    rng = np.random.default_rng(seed)
    brain = ball(16)
    tissue = 1 + 0.1 * ndimage.gaussian_filter(rng.standard_normal(SHAPE), 3) / 0.03
    tissue = np.where(ball(4, (20, 30, 18)), 0.3, np.clip(tissue, 0.6, 1.4))
    tissue = np.where(ball(3, (20, 14, 18)), 1.7, tissue)
    tissue = ndimage.gaussian_filter(tissue, 0.7) ** gamma + noise * rng.standard_normal(SHAPE)
    return np.where(brain, np.clip(300 * tissue, 1, None), 0).astype(np.float32)


def test_population_uses_what_is_known() -> None:
    found = features.population_features({"age": 41.0, "sex": "F", "centre": "01"}, 3.0)
    assert found == {"age": 41.0, "female": 1.0, "log_burden": math.log(3.05)}
    assert features.population_features({"sex": "male"}, None) == {"female": 0.0}


def test_acquisition_does_not_see_the_scale() -> None:
    image = brain_image()
    one, other = (features.acquisition_features(volume(image * factor)) for factor in (1.0, 7.5))
    assert one == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "name", "sign"),
    [
        (lambda: brain_image(noise=0.09), "high_frequency", 1),
        (lambda: np.where(ball(16), ndimage.gaussian_filter(brain_image(), 1.0), 0), "high_frequency", -1),
        (lambda: np.where(ball(16), ndimage.gaussian_filter1d(brain_image(), 1.0, axis=2), 0), "anisotropy", -1),
        (lambda: np.where(ball(16), ndimage.gaussian_filter(brain_image(), 1.0), 0), "grain", 1),
        (lambda: brain_image(gamma=1.6), "contrast", 1),
        (lambda: brain_image(gamma=1.6), "bright", 1),
        (lambda: brain_image() * np.linspace(0.6, 1.4, SHAPE[0])[:, None, None], "shading", 1),
    ],
)
def test_acquisition_sees_its_effect(change, name: str, sign: int) -> None:
    before = features.acquisition_features(volume(brain_image()))[name]
    after = features.acquisition_features(volume(change()))[name]
    assert sign * (after - before) > 0.015


def test_second_difference_is_that_of_white_noise() -> None:
    noise = np.random.default_rng(1).standard_normal((60, 60, 60))
    found = features._second_difference(noise, np.ones(noise.shape, dtype=bool), 1)
    plain = np.median(np.abs(noise[:, :-2] - 2 * noise[:, 1:-1] + noise[:, 2:]))
    assert found == pytest.approx(plain, rel=0.02)
    assert found == pytest.approx(0.6745 * math.sqrt(6), rel=0.03)


def test_structure_function_plainly() -> None:
    values = np.random.default_rng(2).standard_normal((9, 8, 7))
    inside = np.random.default_rng(3).random((9, 8, 7)) < 0.7
    pairs = [
        (values[i, j + 3, k] - values[i, j, k]) ** 2
        for i in range(9)
        for j in range(5)
        for k in range(7)
        if inside[i, j, k] and inside[i, j + 3, k]
    ]
    assert features._structure(values, inside, 1, 3) == pytest.approx(np.mean(pairs))


def test_image_without_contrast_is_refused() -> None:
    with pytest.raises(InputError, match="no contrast"):
        features.acquisition_features(volume(np.where(ball(16), 5, 0)))
    with pytest.raises(InputError, match="empty"):
        features.acquisition_features(volume(np.zeros(SHAPE)))


def test_prediction_features_plainly() -> None:
    probability = np.random.default_rng(0).random(SHAPE).astype(np.float32) * ball(5)
    labels = (probability >= 0.5).astype(np.uint8)
    found = features.prediction_features(Segmentation(volume(labels), volume(probability)))
    hits = probability[labels == 1].sum()
    assert found["confidence"] == pytest.approx(2 * hits / (labels.sum() + probability.sum()), rel=1e-5)
    assert found["log_predicted"] == pytest.approx(math.log(labels.sum() * 8 / 1000 + 0.05))
    nothing = Segmentation(volume(np.zeros(SHAPE, np.uint8)), volume(np.zeros(SHAPE, np.float32)))
    assert features.prediction_features(nothing) == {
        "log_predicted": math.log(0.05),
        "confidence": 1.0,
        "log_predicted_lesions": 0.0,
    }


def test_style_sees_over_and_under_drawing_whatever_the_tone_and_the_blur() -> None:
    masks = [volume(ball(radius, (20, 14, 18)).astype(np.uint8)) for radius in (2.0, 3.0, 4.0)]
    for gamma, blur in ((1.0, 0.0), (1.4, 0.0), (1.0, 0.8)):
        image = ndimage.gaussian_filter(brain_image(noise=0.01, gamma=gamma), blur) * ball(16)
        offsets = [features.style_features(volume(image), mask)["offset_mm"] for mask in masks]
        assert offsets[0] < -0.6 < offsets[1] < 0.9 < offsets[2]
        assert abs(offsets[1]) < 0.6


def test_style_counts_and_sizes() -> None:
    mask = ball(3, (20, 14, 18)) | ball(1, (20, 22, 24)) | ball(1, (12, 22, 18))
    found = features.style_features(volume(brain_image(noise=0.01)), volume(mask.astype(np.uint8)))
    assert found["log_lesions"] == pytest.approx(math.log(4))
    assert found["log_median_mm3"] == pytest.approx(math.log1p(ball(1).sum() * 8))
    assert found["faintest"] < 0.15  # two of the three lie on normal tissue
    alone = features.style_features(volume(brain_image(noise=0.01)), volume(ball(3, (20, 14, 18)).astype(np.uint8)))
    assert alone["faintest"] > 0.3


def test_style_of_nothing_and_of_another_grid() -> None:
    found = features.style_features(volume(brain_image()), volume(np.zeros(SHAPE, np.uint8)))
    assert set(found.values()) == {0.0}
    with pytest.raises(InputError, match="shape"):
        features.style_features(volume(brain_image()), volume(np.zeros((3, 3, 3), np.uint8)))


def test_surface_of_a_box_and_a_ball() -> None:
    box = np.zeros((9, 9, 9), dtype=bool)
    box[2:5, 2:6, 2:7] = True
    assert features._surface_mm2(box, (1.0, 2.0, 3.0)) == pytest.approx(2 / 3 * 2 * (4 * 5 * 6 + 3 * 5 * 3 + 3 * 4 * 2))
    assert features._surface_mm2(ball(12), SPACING) == pytest.approx(4 * math.pi * 24**2, rel=0.1)


def test_reference_and_agreement() -> None:
    reference = volume((ball(3, (20, 14, 18)) | ball(2, (20, 30, 18))).astype(np.uint8))
    drawn = volume((ball(3, (20, 14, 18)) | ball(1, (8, 22, 18))).astype(np.uint8))
    found = features.reference_features(drawn, reference)
    assert found["lesions_found"] == found["lesions_right"] == 0.5
    above, below = (v.array.sum() * 8 / 1000 + 0.05 for v in (drawn, reference))
    assert found["log_volume_ratio"] == pytest.approx(math.log(above / below))
    both = (drawn.array & reference.array).sum()
    assert found["drawn_dice"] == pytest.approx(2 * both / (drawn.array.sum() + reference.array.sum()))
    agreement = features.agreement_features(drawn, reference)
    assert agreement["predicted_lesions_drawn"] == agreement["drawn_lesions_predicted"] == 0.5
    nothing = volume(np.zeros(SHAPE, np.uint8))
    assert features.reference_features(nothing, nothing) == {
        "log_volume_ratio": 0.0,
        "drawn_dice": 1.0,
        "lesions_found": 1.0,
        "lesions_right": 1.0,
    }


def test_embedding_is_the_mean_of_the_innermost_features() -> None:
    config = FastConfig(spacing=2.0, patch_size=(32, 32, 32), features=(4, 8))
    network = FastUNet(1, 2, config.features)
    info = ModelInfo("m", "fast", ("FLAIR",), ("background", "lesion"), "0", {})
    model = FastSegmenter(info, network, config, torch.device("cpu"))
    image = volume(brain_image())
    found = features.embedding(model, {"FLAIR": image})
    assert found.shape == (8,)
    tensor = model.prepare({"FLAIR": image}).tensor
    centre = [int(np.mean(index)) for index in np.nonzero(tensor[0].numpy())]
    starts = [min(max(c - 16, 0), n - 32) for c, n in zip(centre, tensor.shape[1:], strict=True)]
    i, j, k = starts
    with torch.no_grad():
        patch = tensor[None, :, i : i + 32, j : j + 32, k : k + 32]
        plain = network.encoder[1](network.encoder[0](network.stem(patch)))[0].mean(dim=(1, 2, 3))
    np.testing.assert_allclose(found, plain.numpy(), rtol=1e-4)
    assert not any(module._forward_hooks for module in network.modules())
