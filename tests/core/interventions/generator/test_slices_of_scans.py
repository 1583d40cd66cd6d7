from __future__ import annotations

import numpy as np
import pytest

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.generator.conditions import LoadCondition
from slicerxai.interventions.generator.parameters import GeneratorConfig
from slicerxai.interventions.generator.slices import slices_of
from slicerxai.interventions.generator.training_slices import lesion_areas

CONFIG = GeneratorConfig(spacing=4.0, shape=(32, 32), unshuffle=2, width=16, multipliers=(1,))


def oblique_head(spacing: tuple[float, float, float]) -> tuple[Volume, Volume]:
    """A ball of 80 mm, stored with its axes permuted and one flipped, and a cube of 12 mm off its middle."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2] = spacing[0], -spacing[1], spacing[2]
    affine[:, 3] = (48.0, -60.0, -30.0, 1.0)
    shape = tuple(round(96 / step) for step in spacing)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    world = np.einsum("ij,jabc->iabc", affine[:3, :3], index) + affine[:3, 3][:, None, None, None]
    middle = np.einsum("ij,j->i", affine[:3, :3], (np.array(shape) - 1) / 2) + affine[:3, 3]
    distance = np.sqrt(((world - middle[:, None, None, None]) ** 2).sum(0))
    cube = (np.abs(world - (middle + np.array([16, 8, 4]))[:, None, None, None]) < 6.01).all(0)
    inside = distance < 40
    values = np.where(inside, 100 + world[0] - middle[0], 0)
    return Volume(values.astype(np.float32), affine), Volume(cube.astype(np.uint8), affine)


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (3.0, 2.0, 2.0), (6.0, 4.0, 3.0)])
def test_slices_run_from_left_to_right_back_to_front_and_low_to_high(spacing: tuple[float, float, float]) -> None:
    image, mask = oblique_head(spacing)
    slices = slices_of({"FLAIR": image}, CONFIG)
    assert slices.pixels.shape == (image.shape[0], 1, 32, 32)  # its first axis is the one upwards
    assert slices.thickness == pytest.approx(spacing[0])
    share = slices.on_grid(mask)
    k, h, w = (
        float((share.sum(axis=axes) * np.arange(n)).sum() / share.sum())
        for axes, n in (((1, 2), share.shape[0]), ((0, 2), 32), ((0, 1), 32))
    )
    heads = np.argwhere(slices.head).mean(0)
    assert h - heads[1] == pytest.approx(16 / 4, abs=0.4)
    assert w - heads[2] == pytest.approx(8 / 4, abs=0.4)
    assert (k - heads[0]) * spacing[0] == pytest.approx(4, abs=2)
    finite = slices.height[np.isfinite(slices.height)]
    assert finite[0] == 0
    assert finite[-1] == 1
    assert (np.diff(finite) >= 0).all()


def test_intensities_are_normalised_about_the_median_with_no_signal_at_minus_one() -> None:
    image, _ = oblique_head((4.0, 4.0, 4.0))
    slices = slices_of({"FLAIR": image}, CONFIG)
    values = image.array[image.array != 0]
    low, median, high = np.percentile(values, (25, 50, 75))
    pixels = slices.pixels.numpy()[:, 0]
    assert (pixels[~slices.head] == -1).mean() > 0.9
    inside = pixels[slices.head]
    expected = (values - median) * 2 / np.sqrt(median * (high - low)) / 4
    assert np.sort(inside)[len(inside) // 10] == pytest.approx(np.percentile(expected, 10), abs=0.1)
    assert slices.gain[0] == pytest.approx(4 * np.sqrt(median * (high - low)) / 2, rel=1e-5)


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (3.0, 2.0, 2.0)])
def test_a_change_comes_back_to_its_place(spacing: tuple[float, float, float]) -> None:
    image, mask = oblique_head(spacing)
    slices = slices_of({"FLAIR": image}, CONFIG)
    back = slices.back(slices.on_grid(mask), image)
    assert back.shape == image.shape
    truth = mask.array.astype(float)
    assert np.corrcoef(back.ravel(), truth.ravel())[0, 1] > 0.85
    where, wanted = (
        np.array([(a.sum(axis=tuple({0, 1, 2} - {x})) * np.arange(a.shape[x])).sum() / a.sum() for x in range(3)])
        for a in (back, truth)
    )
    assert np.abs((where - wanted) * spacing).max() < 1.0


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (3.0, 2.0, 2.0)])
def test_areas_are_in_square_centimetres(spacing: tuple[float, float, float]) -> None:
    image, mask = oblique_head(spacing)
    slices = slices_of({"FLAIR": image}, CONFIG)
    area = lesion_areas(slices, slices.on_grid(mask))
    truth_ml = mask.array.sum() * mask.voxel_volume / 1000
    assert area.sum() * slices.thickness / 10 == pytest.approx(truth_ml, rel=0.02)


def test_what_cannot_be_sliced_is_named() -> None:
    image, _ = oblique_head((4.0, 4.0, 4.0))
    with pytest.raises(InputError, match="needs FLAIR; there is T1"):
        slices_of({"T1": image}, CONFIG)
    with pytest.raises(InputError, match="of the head lies outside the generator's slices of 64 × 64 mm"):
        slices_of({"FLAIR": image}, CONFIG.model_copy(update={"shape": (16, 16)}))
    with pytest.raises(InputError, match="FLAIR is empty"):
        slices_of({"FLAIR": image.with_array(np.zeros_like(image.array))}, CONFIG)


def test_a_load_grows_with_its_feature_and_keeps_its_profile() -> None:
    load = LoadCondition(typical=2.0, most=8.0, profile=(0.0, 1.0, 3.0, 1.0))
    features = load.encoded(np.array([0.0, 2.0, 8.0])).numpy()
    np.testing.assert_allclose(features, [[0, 1], [0.5, 1], [1, 1]], atol=1e-6)
    np.testing.assert_allclose(load.usual(np.array([0.125, 0.625, 0.5, 1.0])), [0, 3, 3, 1], atol=1e-6)
