"""Components against a flood fill; sizes, places and numbers by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slicerxai.data.lesions import find_lesions, label_components, label_lesions, nearest_lesion
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

AFFINE = np.array([[-2.0, 0, 0, 50], [0, 0, 1.5, -20], [0, 1.0, 0, 7], [0, 0, 0, 1]])


def flood_fill(mask: np.ndarray) -> list[frozenset]:
    """Components over 26 neighbours, the slow way."""
    left = {tuple(index) for index in np.argwhere(mask)}
    components = []
    while left:
        queue = [left.pop()]
        found = set(queue)
        while queue:
            i, j, k = queue.pop()
            near = {(i + a, j + b, k + c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)} & left
            left -= near
            found |= near
            queue += near
        components.append(frozenset(found))
    return components


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), density=st.floats(0, 0.3), smallest=st.integers(1, 4))
def test_components_against_flood_fill(seed: int, density: float, smallest: int) -> None:
    mask = np.random.default_rng(seed).random((6, 7, 5)) < density
    labelled, count = label_components(mask, smallest)
    expected = {component for component in flood_fill(mask) if len(component) >= smallest}
    found = [frozenset(map(tuple, np.argwhere(labelled == number))) for number in range(1, count + 1)]
    assert set(found) == expected
    assert len(found) == len(expected)
    assert [len(one) for one in found] == sorted((len(one) for one in found), reverse=True)


def labelmap() -> Volume:
    array = np.zeros((10, 11, 12), np.uint8)
    array[1, 1, 1] = array[2, 2, 2] = 1  # joined by a corner: 2 voxels, 6 mm³
    array[6, 5:9, 3] = 1  # 4 voxels
    array[9, 10, 11] = 1  # 1 voxel of 3 mm³: the minimum
    array[0, 8, 8] = 2
    return Volume(array, AFFINE)


def test_lesions_by_hand() -> None:
    probability = labelmap().array * 0.5
    probability[1, 1, 1] = 1.0
    lesions = find_lesions(labelmap(), Volume(probability, AFFINE))
    assert [lesion.number for lesion in lesions] == [1, 2, 3]
    assert [lesion.voxels for lesion in lesions] == [4, 2, 1]
    assert [lesion.volume_ml for lesion in lesions] == pytest.approx([0.012, 0.006, 0.003])
    assert lesions[0].centroid == pytest.approx((50 - 12, -20 + 4.5, 7 + 6.5))
    assert lesions[1].centroid == pytest.approx((50 - 3, -20 + 2.25, 7 + 1.5))
    assert [lesion.mean_probability for lesion in lesions] == pytest.approx([0.5, 0.75, 0.5])


def test_numbers_agree_with_the_labelled_volume() -> None:
    labelled = label_lesions(labelmap())
    assert labelled.array[6, 5, 3] == 1
    assert labelled.array[2, 2, 2] == labelled.array[1, 1, 1] == 2
    assert labelled.array[9, 10, 11] == 3
    assert labelled.array[0, 8, 8] == 0


def test_minimum_volume_and_label() -> None:
    assert len(find_lesions(labelmap(), minimum_mm3=3.1)) == 2
    assert len(find_lesions(labelmap(), label=2)) == 1
    assert len(find_lesions(labelmap(), label=None)) == 4
    assert find_lesions(labelmap(), label=7) == []
    assert find_lesions(labelmap())[0].mean_probability is None


def test_probability_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"\(2, 2, 2\)"):
        find_lesions(labelmap(), Volume(np.zeros((2, 2, 2)), AFFINE))


def test_nearest_lesion() -> None:
    labelled = label_lesions(labelmap())
    inside = AFFINE @ [6, 8, 3, 1]
    assert nearest_lesion(labelled, inside[:3]) == 1
    beside = AFFINE @ [9, 10, 11, 1] + [1, 1, 1, 0]
    assert nearest_lesion(labelled, list(beside[:3])) == 3


@pytest.mark.parametrize(
    ("point", "says"),
    [
        ((500.0, 0.0, 0.0), "no lesion within 10 mm"),
        ((0.0, 0.0), "three finite"),
        ((0.0, 0.0, float("nan")), "three finite"),
    ],
)
def test_nearest_lesion_says_why_not(point, says: str) -> None:
    with pytest.raises(InputError, match=says):
        nearest_lesion(label_lesions(labelmap()), point)


def test_nearest_lesion_of_none() -> None:
    with pytest.raises(InputError, match="no lesion to choose from"):
        nearest_lesion(Volume(np.zeros((3, 3, 3), np.int32), AFFINE), (0, 0, 0))
