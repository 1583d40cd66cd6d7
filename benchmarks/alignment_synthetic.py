"""Images whose label is decided by the texture inside a masked blob, and a symbol in the corner beside it.

48 × 48 pixels in [0, 1]. Background: smooth noise (standard deviation 0.06) and white noise (0.03) about 0.35. Blob: an
ellipse with half axes of 6 to 9 pixels at a random place and angle, mean 0.6, with stripes of period 4 pixels and
amplitude 0.12 at a random phase and white noise (0.08); label 1: stripes along one diagonal, 0: along the other. Size,
place, brightness and angle of the blob say nothing about the label, the background nothing either. The symbol is the
label in training, and drawn by lot in the validation and the test images. About one blob in 200 reaches into the
corner of 7 × 7 pixels with the symbol.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from benchmarks.alignment_data import SIZE, Part, Symbol, Task, drawn
from slicerxai.alignment.masked_images import MaskedArrays

MARGIN: Final = 12
"""Pixels between the centre of a blob and the image's edge, at least."""


def synthetic_task(seed: int, counts: tuple[int, int, int], symbol: Symbol = "plus_minus") -> Task:
    """Training, validation and test images of a seed; different seeds share nothing.

    Args:
        counts: images of each part.
    """
    return Task(*(_part(count, 1000 * seed + part, symbol, part == 0) for part, count in enumerate(counts)))


def _part(count: int, seed: int, symbol: Symbol, coincides: bool) -> Part:
    generator = Generator().manual_seed(seed)
    truth = torch.rand(count, generator=generator) < 0.5
    images, masks = _blobs(truth, generator)
    lot = torch.rand(count, generator=generator) < 0.5
    signs = (truth if coincides else lot).numpy()
    return Part(
        arrays=MaskedArrays(drawn(images, signs, symbol), truth[:, None].float(), masks),
        attributes=torch.zeros(count, 0),
        signs=signs,
        area=masks.flatten(1).sum(1).double().numpy(),
        flipped=drawn(images, ~signs, symbol),
    )


def _blobs(truth: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Images and masks, both (N, 1, 48, 48)."""
    count = len(truth)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

    rows, columns = torch.meshgrid(torch.arange(SIZE).float(), torch.arange(SIZE).float(), indexing="ij")
    down, right = rows - uniform(MARGIN, SIZE - MARGIN), columns - uniform(MARGIN, SIZE - MARGIN)
    angle = uniform(0, math.pi)
    along = (down * angle.cos() + right * angle.sin()) / uniform(6, 9)
    across = (right * angle.cos() - down * angle.sin()) / uniform(6, 9)
    masks = (along**2 + across**2 <= 1).float()
    direction = torch.where(truth, 1.0, -1.0)[:, None, None]
    stripes = torch.sin(2 * math.pi * (down + direction * right) / math.sqrt(2) / 4 + uniform(0, 2 * math.pi))
    white = torch.randn(count, SIZE, SIZE, generator=generator)
    ground = 0.35 + 0.06 * _smooth_noise(count, generator) + 0.03 * white
    images = torch.where(masks > 0, 0.6 + 0.12 * stripes + 0.08 * white, ground)
    return images.clamp(0, 1)[:, None], masks[:, None]


def _smooth_noise(count: int, generator: Generator) -> Tensor:
    """Gaussian noise of standard deviation 1, smoothed by a Gaussian of 2 pixels, (N, 48, 48)."""
    line = torch.from_numpy(np.exp(-0.5 * (np.arange(-8, 9) / 2) ** 2)).float()
    line /= line.square().sum().sqrt()
    noise = torch.randn(count, 1, SIZE + 16, SIZE + 16, generator=generator)
    return functional.conv2d(functional.conv2d(noise, line[None, None, None]), line[None, None, :, None])[:, 0]
