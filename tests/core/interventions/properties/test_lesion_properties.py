"""Lesions taken away, added, grown and brightened: what is measured afterwards, and what must not have changed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from slicerxai.data.lesions import find_lesions
from slicerxai.data.resample import resample
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.catalogue import find_property, usable_properties
from slicerxai.interventions.lesion_scene import lesion_scene
from slicerxai.interventions.property import LesionEdit, Scan
from slicerxai.interventions.white_matter import drawn_texture, find_white_matter, local_level
from tests.support.toy_head import LESIONS, RADIUS_MM, toy_head

HALF = 125.0
"""Between white matter and lesions in FLAIR."""


@pytest.fixture(scope="module")
def head() -> Scan:
    return Scan(*toy_head(("FLAIR", "T1")), seed=5)


@pytest.fixture(scope="module")
def healthy() -> Volume:
    return toy_head(("FLAIR",), lesions=())[0]["FLAIR"]


def bright_ml(volume: Volume) -> float:
    """Volume above half of the lesions' contrast, in the white matter."""
    place = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in volume.shape), indexing="ij"))
    inner = np.linalg.norm(place * np.reshape(volume.spacing, (3, 1, 1, 1)), axis=0) < RADIUS_MM - 8
    smooth = ndimage.gaussian_filter(volume.array, 0.5)
    return float((inner & (smooth > HALF)).sum()) * volume.voxel_volume / 1000


def ml(mask: Volume) -> float:
    return float(mask.array.sum()) * mask.voxel_volume / 1000


def test_white_matter_is_found_and_its_level_follows_a_bias_field() -> None:
    images, lesions = toy_head(("FLAIR",), noise=0.02)
    image = images["FLAIR"].array
    slope = np.exp(np.linspace(-0.2, 0.2, image.shape[0], dtype=np.float32))[:, None, None]
    near = ndimage.binary_dilation(lesions.array, iterations=3)
    white = find_white_matter((image * slope)[None], ["FLAIR"], image != 0, near, (1.5, 1.5, 1.5))
    true = (np.abs(image - 100) < 8) & ~near
    assert true[white.mask].mean() > 0.9
    error = white.level[0][white.mask] / (100 * np.broadcast_to(slope, image.shape))[white.mask] - 1
    assert abs(error.mean()) < 0.02
    assert np.abs(error).max() < 0.15
    assert white.texture[0] == pytest.approx(2.0, rel=0.3)


def test_white_matter_of_t1_is_the_brightest_tissue_even_where_grey_matter_is_more_frequent() -> None:
    rng = np.random.default_rng(0)
    halves = np.where(np.arange(24)[:, None, None] < 13, 220, 300) + rng.normal(0, 5, (24, 24, 24))
    stack = halves[None].astype(np.float32)
    everywhere = np.ones((24, 24, 24), dtype=bool)
    white = find_white_matter(stack, ["T1"], everywhere, ~everywhere, (2.0, 2.0, 2.0))
    assert np.median(stack[0][white.mask]) == pytest.approx(300, rel=0.03)


def test_local_level_against_a_plain_weighted_mean() -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(5, 9, (12, 12, 12)).astype(np.float32)
    mask = rng.random((12, 12, 12)) < 0.4
    spacing = (3.0, 3.0, 3.0)
    found = local_level(values[None], mask, spacing)[0]
    place = np.argwhere(mask)
    at = np.array([6, 4, 7])
    distance = np.linalg.norm((place - at) * 3.0, axis=1)
    scales = (4.0, 8.0, 16.0, 32.0)
    weight = sum(1e-2**n * np.exp(-0.5 * (distance / scale) ** 2) / scale**3 for n, scale in enumerate(scales))
    expected = (weight * values[tuple(place.T)]).sum() / weight.sum()
    assert found[tuple(at)] == pytest.approx(expected, rel=0.01)


