"""The transform against a dense matrix; blocks of neighbours."""

import numpy as np
import pytest
import torch

from slicerxai.interventions.wavelets import HIGH, SYMLET, WaveletTransform, blocks, unblocks


def test_filter_is_orthonormal_with_four_vanishing_moments():
    low, high = np.array(SYMLET), np.array(HIGH)
    for shift in range(0, 8, 2):
        assert sum(low[n] * low[n + shift] for n in range(8 - shift)) == pytest.approx(float(shift == 0), abs=1e-10)
        assert sum(high[n] * low[n + shift] for n in range(8 - shift)) == pytest.approx(0, abs=1e-10)
    for power in range(4):
        assert sum(high[n] * n**power for n in range(8)) == pytest.approx(0, abs=1e-6)


def test_one_axis_against_a_plain_loop():
    values = torch.randn(1, 12, dtype=torch.float64)
    low, details = values[0].tolist(), []
    while len(low) > 3:
        size = len(low)
        details.append([sum(HIGH[n] * low[(2 * k + n) % size] for n in range(8)) for k in range(size // 2)])
        low = [sum(SYMLET[n] * low[(2 * k + n) % size] for n in range(8)) for k in range(size // 2)]
    expected = low + [one for band in reversed(details) for one in band]
    assert WaveletTransform((12,)).forward(values)[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("grid", [(32, 32), (33, 7), (5,), (3, 1), (20, 36, 9)])
def test_orthogonal_on_any_grid(grid):
    transform = WaveletTransform(grid)
    images = torch.randn(2, 3, *grid, dtype=torch.float64)
    found = transform.forward(images)
    assert found.shape[2:] == transform.padded
    assert (found * found).sum().item() == pytest.approx((images * images).sum().item())
    torch.testing.assert_close(transform.inverse(found), images, atol=1e-9, rtol=0)
    covered = torch.zeros(transform.padded)
    for _, place in transform.bands():
        covered[place] += 1
    assert (covered == 1).all()


def test_blocks_hold_neighbours_and_go_back():
    band = torch.arange(2 * 4 * 3).reshape(2, 4, 3)
    found, shape = blocks(band, 2)
    assert found.shape == (2, 2, 6)
    assert found[0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.equal(unblocks(found, shape), band)
