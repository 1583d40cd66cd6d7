import io

import numpy as np
import pytest
from nibabel.affines import apply_affine
from PIL import Image

from slicerxai.data.volume import Volume
from slicerxai.explain.colours import DIVERGING, Heat, coloured, rgb, saturation
from slicerxai.explain.contract import Explanation, Overlay
from slicerxai.explain.slices import AXES, LETTERS, PLANES, canonical, pick, render_png, scenes, section

RIGHTWARD = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


def oblique(degrees=20.0, spacing=(1.0, 0.8, 3.0), permutation=(2, 0, 1), flips=(-1, 1, -1), shape=(30, 26, 12)):
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.eye(3)[:, list(permutation)] @ np.diag(np.multiply(spacing, flips))
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) / 2)
    return affine, shape


def explanation(volume, **others):
    overlays = {"FLAIR": Overlay(volume, "image", "a.u.", "")}
    for name, array in others.items():
        other = array if isinstance(array, Volume) else volume.with_array(array)
        kind = "labelmap" if other.array.dtype.kind in "iu" else "saliency"
        overlays[name] = Overlay(other, kind, "u", "d")
    return Explanation(method="m", parameters={}, image_id="i", overlays=overlays)


@pytest.mark.parametrize("permutation", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1), (-1, 1, -1)])
def test_canonical_keeps_every_voxel_in_its_place(permutation, flips):
    affine, shape = oblique(permutation=permutation, flips=flips)
    volume = Volume(np.arange(np.prod(shape)).reshape(shape), affine)
    moved = canonical(volume)
    assert (np.abs(moved.affine[:3, :3]).argmax(axis=0) == [0, 1, 2]).all()
    assert (np.diag(moved.affine)[:3] > 0).all()
    for index in [(0, 0, 0), (3, 5, 7), (29, 25, 11)]:
        found = np.argwhere(moved.array == volume.array[index])[0]
        np.testing.assert_allclose(apply_affine(moved.affine, found), apply_affine(affine, index), atol=1e-9)


@pytest.mark.parametrize("plane", PLANES)
def test_letters_say_what_lies_at_the_edges(plane):
    ramps = np.stack(np.meshgrid(*map(np.arange, (5, 6, 7)), indexing="ij"))
    edges = {"left": np.s_[:, 0], "right": np.s_[:, -1], "top": np.s_[0, :], "bottom": np.s_[-1, :]}
    for letter, edge in zip(LETTERS[plane], edges.values(), strict=True):
        axis, sign = RIGHTWARD[letter]
        picture = section(ramps[axis], plane, 2) * sign
        assert (picture[edge] == picture.max()).all()
    assert LETTERS["axial"][0] == LETTERS["coronal"][0] == "R"
    assert AXES[plane][0] not in {RIGHTWARD[letter][0] for letter in LETTERS[plane]}


def bright_spot_picture(volume, plane, **keywords):
    scene = scenes(explanation(volume))[0]
    picture = Image.open(io.BytesIO(render_png(scene, pick(scene, plane, 1)[0], marks=False, **keywords)))
    return scene, np.asarray(picture.convert("L"), dtype=float)