def test_texture_has_the_deviation_and_the_grain_of_white_matter() -> None:
    rng = np.random.default_rng(2)
    noise = ndimage.gaussian_filter(rng.standard_normal((40, 40, 40)), (0.8, 0.8, 0.0))
    stack = (100 + 3 * noise / noise.std())[None].astype(np.float32)
    everywhere = np.ones((40, 40, 40), dtype=bool)
    white = find_white_matter(stack, ["FLAIR"], everywhere, ~everywhere, (1.0, 1.0, 1.0))
    drawn = drawn_texture(np.random.default_rng(3), white, (40, 40, 40), (1.0, 1.0, 1.0))[0]
    assert drawn.std() == pytest.approx(3.0, rel=0.35)
    neighbours = [1 - float((np.diff(a, axis=0) ** 2).mean() / 2 / a.var()) for a in (noise, drawn)]
    assert neighbours[1] == pytest.approx(neighbours[0], abs=0.3)


def test_removed_lesions_leave_neither_hole_nor_rim(head: Scan, healthy: Volume) -> None:
    scene = lesion_scene(head)
    realised = find_property("lesion_load").realise(head, 0.0)["FLAIR"].array
    error = (realised - healthy.array)[scene.box]
    noise = 2.0
    for low, high in ((-2.5, -1.0), (-1.0, 0.0), (0.0, 1.5), (1.5, 9.0)):
        shell = (scene.depth > low) & (scene.depth <= high)
        assert abs(error[shell].mean()) < 0.5 * noise, (low, high)
    inside = scene.labels > 0
    assert realised[scene.box][inside].std() == pytest.approx(noise, rel=0.35)
    assert np.abs(error[scene.depth < -4]).max() == 0


def test_lesions_at_a_ventricle_go_without_filling_it() -> None:
    at_ventricle = (((9.0, 0.0, 0.0), 5.0),)
    images, lesions = toy_head(("FLAIR",), lesions=at_ventricle)
    fluid = images["FLAIR"].array < 60
    lesions = lesions.with_array(np.where(fluid, 0, lesions.array))
    true = toy_head(("FLAIR",), lesions=())[0]["FLAIR"].array
    realised = find_property("lesion_contrast").realise(Scan(images, lesions), 0.0)["FLAIR"].array
    inner = ndimage.binary_erosion(true < 40) & (true > 0)
    assert np.abs(realised - images["FLAIR"].array)[inner].max() < 3  # noise, not tissue
    rim = (lesions.array > 0) & ndimage.binary_dilation(fluid, iterations=2)
    assert realised[rim].mean() == pytest.approx(true[rim].mean(), rel=0.2)


@pytest.mark.parametrize("share", [0.1, 0.45, 0.8, 1.3, 1.9])
def test_load_is_the_value_in_the_mask_and_in_the_image(head: Scan, share: float) -> None:
    one = find_property("lesion_load")
    assert isinstance(one, LesionEdit)
    own = one.neutral(head)
    assert own is not None
    value = share * own
    assert ml(one.lesions_at(head, value)) == pytest.approx(value, abs=0.51 * head.reference.voxel_volume / 1000)
    assert bright_ml(one.realise(head, value)["FLAIR"]) == pytest.approx(value, abs=0.25 * own)


def test_loads_are_nested(head: Scan) -> None:
    one = find_property("lesion_load")
    values = np.linspace(0, one.limits(head)[1], 9)
    masks = [one.lesions_at(head, value).array > 0 for value in values]  # type: ignore[attr-defined]
    for smaller, larger in pairwise(masks):
        assert not (smaller & ~larger).any()
        assert larger.sum() > smaller.sum()


def test_the_smallest_lesions_go_first(head: Scan) -> None:
    one = find_property("lesion_load")
    own = one.neutral(head)
    assert own is not None
    left = one.lesions_at(head, 0.78 * own)  # type: ignore[attr-defined]
    assert find_lesions(left)[0].voxels == find_lesions(head.lesions)[0].voxels  # type: ignore[arg-type]
    assert len(find_lesions(left)) < len(LESIONS)


