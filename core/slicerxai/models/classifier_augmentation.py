"""Random changes of whole images that keep what a classifier should see, on the device of the batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional

Augmentation = Callable[[Tensor, Generator], Tensor]
"""Changes a batch (B, C, *spatial) at random; the generator is on the CPU."""

BLUR_SIGMA = 1.0
"""Largest standard deviation of the blur, voxels."""


def augmentation(strength: float, spatial_dims: int) -> Augmentation:
    """The augmentation for images of these dimensions.

    Both: rotated by up to 10°, scaled by up to 10 %, moved by up to 4 % of the extent, contrast changed by up to 20 %
    and brightness by up to 0.2 where the image is not zero. Volumes are also mirrored left-right (first axis) in half
    of the draws; single images, whose sides may mean something, are not, but blurred in half of them.

    Args:
        strength: factor of every range; 0 leaves images as they are.
        spatial_dims: 2 or 3.
    """

    def changed(images: Tensor, generator: Generator) -> Tensor:
        if strength == 0:
            return images
        images = altered(images, generator, strength, blur=spatial_dims == 2)
        return moved(images, generator, strength, mirror=spatial_dims == 3)

    return changed


def altered(images: Tensor, generator: Generator, strength: float, *, blur: bool) -> Tensor:
    """The part of `augmentation` that changes values and moves nothing."""
    outside = images == 0
    images = _intensity(images, generator, strength).masked_fill(outside, 0)
    return _blurred(images, generator, strength) if blur else images


def _uniform(generator: Generator, count: int, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _spread(values: Tensor, images: Tensor) -> Tensor:
    """One value for each image, shaped to multiply the batch."""
    return values.to(images.device, images.dtype).reshape(-1, *(1,) * (images.ndim - 1))


def _intensity(images: Tensor, generator: Generator, strength: float) -> Tensor:
    count = len(images)
    scale = torch.exp(_uniform(generator, count, -0.2, 0.2) * strength)
    shift = _uniform(generator, count, -0.2, 0.2) * strength
    return images * _spread(scale, images) + _spread(shift, images)


def _blurred(images: Tensor, generator: Generator, strength: float) -> Tensor:
    """Each image mixed with a Gaussian blur of itself; half of them stay sharp."""
    share = _uniform(generator, len(images), -1, 1).clamp(min=0) * min(strength, 1)
    offsets = torch.arange(-2, 3, dtype=images.dtype, device=images.device)
    line = torch.exp(-0.5 * (offsets / BLUR_SIGMA) ** 2)
    kernel = torch.outer(line, line) / line.sum() ** 2
    channels = images.shape[1]
    padded = functional.pad(images, (2, 2, 2, 2), mode="replicate")
    blurred = functional.conv2d(padded, kernel.expand(channels, 1, 5, 5), groups=channels)
    return images + _spread(share, images) * (blurred - images)


def moved(images: Tensor, generator: Generator, strength: float, *, mirror: bool) -> Tensor:
    """A small affine map of each image (B, C, *spatial); what comes from outside is zero."""
    dims, count = images.ndim - 2, len(images)
    matrices = torch.eye(dims).repeat(count, 1, 1)
    for a in range(dims):
        for b in range(a + 1, dims):
            angle = math.radians(10) * strength * _uniform(generator, count, -1, 1)
            turn = torch.eye(dims).repeat(count, 1, 1)
            turn[:, a, a] = turn[:, b, b] = torch.cos(angle)
            turn[:, a, b], turn[:, b, a] = -torch.sin(angle), torch.sin(angle)
            matrices = matrices @ turn
    matrices = matrices * torch.exp(_uniform(generator, count, -0.1, 0.1) * strength)[:, None, None]
    if mirror:
        sign = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
        matrices[:, :, 0] *= sign[:, None]
    # torch's grids run over the last axis first and from -1 to 1 along each, whatever its length
    extent = torch.tensor(images.shape[2:], dtype=torch.float32)
    matrices = (matrices * extent[None, None, :] / extent[None, :, None]).flip(1, 2)
    shift = 0.08 * strength * (torch.rand(count, dims, 1, generator=generator) - 0.5) * 2
    theta = torch.cat([matrices, shift], dim=2).to(images.device, images.dtype)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
