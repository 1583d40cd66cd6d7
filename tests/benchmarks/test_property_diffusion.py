"""Measures of generated slices, on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.property_diffusion_measures import (
    GROWN_PIXELS,
    edited_region,
    excess_brightness,
    rank_correlation,
    similarity_outside,
)


def series() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A noisy slice, four versions in which a square gets brighter, and the head."""
    unchanged = np.random.default_rng(0).normal(0, 0.2, (40, 40))
    head = np.zeros((40, 40), dtype=bool)
    head[4:36, 4:36] = True
    images = np.repeat(unchanged[None], 4, axis=0)
    images[:, 18:22, 18:22] += np.arange(4)[:, None, None]
    return images, unchanged, head


def test_brightness_rises_with_a_lesion_and_ranks_with_it() -> None:
    images, unchanged, head = series()
    measured = excess_brightness(images, head, unchanged)
    assert rank_correlation(range(4), measured) == 1
    assert measured[0] < 0.02 * head.sum()
    assert rank_correlation(range(4), measured[::-1]) == -1
    assert rank_correlation(range(4), np.zeros(4)) == 0


def test_only_changes_outside_the_region_lower_the_similarity() -> None:
    images, unchanged, head = series()
    probability = np.zeros_like(images)
    probability[3, 18:22, 18:22] = 0.9
    truth = np.zeros((40, 40), dtype=bool)
    truth[10, 10] = True
    region = edited_region(probability, truth)
    assert region[18 - GROWN_PIXELS, 20]
    assert region[10, 10]
    assert not region[30, 30]
    wide = edited_region(probability, truth)
    for _ in range(3):  # the windows of SSIM reach further than the region
        wide = edited_region(wide[None].astype(float), truth)
    similar = similarity_outside(images, unchanged, head & ~wide)
    assert similar == pytest.approx(1, abs=1e-3)
    shifted = images.copy()
    shifted[2] += np.random.default_rng(1).normal(0, 0.3, (40, 40))
    assert similarity_outside(shifted, unchanged, head & ~wide)[2] < 0.7