@pytest.mark.parametrize("name", ["lesion_load", "lesion_size", "lesion_contrast"])
def test_paths_are_continuous_and_neutral_is_the_scan(name: str, head: Scan) -> None:
    one = find_property(name)
    neutral = one.neutral(head)
    assert neutral is not None
    assert all(volume is head.images[key] for key, volume in one.realise(head, neutral).items())
    for step in (-1e-4, 1e-4):
        near = one.realise(head, neutral + step)
        assert np.abs(near["FLAIR"].array - head.images["FLAIR"].array).max() < 1.5
    low, high = (0.05, 2.0) if name != "lesion_size" else (-2.0, 2.0)
    values = np.linspace(low, min(high, one.limits(head)[1]), 40)
    images = [one.realise(head, float(value))["FLAIR"].array for value in values]
    steps = [np.abs(a - b).sum() for a, b in pairwise(images)]
    assert max(steps) < 0.25 * sum(steps)


def sphere_ml(growth: float) -> float:
    return sum(4 / 3 * np.pi * max(radius + growth, 0) ** 3 for _, radius in LESIONS) / 1000


@pytest.mark.parametrize("growth", [-1.0, 1.0, 2.0])
def test_edges_move_by_the_value(head: Scan, growth: float) -> None:
    one = find_property("lesion_size")
    expected = sphere_ml(growth)
    assert ml(one.lesions_at(head, growth)) == pytest.approx(expected, rel=0.25)  # type: ignore[attr-defined]
    assert bright_ml(one.realise(head, growth)["FLAIR"]) == pytest.approx(expected, rel=0.25)


def test_growth_stops_at_fluid_and_leaves_the_rest_alone(head: Scan) -> None:
    realised = find_property("lesion_size").realise(head, 2.0)["FLAIR"].array
    before = head.images["FLAIR"].array
    far = ndimage.distance_transform_edt(head.lesions.array == 0, sampling=head.reference.spacing) > 9  # type: ignore[union-attr]
    np.testing.assert_array_equal(realised[far], before[far])
    close = Scan(*toy_head(("FLAIR",), lesions=(((10.0, 0.0, 0.0), 3.0),)))
    grown = find_property("lesion_size").realise(close, 3.0)["FLAIR"].array
    fluid = ndimage.binary_erosion((close.images["FLAIR"].array < 30) & (close.images["FLAIR"].array > 0))
    assert np.abs((grown - close.images["FLAIR"].array)[fluid]).max() < 5


@pytest.mark.parametrize("value", [0.0, 0.5, 1.5, 2.0])
def test_contrast_is_the_multiple_asked_for_in_every_channel(head: Scan, value: float) -> None:
    realised = find_property("lesion_contrast").realise(head, value)
    core = ndimage.binary_erosion(head.lesions.array)  # type: ignore[union-attr]
    for key, white, added in (("FLAIR", 100, 50), ("T1", 300, -60)):
        assert realised[key].array[core].mean() - white == pytest.approx(value * added, abs=0.06 * abs(added) + 1)


def test_new_lesions_look_like_the_patients_own(head: Scan) -> None:
    one = find_property("lesion_load")
    high = one.limits(head)[1]
    fresh = (one.lesions_at(head, high).array > 0) & (head.lesions.array == 0)  # type: ignore[attr-defined, union-attr]
    core = ndimage.binary_erosion(fresh)
    change = {key: one.realise(head, high)[key].array - head.images[key].array for key in head.images}
    assert change["FLAIR"][core].mean() == pytest.approx(50, rel=0.3)
    assert change["T1"][core].mean() == pytest.approx(-60, rel=0.3)
    white = np.abs(head.images["FLAIR"].array - 100) < 12
    assert white[fresh].mean() > 0.9


