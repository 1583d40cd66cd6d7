from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.saliency.grids import density, mask_on, pad, padding, squeeze_flat, unpad
from slicerxai.saliency.locality import shares

FLIPPED = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -20], [0, 0, 2, 5], [0, 0, 0, 1]])


def test_padding_round_trip():
    tensor = torch.randn(2, 5, 9, 3)
    amounts = padding(tensor.shape[1:], (8, 8, 4))
    padded = pad(tensor, amounts)
    assert padded.shape == (2, 8, 9, 4)
    assert float(padded.sum()) == pytest.approx(float(tensor.sum()), rel=1e-5)
    assert torch.equal(unpad(padded, amounts), tensor)


def test_density_integrates_to_the_relevance_whatever_the_spacing():
    relevance = torch.from_numpy(ndimage.gaussian_filter(np.eye(24)[:, :, None] * np.ones(24), 3)).float()
    coarse = Volume(np.zeros((30, 30, 30), dtype=np.float32), FLIPPED)
    working = np.diag([1.0, 1.0, 1.0, 1.0])
    working[:3, 3] = (-5, 0, 20)
    native = density(relevance, working, coarse)
    assert float(native.array.sum()) * native.voxel_volume == pytest.approx(float(relevance.sum()), rel=0.05)


def test_masks_keep_their_place_and_small_ones_survive():
    array = np.zeros((20, 20, 20), dtype=bool)
    array[4, 5, 6] = True
    fine = Volume(array, np.diag([0.5, 0.5, 0.5, 1.0]))
    coarse = mask_on(np.diag([3.0, 3.0, 3.0, 1.0]), (5, 5, 5), fine)
    assert np.argwhere(coarse).tolist() == [[1, 1, 1]]
    far = np.diag([3.0, 3.0, 3.0, 1.0])
    far[:3, 3] = 500
    with pytest.raises(InputError, match="outside"):
        mask_on(far, (5, 5, 5), fine)


def test_flat_networks_get_flat_images():
    volume, flat = torch.zeros(1, 8, 8, 4), torch.zeros(1, 8, 8, 1)
    assert squeeze_flat(flat, nn.Conv2d(1, 1, 3)).shape == (1, 8, 8)
    assert squeeze_flat(volume, nn.Conv3d(1, 1, 3)).shape == volume.shape
    with pytest.raises(InputError, match="single slices"):
        squeeze_flat(volume, nn.Conv2d(1, 1, 3))


def test_shares_equal_a_plain_loop():
    rng = np.random.default_rng(0)
    relevance = Volume(rng.standard_normal((12, 10, 9)).astype(np.float32), np.diag([1.0, 2.0, 3.0, 1.0]))
    numbered = np.zeros((12, 10, 9), dtype=np.int32)
    numbered[2:4, 3, 3:5], numbered[9, 0, 8] = 1, 2
    positive = np.maximum(relevance.array, 0)
    for number, found in enumerate(shares(relevance, numbered), start=1):
        voxels = np.argwhere(numbered == number) * (1, 2, 3)
        near = sum(
            float(positive[index])
            for index in np.ndindex(positive.shape)
            if np.linalg.norm(voxels - np.array(index) * (1, 2, 3), axis=1).min() <= 5
        )
        assert found.near == pytest.approx(near / positive.sum(), rel=1e-5)
        assert found.inside == pytest.approx(positive[numbered == number].sum() / positive.sum(), rel=1e-5)


def test_no_positive_relevance_has_no_share():
    negative = Volume(-np.ones((3, 3, 3), dtype=np.float32), np.eye(4))
    (found,) = shares(negative, np.ones((3, 3, 3), dtype=np.int32))
    assert found.inside is None
    assert found.near is None
