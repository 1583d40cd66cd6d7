from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.intensity import foreground, normalised
from slicerxai.models.working_grid import canonical, check_affine, working_grid

OBLIQUE_LEFT_HANDED = np.array(
    [
        [0.1736, -0.9848, 0.0, 60.0],
        [0.9848 * 1.2, 0.1736, 0.0, -80.0],
        [0.0, 0.0, 2.5, -30.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""First axis towards anterior, second towards left, 10° apart from both."""


def world(affine, index):
    return affine[:3, :3] @ np.asarray(index) + affine[:3, 3]


def test_canonical_moves_no_voxel_in_the_world() -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    turned = canonical(Volume(array, OBLIQUE_LEFT_HANDED))
    assert (np.abs(turned.affine[:3, :3]).argmax(axis=0) == [0, 1, 2]).all()
    assert (np.diag(turned.affine)[:3] > 0).all()
    place = {int(turned.array[i]): world(turned.affine, i) for i in np.ndindex(turned.shape)}
    for index in np.ndindex(array.shape):
        np.testing.assert_allclose(place[int(array[index])], world(OBLIQUE_LEFT_HANDED, index), atol=1e-12)


@given(
    spacing=st.sampled_from([0.5, 1.0, 1.3, 3.0]),
    margin=st.integers(0, 5),
    least=st.integers(1, 40),
    flip=st.sampled_from([-1.0, 1.0]),
)
def test_the_grid_holds_the_foreground_with_its_margin(spacing, margin, least, flip) -> None:
    affine = OBLIQUE_LEFT_HANDED @ np.diag([flip, 1, 1, 1])
    mask = np.zeros((12, 14, 9), dtype=bool)
    mask[3:7, 2:11, 1:4] = True
    grid = working_grid(Volume(mask, affine), spacing, margin, (least,) * 3, multiple=4)
    np.testing.assert_allclose(np.linalg.norm(grid.affine[:3, :3], axis=0), spacing, rtol=1e-3)
    assert all(n % 4 == 0 and n >= least for n in grid.shape)
    to_grid = np.linalg.inv(grid.affine)
    for index in np.argwhere(mask):
        for corner in np.ndindex(2, 2, 2):
            found = world(to_grid, world(affine, index + np.array(corner) - 0.5))
            assert (found >= margin - 0.5 - 1e-6).all()
            assert (found <= np.array(grid.shape) - margin - 0.5 + 1e-6).all()


def test_an_image_of_the_right_spacing_keeps_its_voxel_centres() -> None:
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = 90.25, -126.5, -72
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[4:9, 5:8, 6:7] = True
    grid = working_grid(Volume(mask, affine), 1.0, 2, (16, 16, 16))
    index = np.linalg.inv(affine) @ grid.affine
    np.testing.assert_allclose(index, np.round(index), atol=1e-9)
    assert grid.shape == (16, 16, 16)


@pytest.mark.parametrize(
    ("affine", "match"),
    [
        (np.diag([0.0, 1, 1, 1]), "positive"),
        (np.diag([np.nan, 1, 1, 1]), "positive"),
        (np.array([[1.0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "independent"),
    ],
)
def test_bad_affines(affine, match) -> None:
    with pytest.raises(InputError, match=match):
        check_affine(affine)


def test_a_giant_is_refused() -> None:
    with pytest.raises(InputError, match="voxel size"):
        working_grid(Volume(np.ones((9, 9, 9), bool), np.diag([100.0, 100, 100, 1])), 1.0, 0, (1, 1, 1))


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((2, 2, 2)), "FLAIR is empty"),
        (np.full((2, 2, 2), np.nan), "NaN"),
        (np.full((2, 2, 2), np.inf), "infinite"),
        (np.ones((2, 2, 2), dtype=complex), "complex"),
    ],
)
def test_unusable_intensities(array, match) -> None:
    with pytest.raises(InputError, match=match):
        foreground(array, "FLAIR")


def test_normalised() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(300, 25, (20, 20, 20)).astype(np.float32)
    mask = rng.random(array.shape) < 0.7
    ordered = np.sort(array[mask].astype(np.float64))
    median = np.interp(0.5 * (len(ordered) - 1), np.arange(len(ordered)), ordered)
    low, high = (np.interp(q * (len(ordered) - 1), np.arange(len(ordered)), ordered) for q in (0.25, 0.75))
    unit = (median * (high - low)) ** 0.5 / 2
    expected = [(x - median) / unit if inside else 0 for x, inside in zip(array.flat, mask.flat, strict=True)]
    found = normalised(array, mask, "FLAIR")
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-5)
    np.testing.assert_allclose(normalised(7 * array, mask, "FLAIR"), found, atol=1e-5)
    with pytest.raises(InputError, match="no contrast"):
        normalised(np.ones((3, 3, 3), np.float32), np.ones((3, 3, 3), bool), "FLAIR")
    with pytest.raises(InputError, match="median of -"):
        normalised(array - 600, np.ones(array.shape, bool), "FLAIR")