def test_a_patient_without_lesions_gets_some() -> None:
    images, lesions = toy_head(("FLAIR",), lesions=())
    on = Scan(images, lesions)
    one = find_property("lesion_load")
    assert one.unusable(on) is None
    assert one.neutral(on) == 0
    assert bright_ml(one.realise(on, 0.8)["FLAIR"]) == pytest.approx(0.8, rel=0.25)
    assert "no lesion" in str(find_property("lesion_size").unusable(on))
    odd = Scan({"SWI": images["FLAIR"]}, lesions)
    assert "SWI" in str(one.unusable(odd))


def test_channels_of_another_grid_change_at_the_same_place() -> None:
    images, lesions = toy_head(("FLAIR", "T1"), noise=0.0)
    affine = images["T1"].affine @ np.diag([-1.0, 1, 2, 1])
    affine[:3, 3] = images["T1"].affine[:3, 3] + [1.5 * (images["T1"].shape[0] - 1), 0, 0.75]
    shape = (images["T1"].shape[0], images["T1"].shape[1], images["T1"].shape[2] // 2)
    other = resample(images["T1"], affine, shape)
    on = Scan({"FLAIR": images["FLAIR"], "T1": other}, lesions)
    realised = find_property("lesion_contrast").realise(on, 0.0)["T1"]
    assert realised.shape == shape
    there = resample(lesions, affine, shape, order=0).array > 0
    core = ndimage.binary_erosion(there)
    assert other.array[core].mean() == pytest.approx(240, rel=0.03)
    assert realised.array[core].mean() == pytest.approx(300, rel=0.03)
    np.testing.assert_array_equal(realised.array != 0, other.array != 0)


@pytest.mark.parametrize("spacing", [(1.2, 1.2, 4.0), (3.0, 3.0, 3.0)])
def test_coarse_and_anisotropic_voxels(spacing: tuple[float, float, float]) -> None:
    on = Scan(*toy_head(("FLAIR",), spacing=spacing))
    load = find_property("lesion_load")
    own = load.neutral(on)
    assert own is not None
    assert bright_ml(load.realise(on, 0.0)["FLAIR"]) < 0.1 * own
    half_voxel = 0.51 * on.reference.voxel_volume / 1000
    assert ml(load.lesions_at(on, 1.5 * own)) == pytest.approx(1.5 * own, abs=half_voxel)  # type: ignore[attr-defined]
    grown = find_property("lesion_size").realise(on, 1.0)["FLAIR"]
    assert bright_ml(grown) > 1.1 * bright_ml(on.images["FLAIR"])


def test_seed_decides_where_new_lesions_come(head: Scan) -> None:
    other = Scan(head.images, head.lesions, seed=6)
    one, high = find_property("lesion_load"), find_property("lesion_load").limits(head)[1]
    masks = [one.lesions_at(on, high).array for on in (head, other)]  # type: ignore[attr-defined]
    assert not np.array_equal(*masks)
    again = find_property("lesion_load").realise(Scan(head.images, head.lesions, seed=5), high)
    np.testing.assert_array_equal(again["FLAIR"].array, one.realise(head, high)["FLAIR"].array)


def test_reasons_in_words() -> None:
    images, lesions = toy_head()
    _, reasons = usable_properties(Scan(images), kinds=["lesion"])
    assert set(reasons.values()) == {"where its lesions are is not known"}
    moved = Volume(lesions.array, lesions.affine + np.array([[0, 0, 0, 5.0]] * 3 + [[0, 0, 0, 0]]))
    assert "grid" in str(find_property("lesion_load").unusable(Scan(images, moved)))
    with pytest.raises(InputError, match="cannot be changed"):
        find_property("lesion_size").realise(Scan(images), 1.0)
    speck = {"FLAIR": Volume(np.pad(np.full((2, 2, 2), 7.0, np.float32), 4), np.eye(4))}
    mask = Volume(np.zeros((10, 10, 10), np.uint8), np.eye(4))
    assert "white matter" in str(find_property("lesion_load").unusable(Scan(speck, mask)))