@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_a_spot_on_the_patients_right_front_is_drawn_left_and_up(degrees):
    affine, shape = oblique(degrees, spacing=(1.0, 1.0, 1.0), shape=(40, 40, 40))
    world = apply_affine(affine, np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    array = 40.0 * (np.linalg.norm(world, axis=-1) < 19) + 60 * (np.linalg.norm(world - [9, 7, 0], axis=-1) < 5)
    _, picture = bright_spot_picture(Volume(array, affine), "axial")
    row, column = np.argwhere(picture > 200).mean(axis=0)
    assert column < picture.shape[1] * 0.45
    assert row < picture.shape[0] * 0.45


@pytest.mark.parametrize("plane", PLANES)
def test_proportions_are_those_of_the_patient(plane):
    volume = Volume(np.random.default_rng(0).uniform(50, 100, (20, 30, 8)), np.diag([1.0, 1.0, 6.0, 1.0]))
    scene, picture = bright_spot_picture(volume, plane, longest=240)
    extent = [(high - low) * s for (low, high), s in zip(scene.box, scene.image.spacing, strict=True)]
    _, across, up = AXES[plane]
    assert picture.shape[1] / picture.shape[0] == pytest.approx(extent[across] / extent[up], rel=0.02)


def test_picks_strongest_map_then_largest_area_and_keeps_apart():
    mask = np.zeros((20, 20, 40), np.uint8)
    mask[5:15, 5:15, 30] = 1
    mask[5:12, 5:12, 10] = 1
    relevance = np.zeros(mask.shape, np.float32)
    relevance[8, 8, 9] = -5
    volume = Volume(np.random.default_rng(0).uniform(50, 100, mask.shape), np.diag([2.0, 1.0, 1.5, 1.0]))
    scene = scenes(explanation(volume, prediction=mask, saliency=relevance))[0]
    first, second = pick(scene, "axial", 3, gap_mm=12)
    assert (first.index, first.reason) == (9, "strongest saliency")
    assert (second.index, second.reason) == (30, "largest outlined area, 200 mm²")
    assert first.position == pytest.approx(9 * 1.5)
    assert first.place == "S 14 mm"


def test_area_that_two_labelmaps_share_counts_once():
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[5:15, 5:15, 3] = 1
    one = mask * (np.arange(20) < 10)[:, None, None].astype(np.uint8)
    volume = Volume(np.random.default_rng(0).uniform(50, 100, mask.shape), np.eye(4))
    scene = scenes(explanation(volume, lesions=mask, explained_lesion=one))[0]
    assert [outline.name for outline in scene.outlines] == ["lesions", "explained lesion"]
    assert pick(scene, "axial", 1)[0].reason == "largest outlined area, 100 mm²"


def test_nothing_to_see_gives_the_middle():
    volume = Volume(np.random.default_rng(0).uniform(50, 100, (9, 9, 9)), np.eye(4))
    scene = scenes(explanation(volume, saliency=np.zeros((9, 9, 9), np.float32)))[0]
    assert [(at.index, at.reason) for at in pick(scene, "coronal", 2)] == [(4, "middle of the image")]


@pytest.mark.parametrize("value", [0.0, 7.0, -3.0])
def test_a_constant_image_can_be_drawn(value):
    scene = scenes(explanation(Volume(np.full((5, 6, 7), value), np.eye(4))))[0]
    assert render_png(scene, pick(scene, "axial", 1)[0]).startswith(b"\x89PNG")


def test_a_map_on_another_grid_is_drawn_in_its_place():
    image = Volume(np.random.default_rng(0).uniform(50, 100, (30, 30, 30)), np.eye(4))
    coarse = np.zeros((10, 10, 10), np.float32)
    coarse[2, 7, 5] = 1
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    scene = scenes(explanation(image, saliency=Volume(coarse, affine)))[0]
    assert np.unravel_index(scene.heat.array.argmax(), scene.heat.array.shape) == (6, 21, 15)


def test_each_label_has_an_outline_and_each_map_its_scene():
    image = Volume(np.random.default_rng(0).uniform(50, 100, (8, 8, 8)), np.eye(4))
    labels = np.zeros((8, 8, 8), np.int16)
    labels[2], labels[5] = 1, 4
    maps = {"saliency_T1": np.ones((8, 8, 8), np.float32), "saliency_FLAIR": np.ones((8, 8, 8), np.float32)}
    result = explanation(image, prediction=labels, **maps)
    result.overlays["T1"] = Overlay(image, "image", "", "")
    t1, flair = scenes(result)
    assert [outline.name for outline in flair.outlines] == ["prediction 1", "prediction 4"]
    assert (t1.name, flair.name) == ("T1", "FLAIR")
    assert flair.heat.low == 0.0
    assert flair.heat.high == pytest.approx(1.0, rel=1e-3)


def test_outline_lies_around_the_lesion_and_not_on_it():
    image = Volume(np.full((40, 40, 5), 50.0) + np.random.default_rng(0).normal(size=(40, 40, 5)), np.eye(4))
    mask = np.zeros(image.shape, np.uint8)
    mask[15:25, 15:25, 2] = 1
    scene = scenes(explanation(image, prediction=mask))[0]
    at = pick(scene, "axial", 1)[0]
    options = {"longest": 400, "marks": False}
    plain, lined = (
        np.asarray(Image.open(io.BytesIO(render_png(scene, at, outlines=on, **options))).convert("RGB"), dtype=int)
        for on in (False, True)
    )
    rows, columns = np.nonzero(np.abs(plain - lined).sum(axis=-1) > 60)
    for hit in (rows, columns):
        assert 140 <= hit.min() <= 150
        assert 250 <= hit.max() <= 260
    assert np.abs(plain - lined)[155:245, 155:245].max() <= 1


def test_saturation_leaves_a_tenth_of_the_mass_beyond():
    values = np.random.default_rng(0).normal(size=(30, 30, 30)) ** 3
    limit = saturation(values)
    magnitude = np.abs(values)
    assert magnitude[magnitude > limit].sum() / magnitude.sum() == pytest.approx(0.1, abs=0.01)
    padded = np.zeros((60, 60, 60))
    padded[:30, :30, :30] = values
    assert saturation(padded) == limit
    assert saturation(np.zeros((2, 2, 2))) == 1.0


def test_colours_by_sign_and_opacity_by_magnitude():
    heat = Heat("s", np.zeros((1, 1, 1), np.float32), "u", "d", -2.0, 2.0)
    colours, alpha = coloured(heat, np.array([-9.0, -2.0, -1.0, 0.0, 1.0, 2.0, 9.0]))
    np.testing.assert_allclose(colours[[0, 1]], [rgb(DIVERGING[0])] * 2)
    np.testing.assert_allclose(colours[[5, 6]], [rgb(DIVERGING[-1])] * 2)
    np.testing.assert_allclose(alpha[:, 0], alpha[::-1, 0])
    assert alpha[3, 0] == 0
    assert (np.diff(alpha[3:6, 0]) > 0).all()
    assert alpha.max() < 1
    assert colours[1, 2] > colours[1, 0]
    assert colours[5, 0] > colours[5, 2]
