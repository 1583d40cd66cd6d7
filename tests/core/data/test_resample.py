"""Landmarks and linear functions of world coordinates survive a change of grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from slicerxai.data.resample import largest_shift, resample, resample_like, same_grid
from slicerxai.data.volume import Volume


def grid(angles, spacing, centre, shape) -> np.ndarray:
    """Affine of a rotated grid whose middle voxel lies at `centre`; negative spacing flips an axis."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = np.asarray(centre) - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


def world(affine, shape) -> np.ndarray:
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


SPACING = st.tuples(*[st.floats(0.8, 3.0).flatmap(lambda s: st.sampled_from([s, -s]))] * 3)
ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)


@settings(max_examples=30, deadline=None)
@given(from_angles=ANGLES, from_spacing=SPACING, to_angles=ANGLES, to_spacing=SPACING)
def test_linear_function_of_world_coordinates(from_angles, from_spacing, to_angles, to_spacing) -> None:
    shape, target_shape = (24, 22, 20), (5, 6, 7)
    affine = grid(from_angles, from_spacing, (3.0, -8.0, 12.0), shape)
    slope = np.array([0.7, -1.3, 0.4])
    volume = Volume(world(affine, shape) @ slope + 5, affine)
    target = grid(to_angles, np.asarray(to_spacing) * 0.25, (3.0, -8.0, 12.0), target_shape)
    moved = resample(volume, target, target_shape)
    assert np.allclose(moved.array, world(target, target_shape) @ slope + 5, atol=1e-9)
    assert np.array_equal(moved.affine, target)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_landmark_of_an_oblique_left_handed_volume_stays_in_place(order: int) -> None:
    shape = (30, 32, 28)
    affine = grid((20, -35, 50), (-1.0, 1.2, 2.0), (4.0, 5.0, 6.0), shape)
    assert np.linalg.det(affine) < 0
    landmark = np.array([6.5, 2.0, 9.0])
    distance = np.linalg.norm(world(affine, shape) - landmark, axis=-1)
    volume = Volume(np.exp(-(distance**2) / 18).astype(np.float32), affine)
    target = grid((0, 0, 0), (1.0, 1.0, 1.0), landmark, (21, 21, 21))
    moved = resample(volume, target, (21, 21, 21), order=order)
    weight = moved.array.astype(float)
    centre = np.tensordot(weight, world(target, (21, 21, 21)), 3) / weight.sum()
    assert np.linalg.norm(centre - landmark) < 0.2
    assert moved.array.dtype == np.float32


def test_nearest_order_against_a_plain_loop() -> None:
    rng = np.random.default_rng(3)
    volume = Volume(
        rng.integers(0, 5, (6, 7, 5)).astype(np.uint8), grid((5, 10, 15), (1, -2, 1.5), (0, 0, 0), (6, 7, 5))
    )
    target_shape = (8, 8, 8)
    target = grid((0, 0, 30), (1.3, 1.1, -0.9), (0.5, 0.2, 0), target_shape)
    expected = np.full(target_shape, 9, np.uint8)
    for index in np.ndindex(*target_shape):
        source = np.linalg.inv(volume.affine) @ target @ [*index, 1]
        nearest = np.floor(source[:3] + 0.5).astype(int)
        if ((nearest >= 0) & (nearest < volume.shape)).all():
            expected[index] = volume.array[tuple(nearest)]
    assert np.array_equal(resample(volume, target, target_shape, order=0, fill=9).array, expected)


def test_identical_grid_is_returned_as_it_is() -> None:
    volume = Volume(np.random.default_rng(0).normal(size=(4, 5, 6)), grid((1, 2, 3), (1, 1, 2), (0, 0, 0), (4, 5, 6)))
    assert resample_like(volume, volume) is volume


def test_flipped_copy_of_a_grid_gives_the_flipped_array() -> None:
    volume = Volume(np.random.default_rng(0).normal(size=(4, 5, 6)), np.diag([1.0, 2.0, 3.0, 1.0]))
    flipped = np.diag([-1.0, 2.0, 3.0, 1.0])
    flipped[0, 3] = 3.0
    assert np.allclose(resample(volume, flipped, (4, 5, 6)).array, volume.array[::-1])


def test_integers_round_and_booleans_stay_boolean() -> None:
    half = np.eye(4)
    half[0, 3] = 0.4
    stairs = Volume(np.array([[[0]], [[10]]], np.int16), np.eye(4))
    assert resample(stairs, half, (1, 1, 1)).array.tolist() == [[[4]]]
    mask = Volume(np.array([[[False]], [[True]]]), np.eye(4))
    moved = resample(mask, half, (2, 1, 1), order=0)
    assert moved.array.dtype == np.bool_
    assert moved.array.ravel().tolist() == [False, True]


def test_fill_outside() -> None:
    far = np.eye(4)
    far[0, 3] = 100
    assert (resample(Volume(np.ones((2, 2, 2)), np.eye(4)), far, (2, 2, 2), fill=-7.0).array == -7).all()


def test_same_grid_looks_at_the_far_corner() -> None:
    volume = Volume(np.zeros((101, 2, 2)), np.eye(4))
    stretched = np.diag([1.002, 1.0, 1.0, 1.0])
    assert largest_shift(volume.affine, stretched, volume.shape) == pytest.approx(0.2)
    assert same_grid(volume, stretched, (101, 2, 2), within_mm=0.21)
    assert not same_grid(volume, stretched, (101, 2, 2), within_mm=0.19)
    assert not same_grid(volume, volume.affine, (100, 2, 2))


@pytest.mark.parametrize("order", [0, 1, 3])
def test_no_border_is_lost(order: int) -> None:
    """Rounding must not push the outermost voxels outside, nor a finer grid lose half a voxel."""
    volume = Volume(np.full((6, 6, 6), 5.0), grid((33, 12, -71), (1.1, -0.9, 1.3), (1, 2, 3), (6, 6, 6)))
    nudged = volume.affine.copy()
    nudged[:3, 3] -= 1e-9
    assert np.allclose(resample(volume, nudged, (6, 6, 6), order, fill=-1).array, 5)
    halves = volume.affine @ np.array([[0.5, 0, 0, -0.25], [0, 0.5, 0, -0.25], [0, 0, 0.5, -0.25], [0, 0, 0, 1]])
    assert np.allclose(resample(volume, halves, (12, 12, 12), order, fill=-1).array, 5)
