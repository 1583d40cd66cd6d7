from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.saliency import locality
from slicerxai.saliency.grids import density, mask_on, pad, padding, squeeze_flat, unpad
from slicerxai.saliency.locality import Share, shares

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


@pytest.mark.parametrize("slab", [1, 200, 2**22])
def test_shares_equal_a_plain_loop(slab, monkeypatch):
    monkeypatch.setattr(locality, "SLAB_VOXELS", slab)
    rng = np.random.default_rng(0)
    relevance = Volume(rng.standard_normal((22, 10, 9)).astype(np.float32), np.diag([1.0, 2.0, 3.0, 1.0]))
    numbered = np.zeros((22, 10, 9), dtype=np.int32)
    numbered[2:4, 3, 3:5], numbered[9, 0, 8], numbered[4:20, 8, 1] = 1, 2, 3
    found = shares(relevance, numbered)
    for number, share in enumerate(found.regions, start=1):
        assert share == plain_share(relevance.array, numbered == number)
    assert len(found.regions) == 3
    assert found.together == plain_share(relevance.array, numbered > 0)


def plain_share(relevance: np.ndarray, inside: np.ndarray) -> Share:
    positive = np.maximum(relevance.astype(np.float64), 0)
    voxels = np.argwhere(inside) * (1, 2, 3)
    near = sum(
        float(positive[index])
        for index in np.ndindex(positive.shape)
        if np.linalg.norm(voxels - np.array(index) * (1, 2, 3), axis=1).min() <= 5
    )
    total = positive.sum()
    return Share(pytest.approx(positive[inside].sum() / total), pytest.approx(near / total))  # type: ignore[arg-type]


def test_no_positive_relevance_has_no_share():
    negative = Volume(-np.ones((3, 3, 3), dtype=np.float32), np.eye(4))
    found = shares(negative, np.ones((3, 3, 3), dtype=np.int32))
    assert [*found.regions, found.together] == [Share(None, None)] * 2
