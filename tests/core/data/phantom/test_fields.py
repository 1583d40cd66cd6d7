from __future__ import annotations

import numpy as np
import pytest

from slicerxai.data.phantom.fields import smooth_field


def _slow(seed: int, shape: tuple[int, int, int], spacing: float, scale: float) -> np.ndarray:
    """Cubic B-splines on a lattice, one voxel at a time (Unser, IEEE SPM 1999, eq. 2)."""

    def beta(t: float) -> float:
        t = abs(t)
        return 2 / 3 - t * t + t**3 / 2 if t < 1 else (2 - t) ** 3 / 6 if t < 2 else 0.0

    knots = [int(np.ceil(np.ceil(n * spacing / 8) * 8 / scale)) + 4 for n in shape]
    values = np.random.default_rng(seed).standard_normal(knots, dtype=np.float32)
    out = np.zeros(shape)
    for voxel in np.ndindex(*shape):
        for knot in np.ndindex(*knots):
            weight = np.prod([beta(v * spacing / scale - (k - 1)) for v, k in zip(voxel, knot, strict=True)])
            out[voxel] += weight * values[knot]
    return out / 0.33


def test_equals_a_plain_b_spline() -> None:
    fast = smooth_field(np.random.default_rng(3), (7, 6, 5), 2.0, 9.0)
    np.testing.assert_allclose(fast, _slow(3, (7, 6, 5), 2.0, 9.0), atol=1e-4)


def test_is_the_same_field_on_a_finer_grid() -> None:
    coarse = smooth_field(np.random.default_rng(4), (24, 32, 40), 2.0, 12.0)
    fine = smooth_field(np.random.default_rng(4), (48, 64, 80), 1.0, 12.0)
    np.testing.assert_allclose(fine[::2, ::2, ::2], coarse, atol=1e-4)


def test_has_about_unit_standard_deviation() -> None:
    field = smooth_field(np.random.default_rng(5), (80, 80, 80), 1.0, 6.0)
    assert field.std() == pytest.approx(1.0, abs=0.15)
    assert abs(field.mean()) < 0.15
