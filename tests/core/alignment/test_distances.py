"""Distances and proximal maps against plain definitions."""

import numpy as np
import pytest
import torch

from slicerxai.alignment.distances import FLOOR, distance, feature_scale, prox

NAMES = ("l1", "l2", "scaled_l1", "scaled_l2")


@pytest.mark.parametrize("name", NAMES)
def test_distance_is_its_sum(name):
    change, scale = torch.randn(3, 2, 4, 5, dtype=torch.float64), torch.rand(2, 4, 5, dtype=torch.float64) + 0.5
    scale = scale if name.startswith("scaled") else None
    slow = []
    for image in change.numpy():
        total = 0.0
        for place, value in np.ndenumerate(image):
            size = abs(value) if name.endswith("l1") else value**2
            total += size if scale is None else size / scale.numpy()[place]
        slow.append(total)
    np.testing.assert_allclose(distance(change, name, scale), slow, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_prox_minimises_its_definition(name):
    change = torch.tensor([[[-1.3, 0.2, 0.9]], [[0.01, -0.4, 2.0]]], dtype=torch.float64)
    threshold = torch.tensor([0.25, 0.6], dtype=torch.float64)
    scale = torch.tensor([[0.5, 1.0, 2.0]], dtype=torch.float64) if name.startswith("scaled") else None
    found = prox(change, threshold, name, scale)
    grid = np.linspace(-2.5, 2.5, 500_001)
    for place, value in np.ndenumerate(change.numpy()):
        unit = 1.0 if scale is None else scale.numpy()[place[1:]]
        cost = np.abs(grid) if name.endswith("l1") else grid**2
        best = grid[np.argmin((grid - value) ** 2 / 2 + float(threshold[place[0]]) * cost / unit)]
        assert found[place].item() == pytest.approx(best, abs=1.1e-5)


def test_l1_prox_is_exactly_zero_below_the_threshold():
    change = torch.tensor([[0.1, -0.1, 0.3, -0.3, 0.0]])
    found = prox(change, torch.tensor([0.1]), "l1")
    assert torch.equal(found[0, [0, 1, 4]], torch.zeros(3))
    torch.testing.assert_close(found[0, [2, 3]], torch.tensor([0.2, -0.2]))


@pytest.mark.parametrize("count", [5, 6])
def test_scales_are_median_deviation_and_standard_deviation(count):
    images = torch.randn(count, 1, 3, 4, dtype=torch.float64)
    values = images.numpy()
    mad = np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    np.testing.assert_allclose(feature_scale(images, "scaled_l1"), np.maximum(mad, FLOOR * mad.mean()))
    std = values.std(axis=0)
    np.testing.assert_allclose(feature_scale(images, "scaled_l2"), np.maximum(std, FLOOR * std.mean()))
    assert feature_scale(images, "l1") is None


def test_a_constant_place_can_still_change():
    images = torch.randn(8, 1, 4)
    images[..., 0] = 3.0
    for name in ("scaled_l1", "scaled_l2"):
        scale = feature_scale(images, name)
        assert 0 < scale[0, 0] < scale[0, 1:].min()


@pytest.mark.parametrize("images", [torch.zeros(1, 1, 2), torch.ones(4, 1, 2)])
def test_no_scale_without_variation(images):
    with pytest.raises(ValueError, match="scale"):
        feature_scale(images, "scaled_l2")
