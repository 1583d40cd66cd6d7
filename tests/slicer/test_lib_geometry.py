"""Resampling between grids of any orientation, against a slow plain re-implementation and against the package's own."""

from __future__ import annotations

import numpy as np
import pytest
from XAILib.geometry import lesion_at, resample

from slicerxai.data.resample import resample as package_resample
from slicerxai.data.volume import Volume
from tests.conftest import OBLIQUE_LEFT_HANDED

RAS = np.diag([2.0, 2.0, 2.0, 1.0])
LPS = np.array([[-1.7, 0, 0, 20], [0, -2.1, 0, 25], [0, 0, 2.6, -3], [0, 0, 0, 1]])
LEFT_HANDED = np.array([[1.9, 0, 0, -2], [0, 2.2, 0, -5], [0, 0, -1.4, 17], [0, 0, 0, 1]])
PERMUTED = np.array([[0, 0, 2.3, -4], [1.8, 0, 0, 1], [0, 3.1, 0, -6], [0, 0, 0, 1]])
OBLIQUE = OBLIQUE_LEFT_HANDED.copy()
OBLIQUE[:3, 3] = [16.0, -1.0, -2.0]
AFFINES = {"RAS": RAS, "LPS": LPS, "left-handed": LEFT_HANDED, "permuted": PERMUTED, "oblique": OBLIQUE}
SHAPE, TARGET = (9, 11, 8), (10, 7, 12)


def plain(array: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], to_affine: np.ndarray, order: int):
    """Voxel by voxel, coordinate by coordinate."""
    result = np.zeros(shape)
    for target in np.ndindex(*shape):
        world = to_affine @ [*target, 1]
        place = (np.linalg.inv(affine) @ world)[:3]
        if any(p < -0.5 or p >= n - 0.5 for p, n in zip(place, array.shape, strict=True)):
            continue
        if order == 0:
            result[target] = array[tuple(int(np.floor(p + 0.5)) for p in place)]
            continue
        place = [min(max(p, 0.0), n - 1.0) for p, n in zip(place, array.shape, strict=True)]
        for corner in np.ndindex(2, 2, 2):
            index = [int(np.floor(p)) + c for p, c in zip(place, corner, strict=True)]
            weight = 1.0
            for p, i in zip(place, index, strict=True):
                weight *= max(0.0, 1 - abs(p - i))
            if weight > 0:
                result[target] += weight * array[tuple(index)]
    return result


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("target", AFFINES)
@pytest.mark.parametrize("source", AFFINES)
def test_equals_the_plain_one_and_the_packages(source: str, target: str, order: int) -> None:
    array = np.random.default_rng(3).normal(size=SHAPE)
    # off the voxel faces, where rounding decides between inside and outside
    to_affine = AFFINES[target] + np.array([[0, 0, 0, 0.137], [0, 0, 0, -0.211], [0, 0, 0, 0.173], [0, 0, 0, 0]])
    found = resample(array, AFFINES[source], TARGET, to_affine, order)
    assert (found != 0).sum() > 50
    np.testing.assert_allclose(found, plain(array, AFFINES[source], TARGET, to_affine, order), atol=1e-12)
    expected = package_resample(Volume(array, AFFINES[source]), to_affine, TARGET, order)
    np.testing.assert_allclose(found, expected.array, atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "bool"])
def test_keeps_the_voxel_type_as_the_package_does(dtype: str) -> None:
    array = (np.random.default_rng(4).uniform(0, 1, SHAPE) * (1.9 if dtype == "bool" else 250)).astype(dtype)
    order = 0 if dtype == "bool" else 1
    to_affine = OBLIQUE + 0.01 * np.eye(4)
    to_affine[3] = [0, 0, 0, 1]
    found = resample(array, RAS, TARGET, to_affine, order)
    expected = package_resample(Volume(array, RAS), to_affine, TARGET, order).array
    assert found.dtype == array.dtype == expected.dtype
    np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=1e-6)


def test_same_grid_and_flat_volumes() -> None:
    array = np.random.default_rng(5).integers(0, 9, (4, 5, 1)).astype(np.int16)
    same = resample(array, OBLIQUE, array.shape, OBLIQUE)
    np.testing.assert_array_equal(same, array)
    assert same is not array
    nudged = OBLIQUE @ np.diag([1, 1, 1, 1.0]) + np.array([[0, 0, 0, 1e-9]] * 3 + [[0] * 4])
    np.testing.assert_array_equal(resample(array, OBLIQUE, array.shape, nudged), array)


@pytest.mark.parametrize(
    ("array", "affine", "order", "words"),
    [
        (np.zeros((3, 3)), np.eye(4), 1, "shape"),
        (np.zeros((3, 0, 3)), np.eye(4), 1, "shape"),
        (np.zeros((3, 3, 3)), np.eye(4), 3, "order 3"),
        (np.zeros((3, 3, 3)), np.diag([1, 1, np.inf, 1]), 1, "finite"),
    ],
)
def test_what_is_refused(array: np.ndarray, affine: np.ndarray, order: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        resample(array, np.eye(4), (3, 3, 3), affine, order)


@pytest.mark.parametrize("name", AFFINES)
def test_lesion_at_equals_looking_at_every_voxel(name: str) -> None:
    rng = np.random.default_rng(6)
    affine = AFFINES[name]
    labels = np.where(rng.uniform(size=SHAPE) < 0.02, rng.integers(1, 9, SHAPE), 0)
    answers = []
    for _ in range(60):
        point = (affine @ [*(rng.uniform(-4, 14, 3)), 1])[:3]
        reach = rng.uniform(0.5, 12)
        best, number = np.inf, None
        for index in np.ndindex(*SHAPE):
            if labels[index]:
                distance = np.linalg.norm((affine @ [*index, 1])[:3] - point)
                if distance <= reach and distance < best:
                    best, number = distance, labels[index]
        answers.append(lesion_at(labels, affine, point, reach))
        assert answers[-1] == number
    assert None in answers
    assert len(set(answers)) > 3
