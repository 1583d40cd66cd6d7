"""Every score against a slow plain version, and the policy for empty masks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

from slicerxai.data.metrics import dice, evaluate, lesion_scores, surface_distances
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

PAIRS = settings(max_examples=25, deadline=None)
SHEARED = np.array([[0.9, 0.2, 0, 3], [0, 1.5, 0, -4], [0.1, 0, 3.0, 9], [0, 0, 0, 1]])


def blobs(seed: int, density: float) -> np.ndarray:
    return np.random.default_rng(seed).random((6, 5, 4)) < density


@PAIRS
@given(seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)), density=st.floats(0.05, 0.6))
def test_dice(seeds, density) -> None:
    one, other = (blobs(seed, density) for seed in seeds)
    a, b = ({tuple(index) for index in np.argwhere(mask)} for mask in (one, other))
    expected = 2 * len(a & b) / (len(a) + len(b)) if a or b else 1.0
    assert dice(one, other) == pytest.approx(expected)
    assert dice(one.astype(np.uint8) * 255, other.astype(np.uint8)) == pytest.approx(expected)


def components(mask: np.ndarray) -> list[set]:
    left = {tuple(index) for index in np.argwhere(mask)}
    found = []
    while left:
        grown, queue = set(), [left.pop()]
        while queue:
            voxel = queue.pop()
            grown.add(voxel)
            near = {other for other in left if max(abs(p - q) for p, q in zip(voxel, other, strict=True)) <= 1}
            left -= near
            queue += near
        found.append(grown)
    return found


@PAIRS
@given(
    seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)),
    density=st.floats(0.02, 0.2),
    smallest=st.integers(1, 3),
    overlap=st.integers(1, 2),
)
def test_lesion_scores(seeds, density, smallest, overlap) -> None:
    one, other = (blobs(seed, density) for seed in seeds)
    predicted, wanted = ([c for c in components(mask) if len(c) >= smallest] for mask in (one, other))
    all_predicted, all_wanted = set().union(*predicted), set().union(*wanted)
    true = sum(len(c & all_wanted) >= overlap for c in predicted)
    found = sum(len(c & all_predicted) >= overlap for c in wanted)
    scores = lesion_scores(one, other, voxel_volume=2.0, minimum_mm3=2.0 * smallest, overlap_voxels=overlap)
    assert (scores.predicted, scores.reference) == (len(predicted), len(wanted))
    assert (scores.true_predicted, scores.found_reference) == (true, found)
    if predicted and wanted:
        precision, recall = true / len(predicted), found / len(wanted)
        assert scores.precision == pytest.approx(precision)
        assert scores.recall == pytest.approx(recall)
        assert scores.f1 == pytest.approx(2 * precision * recall / (precision + recall) if precision + recall else 0)


def test_merging_lesions_counts_each_found() -> None:
    reference = np.zeros((9, 5, 5), bool)
    reference[1, 1:3, 1:3] = reference[5, 1:3, 1:3] = True
    prediction = np.zeros_like(reference)
    prediction[1:6, 1:3, 1:3] = True
    scores = lesion_scores(prediction, reference)
    assert (scores.predicted, scores.reference, scores.found_reference) == (1, 2, 2)
    assert scores.f1 == 1.0


def surface(mask: np.ndarray) -> list[tuple]:
    """Voxels with a face neighbour outside."""
    inside = {tuple(index) for index in np.argwhere(mask)}
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    return [v for v in inside if any(tuple(np.add(v, step)) not in inside for step in steps)]


@PAIRS
@given(seeds=st.tuples(st.integers(0, 999), st.integers(0, 999)), density=st.floats(0.1, 0.9))
def test_surface_distances(seeds, density) -> None:
    one, other = (blobs(seed, density) for seed in seeds)
    if not (one.any() and other.any()):
        return
    a, b = ([SHEARED[:3, :3] @ v for v in surface(mask)] for mask in (one, other))
    there = [min(np.linalg.norm(p - q) for q in b) for p in a]
    back = [min(np.linalg.norm(p - q) for p in a) for q in b]
    found = surface_distances(one, other, SHEARED)
    assert found.average == pytest.approx((sum(there) + sum(back)) / (len(there) + len(back)))
    assert found.hd95 == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


def test_surface_distances_agree_with_monai() -> None:
    import torch

    index = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"))
    one = ((index - 9) ** 2).sum(0) < 36
    other = ((index - np.array([11, 9, 8])[:, None, None, None]) ** 2).sum(0) < 25
    spacing = (1.0, 1.5, 2.0)
    found = surface_distances(one, other, np.diag([*spacing, 1.0]))
    batches = [torch.from_numpy(mask)[None, None].float() for mask in (one, other)]
    hd95 = compute_hausdorff_distance(*batches, include_background=True, percentile=95, spacing=spacing)
    average = compute_average_surface_distance(*batches, include_background=True, symmetric=True, spacing=spacing)
    assert found.hd95 == pytest.approx(float(hd95), rel=1e-4)
    assert found.average == pytest.approx(float(average), rel=1e-4)


def volume(mask: np.ndarray, affine: np.ndarray = SHEARED) -> Volume:
    return Volume(mask.astype(np.uint8), affine)


def block(size: int = 3) -> np.ndarray:
    mask = np.zeros((8, 8, 8), bool)
    mask[:size, :size, :size] = True
    return mask


def test_both_empty_is_perfect() -> None:
    scores = evaluate(volume(block(0)), volume(block(0)))
    assert (scores.dice, scores.lesions.f1, scores.lesions.precision, scores.lesions.recall) == (1, 1, 1, 1)
    assert (scores.absolute_volume_error_ml, scores.relative_volume_error) == (0, 0)
    assert (scores.average_surface_distance, scores.hd95) == (0, 0)


def test_empty_prediction() -> None:
    scores = evaluate(volume(block(0)), volume(block()))
    assert (scores.dice, scores.lesions.f1, scores.lesions.precision, scores.lesions.recall) == (0, 0, None, 0)
    assert scores.relative_volume_error == -1
    assert (scores.average_surface_distance, scores.hd95) == (None, None)


def test_empty_reference() -> None:
    scores = evaluate(volume(block()), volume(block(0)))
    assert (scores.dice, scores.lesions.f1, scores.lesions.precision, scores.lesions.recall) == (0, 0, 0, None)
    assert scores.relative_volume_error is None
    assert (scores.average_surface_distance, scores.hd95) == (None, None)


def test_volume_errors_have_sign_and_units() -> None:
    scores = evaluate(volume(block(2)), volume(block(4)))
    voxel_ml = abs(np.linalg.det(SHEARED[:3, :3])) / 1000
    assert scores.absolute_volume_error_ml == pytest.approx((64 - 8) * voxel_ml)
    assert scores.relative_volume_error == pytest.approx(-56 / 64)


def test_lesions_below_three_cubic_millimetres_do_not_count() -> None:
    one_mm = np.eye(4)
    speck = np.zeros((8, 8, 8), bool)
    speck[6, 6, 5:7] = True
    scores = evaluate(volume(block() | speck, one_mm), volume(block(), one_mm))
    assert scores.lesions.predicted == 1
    assert scores.lesions.f1 == 1


def test_different_grids_and_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="different grids"):
        evaluate(volume(block()), volume(block(), np.eye(4)))
    with pytest.raises(InputError, match="shape"):
        dice(block(), block()[:4])
