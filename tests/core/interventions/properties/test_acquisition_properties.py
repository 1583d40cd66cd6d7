"""What a realised image measures is what was asked for: contrast, noise, shading, resolution, slices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from slicerxai.data.phantom.centres import CENTRES
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.acquisition import (
    FWHM,
    blurred,
    gaussian_kernel,
    grained_noise,
    head_median,
    rician,
    slice_axis,
    slice_weights,
    thick_slices,
    tone_curve,
)
from slicerxai.interventions.catalogue import find_property, usable_properties
from slicerxai.interventions.path import gradual_path
from slicerxai.interventions.property import Property, Scan
from tests.support.toy_head import toy_head

NAMES = (
    "contrast",
    "noise",
    "bias_field",
    "slice_thickness",
    "resolution",
    "centre_01",
    "centre_03",
    "centre_07",
    "centre_08",
    "gain",
)


def scan(keys: tuple[str, ...] = ("FLAIR",), seed: int = 3, **options: object) -> Scan:
    images, lesions = toy_head(keys, **options)  # type: ignore[arg-type]
    return Scan(images, lesions, seed=seed)


@pytest.fixture(scope="module")
def two_channels() -> Scan:
    return scan(("FLAIR", "T1"), spacing=(2.5, 2.0, 2.0))


def far_end(one: Property, on: Scan) -> float:
    return float(gradual_path(one, on, steps=3).values[-1])


@pytest.mark.parametrize("name", NAMES)
def test_head_grid_and_bits_are_kept(name: str, two_channels: Scan) -> None:
    one = find_property(name)
    value = far_end(one, two_channels)
    realised, again = one.realise(two_channels, value), find_property(name).realise(two_channels, value)
    assert list(realised) == ["FLAIR", "T1"]
    for key, volume in realised.items():
        source = two_channels.images[key]
        assert volume.array.dtype == np.float32
        np.testing.assert_array_equal(volume.affine, source.affine)
        np.testing.assert_array_equal(volume.array != 0, source.array != 0)
        np.testing.assert_array_equal(volume.array, again[key].array)
        assert not np.array_equal(volume.array, source.array)


@pytest.mark.parametrize("name", NAMES)
def test_neutral_value_hands_back_the_scan_and_its_neighbours_come_close(name: str, two_channels: Scan) -> None:
    one = find_property(name)
    neutral = one.neutral(two_channels)
    assert neutral is not None
    unchanged = one.realise(two_channels, neutral)
    near = one.realise(two_channels, neutral + 1e-3)
    for key, volume in two_channels.images.items():
        assert unchanged[key] is volume
        assert np.abs(near[key].array - volume.array).max() < 0.01 * head_median(volume.array)


@pytest.mark.parametrize("name", ["noise", "bias_field", "centre_07"])
def test_another_seed_draws_others(name: str, two_channels: Scan) -> None:
    other = Scan(two_channels.images, seed=4)
    one = find_property(name)
    assert not np.array_equal(one.realise(two_channels, 0.1)["T1"].array, one.realise(other, 0.1)["T1"].array)


@pytest.mark.parametrize(("name", "value"), [("contrast", 0.1), ("noise", -0.01), ("resolution", 50), ("gain", np.nan)])
def test_impossible_values_are_refused_with_what_is_possible(name: str, value: float) -> None:
    with pytest.raises(InputError, match="is possible on this scan"):
        find_property(name).realise(scan(), value)


def test_tone_curve_against_the_formula() -> None:
    values = np.array([-2.0, 0.0, 0.5, 3.0, 7.0], dtype=np.float32)
    expected = [np.sign(v) * 3 * (abs(float(v)) / 3) ** 1.4 for v in values]
    np.testing.assert_allclose(tone_curve(values, 3.0, 1.4), expected, rtol=1e-6)


def test_contrast_of_tissues_follows_the_exponent() -> None:
    on = scan(noise=0.0)
    realised = find_property("contrast").realise(on, 1.6)["FLAIR"].array
    median = head_median(on.images["FLAIR"].array)
    lesion = (ndimage.binary_erosion(on.lesions.array) > 0) if on.lesions is not None else np.zeros(0)
    before, after = on.images["FLAIR"].array[lesion].mean(), realised[lesion].mean()
    assert after / median == pytest.approx((before / median) ** 1.6, rel=1e-3)
    assert head_median(realised) == pytest.approx(median, rel=1e-5)


@pytest.mark.parametrize("value", [0.03, 0.1])
def test_noise_has_the_snr_asked_for(value: float) -> None:
    on = scan(noise=0.0)
    image = on.images["FLAIR"].array
    added = find_property("noise").realise(on, value)["FLAIR"].array - image
    bright = image > 90
    assert added[bright].std() / head_median(image) == pytest.approx(value, rel=0.03)


def test_noise_is_rician() -> None:
    rng = np.random.default_rng(0)
    real, imaginary = rng.standard_normal((2, 200_000)).astype(np.float32)
    dark = rician(np.zeros(200_000, np.float32), 2.0, real, imaginary)
    assert dark.mean() == pytest.approx(2 * np.sqrt(np.pi / 2), rel=0.01)  # Rayleigh
    signal = np.full(200_000, 30.0, np.float32)
    assert (rician(signal, 2.0, real, imaginary) ** 2).mean() == pytest.approx(30**2 + 2 * 2**2, rel=0.002)
    below = np.full(200_000, -5.0, np.float32)
    np.testing.assert_array_equal(rician(below, 0.0, real, imaginary), below)


def test_noise_along_a_path_is_one_draw_scaled() -> None:
    on = scan()
    one, image = find_property("noise"), on.images["FLAIR"].array
    bright = image > 90
    small = (one.realise(on, 0.002)["FLAIR"].array - image)[bright]
    large = (one.realise(on, 0.02)["FLAIR"].array - image)[bright]
    assert np.corrcoef(small, large)[0, 1] > 0.999


def test_bias_field_has_the_spread_asked_for_and_is_one_for_all_channels(two_channels: Scan) -> None:
    realised = find_property("bias_field").realise(two_channels, 0.3)
    logs = {}
    for key, volume in realised.items():
        source = two_channels.images[key].array
        head = source != 0
        logs[key] = np.log(volume.array[head] / source[head])
        assert logs[key].std() == pytest.approx(0.3, rel=1e-3)
        assert abs(logs[key].mean()) < 1e-3
        steps = np.abs(np.diff(np.where(head, np.log(np.where(head, volume.array / np.where(head, source, 1), 1)), 0)))
        assert np.median(steps[steps > 0]) < 0.05  # smooth
    np.testing.assert_allclose(logs["FLAIR"], logs["T1"], atol=1e-4)


def measured_fwhm(profile: np.ndarray, spacing: float) -> float:
    """From the second moment of a line spread."""
    place = np.arange(len(profile)) * spacing
    mean = (profile * place).sum() / profile.sum()
    return FWHM * float(np.sqrt((profile * (place - mean) ** 2).sum() / profile.sum()))


@pytest.mark.parametrize("value", [0.5, 2.0, 4.0])
def test_blur_has_the_width_asked_for_and_stays_within_the_slices(value: float) -> None:
    array = np.full((41, 43, 21), 100.0, np.float32)
    array[20, 21, 10] += 1000
    affine = np.diag([1.0, 1.5, 2.5, 1.0])
    realised = find_property("resolution").realise(Scan({"FLAIR": Volume(array, affine)}), value)["FLAIR"].array - 100
    assert measured_fwhm(realised[:, 21, 10], 1.0) == pytest.approx(value, rel=0.01)
    assert measured_fwhm(realised[20, :, 10], 1.5) == pytest.approx(value, rel=0.01)
    assert abs(realised[20, 21, 9]) < 1e-3
    assert realised.sum() == pytest.approx(1000, rel=1e-3)


@pytest.mark.parametrize("sigma", [0.0, 0.2, 0.7, 3.0])
def test_discrete_gaussian_has_exactly_the_variance(sigma: float) -> None:
    kernel = gaussian_kernel(sigma).astype(np.float64)
    place = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert (kernel * place**2).sum() == pytest.approx(sigma**2, rel=1e-3, abs=1e-6)


def test_what_lies_outside_the_head_darkens_no_edge() -> None:
    head = np.zeros((20, 20, 12), dtype=bool)
    head[4:16, 5:14, 3:9] = True
    even = np.where(head, np.float32(50), np.float32(0))
    np.testing.assert_allclose(blurred(even, head, (1, 1, 1), (4, 4, 0))[head], 50, rtol=1e-5)
    np.testing.assert_allclose(thick_slices(even, head, 2, 4.3)[head], 50, rtol=1e-5)


def plain_slices(line: np.ndarray, thickness: float) -> np.ndarray:
    """Thick slices of one line of voxels, step by step on a fine lattice."""
    count, fine = len(line), 200
    middle = (count - 1) // 2
    lattice = (np.arange(count * fine) + 0.5) / fine - 0.5
    signal = np.repeat(line, fine)
    centres, values = [], []
    for number in range(-count, count + 1):
        centre = middle + number * thickness
        inside = (lattice >= centre - thickness / 2) & (lattice < centre + thickness / 2)
        if inside.any():
            centres.append(centre)
            values.append(signal[inside].mean())
    return np.interp(np.arange(count), centres, values)


@pytest.mark.parametrize(("count", "thickness"), [(17, 1.0), (17, 1.7), (24, 3.0), (24, 5.3), (9, 20.0)])
def test_thick_slices_against_a_plain_computation(count: int, thickness: float) -> None:
    line = np.random.default_rng(1).uniform(1, 5, count)
    np.testing.assert_allclose(slice_weights(count, thickness) @ line, plain_slices(line, thickness), atol=0.03)


def test_slice_thickness_runs_from_the_scans_own_along_its_longest_edge() -> None:
    on = scan(spacing=(1.5, 3.0, 1.5))
    one = find_property("slice_thickness")
    assert one.neutral(on) == 3.0
    assert one.limits(on)[0] == 3.0
    array = on.images["FLAIR"].array
    realised = one.realise(on, 8.0)["FLAIR"].array
    columns = [(20, 24), (25, 25), (30, 22)]
    for i, k in columns:
        inside = array[i, :, k] != 0
        expected = plain_slices(array[i, :, k], 8 / 3) / plain_slices(inside.astype(float), 8 / 3)
        np.testing.assert_allclose(realised[i, inside, k], expected[inside], rtol=0.03)
    flat = Scan({"FLAIR": Volume(np.ones((5, 5, 5), np.float32), np.diag([1, 1, 9.0, 1]))})
    assert "9 mm thick already" in str(one.unusable(flat))


def test_slices_of_cubic_voxels_lie_across_the_axis_nearest_to_superior() -> None:
    turned = np.array([[0, 0, 1.0, 0], [1.0, 0.1, 0, 0], [-0.1, 1.0, 0, 0], [0, 0, 0, 1]])
    assert slice_axis(Volume(np.zeros((3, 4, 5), np.float32), turned)) == 1


def test_grained_noise_keeps_unit_deviation_and_is_correlated() -> None:
    noise = grained_noise(np.random.default_rng(0), (40, 40, 40), (1.0, 1.0, 2.0), 3.0)
    assert noise.std() == pytest.approx(1, rel=0.06)
    sigma = 3.0 / FWHM
    related = [float((np.diff(noise, axis=a) ** 2).mean() / 2) for a in (0, 2)]
    assert 1 - related[0] == pytest.approx(np.exp(-1 / (4 * sigma**2)), abs=0.04)
    assert related[1] > related[0]


def test_centre_realises_its_settings() -> None:
    on = scan(noise=0.0, lesions=())
    image = on.images["FLAIR"].array
    style = CENTRES["08"]
    realised = find_property("centre_08").realise(on, 1.0)["FLAIR"].array
    away = image > 0
    even = ndimage.binary_erosion(np.abs(image - 100) < 0.5, iterations=2) & away
    log = np.log(realised[even] / image[even])
    assert log.std() == pytest.approx(np.hypot(style.bias, style.noise), rel=0.35)
    half = find_property("centre_07").realise(on, 0.5)["FLAIR"].array
    fluid = ndimage.binary_erosion(image == 20, iterations=1)
    tone = 1 + 0.5 * (CENTRES["07"].gamma - 1)
    signal = 100 * 0.2**tone + 0.5 * CENTRES["07"].fluid * 100 * (1.2 - 1.5 * 0.2)
    assert half[fluid].mean() == pytest.approx(signal, rel=0.2)


def test_gain_scales() -> None:
    on = scan()
    realised = find_property("gain").realise(on, -1.0)["FLAIR"].array
    np.testing.assert_array_equal(realised, on.images["FLAIR"].array / 2)


def test_ringing_below_zero_survives() -> None:
    on = scan()
    array = on.images["FLAIR"].array.copy()
    array[array == array[array > 0].min()] = -4.0
    below = Scan({"FLAIR": on.images["FLAIR"].with_array(array)})
    for name in NAMES:
        one = find_property(name)
        realised = one.realise(below, far_end(one, below))["FLAIR"].array
        np.testing.assert_array_equal(realised != 0, array != 0)
        assert np.isfinite(realised).all()


def test_single_images_have_no_slices_and_no_centre() -> None:
    images = {"IMAGE": Volume(np.random.default_rng(0).uniform(10, 20, (32, 32, 1)), np.eye(4))}
    usable, reasons = usable_properties(Scan(images))
    assert [one.info.name for one in usable] == ["contrast", "noise", "bias_field", "resolution", "gain"]
    assert "single image" in reasons["slice_thickness"]
    assert "single image" in reasons["centre_01"]
    assert "single image" in reasons["lesion_load"]
    for one in usable:
        assert one.realise(Scan(images), far_end(one, Scan(images)))["IMAGE"].array.shape == (32, 32, 1)


def test_intensities_about_zero_are_refused_in_words() -> None:
    centred = {"FLAIR": Volume(np.random.default_rng(0).normal(-1, 1, (8, 8, 8)), np.eye(4))}
    assert "above 0" in str(find_property("contrast").unusable(Scan(centred)))
