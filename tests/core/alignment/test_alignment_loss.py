"""Eq. 3 against its plain sum."""

import numpy as np
import pytest
import torch

from slicerxai.alignment.alignment_loss import off_mask, off_mask_share


def slow(change, mask):
    off = on = 0.0
    for place, value in np.ndenumerate(change):
        if mask[(0, *place[1:])]:
            on += abs(value)
        else:
            off += abs(value)
    return off, on


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 2)])
def test_off_mask_and_share(shape):
    change = torch.randn(3, 2, *shape, dtype=torch.float64)
    mask = torch.rand(3, 1, *shape) > 0.5
    for row in range(3):
        off, on = slow(change[row].numpy(), mask[row].numpy())
        assert off_mask(change, mask)[row].item() == pytest.approx(off)
        assert off_mask_share(change, mask)[row].item() == pytest.approx(off / (on + off))


def test_no_change_has_no_share_and_no_gradient():
    change = torch.zeros(2, 1, 3, requires_grad=True)
    share = off_mask_share(change, torch.tensor([[[1, 0, 0]]] * 2))
    share.sum().backward()
    assert torch.equal(share, torch.zeros(2))
    assert torch.equal(change.grad, torch.zeros(2, 1, 3))
