from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from slicerxai.errors import Cancelled
from slicerxai.models.sliding_window import blended_logits, importance_map, occupied, patch_grid

CPU = torch.device("cpu")


@given(
    shape=st.tuples(*[st.integers(8, 40)] * 3),
    patch=st.tuples(*[st.integers(1, 8)] * 3),
    overlap=st.floats(0, 0.9),
)
def test_patches_cover_every_voxel_inside_the_volume(shape, patch, overlap) -> None:
    count = np.zeros(shape, dtype=int)
    patches = patch_grid(shape, patch, overlap)
    for where in patches:
        assert count[where].shape == patch
        count[where] += 1
    assert (count > 0).all()
    assert len(set(map(str, patches))) == len(patches)


@given(length=st.integers(9, 200), patch=st.integers(4, 9), overlap=st.floats(0, 0.8))
def test_neighbours_share_at_least_the_overlap(length, patch, overlap) -> None:
    starts = [where[0].start for where in patch_grid((length, 1, 1), (patch, 1, 1), overlap)]
    # steps are whole voxels, hence up to one voxel less than the exact share at small patches
    assert all(b - a <= max(1, patch * (1 - overlap)) + 1 for a, b in pairwise(starts))
    assert starts[0] == 0
    assert starts[-1] == length - patch


def test_a_patch_as_large_as_the_volume_is_alone() -> None:
    assert patch_grid((4, 5, 6), (4, 5, 6), 0.5) == [(slice(0, 4), slice(0, 5), slice(0, 6))]


@pytest.mark.parametrize(
    ("shape", "patch", "overlap", "match"),
    [
        ((4, 4, 4), (5, 4, 4), 0.5, "smaller"),
        ((4, 4, 4), (4, 4, 4), 1.0, "overlap"),
        ((4, 4, 4), (4, 4, 4), -0.1, "overlap"),
    ],
)
def test_bad_patches(shape, patch, overlap, match) -> None:
    with pytest.raises(ValueError, match=match):
        patch_grid(shape, patch, overlap)


def test_importance_is_a_gaussian() -> None:
    size = (6, 8, 5)
    expected = np.zeros(size)
    for i in range(6):
        for j in range(8):
            for k in range(5):
                squared = ((i - 2.5) / (6 / 8)) ** 2 + ((j - 3.5) / 1) ** 2 + ((k - 2) / (5 / 8)) ** 2
                expected[i, j, k] = np.exp(-squared / 2)
    expected = np.maximum(expected / expected.max(), 1e-3)
    np.testing.assert_allclose(importance_map(size).numpy(), expected, rtol=1e-5)


def test_blending_is_the_weighted_mean_of_patches() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.Tanh())
    image = torch.randn(2, 9, 8, 11)
    patch = (6, 6, 6)
    total, weights = np.zeros((3, 9, 8, 11)), np.zeros((9, 8, 11))
    weight = importance_map(patch).numpy()
    for i in (0, 3):
        for j in (0, 2):
            for k in (0, 2, 5):
                with torch.no_grad():
                    logits = network(image[None, :, i : i + 6, j : j + 6, k : k + 6])[0].numpy()
                total[:, i : i + 6, j : j + 6, k : k + 6] += logits * weight
                weights[i : i + 6, j : j + 6, k : k + 6] += weight
    found, covered = blended_logits(network, image, patch, 0.5, CPU)
    np.testing.assert_allclose(found.numpy(), total / weights, atol=1e-5)
    assert covered.all()


def test_patches_without_image_are_skipped_and_give_zero() -> None:
    class Count(nn.Module):
        calls = 0

        def forward(self, x):
            Count.calls += 1
            return torch.ones(1, 2, *x.shape[2:])

    image = torch.zeros(1, 4, 4, 12)
    image[0, 0, 0, 0] = 1
    patches = patch_grid((4, 4, 12), (4, 4, 4), 0.0)
    assert occupied(image, patches) == patches[:1]
    logits, covered = blended_logits(Count(), image, (4, 4, 4), 0.0, CPU)
    assert Count.calls == 1
    assert covered[..., :4].all()
    assert not covered[..., 4:].any()
    assert (logits[..., :4] == 1).all()
    assert (logits[..., 4:] == 0).all()
    with pytest.raises(ValueError, match="zero everywhere"):
        blended_logits(Count(), torch.zeros(1, 4, 4, 4), (4, 4, 4), 0.0, CPU)


def test_progress_can_cancel_between_patches() -> None:
    seen: list[float] = []

    def stop(fraction: float, message: str) -> None:
        seen.append(fraction)
        if len(seen) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        blended_logits(nn.Identity(), torch.ones(1, 4, 4, 12), (4, 4, 4), 0.0, CPU, stop)
    assert seen == [0, 1 / 3]
