"""Random changes of training patches: what differs between scanners, protocols and skull-strippers.

Intensities are normalised, zero at the median and outside the brain. Every function takes its randomness from
a generator, so that a step can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional

from slicerxai.models.intensity import SIGNAL


def uniform(generator: Generator, low: float, high: float) -> float:
    """One number from the uniform distribution on [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def random_grid(generator: Generator, centre: Sequence[float], patch: int, strength: float) -> Tensor:
    """Voxel coordinates of a patch about a centre: mirrored left-right in half of the draws, and in two thirds of them
    rotated by up to 15° about each axis and scaled by up to 20 % at strength 1.

    Returns:
        Shape (P, P, P, 3), in voxels (i, j, k) of the source volume; whole numbers when only mirrored.
    """
    line = torch.arange(patch, dtype=torch.float32) - patch // 2
    offsets = torch.stack(torch.meshgrid(line, line, line, indexing="ij"), dim=-1)
    matrix = torch.eye(3)
    if uniform(generator, 0, 1) < 2 / 3 and strength > 0:
        for axis in range(3):
            matrix = matrix @ _rotation(axis, math.radians(uniform(generator, -15, 15)) * strength)
        matrix = matrix * math.exp(uniform(generator, -0.2, 0.2) * strength)
    if uniform(generator, 0, 1) < 0.5 and strength > 0:
        matrix = matrix @ torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
    return offsets @ matrix.T + torch.tensor([round(c) for c in centre], dtype=torch.float32)


def _rotation(axis: int, angle: float) -> Tensor:
    matrix = torch.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[a, a] = matrix[b, b] = math.cos(angle)
    matrix[a, b], matrix[b, a] = -math.sin(angle), math.sin(angle)
    return matrix


def sample(volume: Tensor, grid: Tensor) -> Tensor:
    """Trilinear values of a volume (C, I, J, K) at voxel coordinates (P, Q, R, 3); zero outside. Shape (C, P, Q, R)."""
    size = torch.tensor(volume.shape[1:], dtype=torch.float32)
    normalised = (2 * grid + 1) / size - 1
    return functional.grid_sample(volume[None], normalised.flip(-1)[None], mode="bilinear", align_corners=False)[0]


def augment(generator: Generator, image: Tensor, lesion: Tensor, strength: float) -> Tensor:
    """A patch as another scanner could have shown it.

    Args:
        image: (C, I, J, K), zero outside the brain.
        lesion: (I, J, K), share of lesion in each voxel, in [0, 1].
        strength: 0 leaves the patch as it is.
    """
    if strength == 0:
        return image
    brain = image != 0
    for change, probability in _CHANGES:
        if uniform(generator, 0, 1) < probability:
            image = torch.stack([change(generator, channel, lesion, strength) for channel in image])
    return image * brain


def lesion_contrast(generator: Generator, image: Tensor, lesion: Tensor, strength: float) -> Tensor:
    """Lesions fainter or brighter by up to a spread, unevenly."""
    field = _smooth_field(generator, image.shape, cells=6)
    return image + lesion * (uniform(generator, -0.6, 1.2) + 0.5 * field) * strength


def gamma(generator: Generator, image: Tensor, lesion: Tensor, strength: float) -> Tensor:
    """Intensity to a power between 1/1.6 and 1.6, on the positive scale, median and spread near the median kept."""
    positive = (image / SIGNAL + 1).clamp(min=0)
    power = math.exp(uniform(generator, -0.47, 0.47) * strength)
    return (positive**power - 1) * (SIGNAL / power)


def bias_field(generator: Generator, image: Tensor, lesion: Tensor, strength: float) -> Tensor:
    """Smooth multiplicative shading of up to about 15 %."""
    field = torch.exp(_smooth_field(generator, image.shape, cells=2) * uniform(generator, 0, 0.08) * strength)
    return (image + SIGNAL) * field - SIGNAL


def contrast(generator: Generator, image: Tensor, lesion: Tensor, strength: float) -> Tensor:
    """Scale and shift of the contrast, as other protocols, lesion loads and brain masks cause."""
    return image * math.exp(uniform(generator, -0.35, 0.35) * strength) + uniform(generator, -0.25, 0.25) * strength


def low_resolution(generator: Generator, image: Tensor, lesion: Tensor, strength: float) -> Tensor:
    """Slices up to four times as thick along one axis: averaged, then interpolated back."""
    axis = int(uniform(generator, 0, 3))
    factor = 1 + uniform(generator, 0.3, 3.0) * min(strength, 1)
    coarse = list(image.shape)
    coarse[axis] = max(4, round(coarse[axis] / factor))
    small = functional.interpolate(image[None, None], size=coarse, mode="area")
    return functional.interpolate(small, size=image.shape, mode="trilinear", align_corners=False)[0, 0]


def sharpness(generator: Generator, image: Tensor, lesion: Tensor, strength: float) -> Tensor:
    """Blurred, or sharpened by adding what a blur takes away."""
    blurred = functional.avg_pool3d(image[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
    return image + uniform(generator, -0.9, 0.9) * strength * (image - blurred)


def noise(generator: Generator, image: Tensor, lesion: Tensor, strength: float) -> Tensor:
    """White Gaussian noise of up to 0.4 spreads."""
    return image + torch.randn(image.shape, generator=generator) * uniform(generator, 0, 0.4) * strength


_Change = Callable[[Generator, Tensor, Tensor, float], Tensor]
_CHANGES: tuple[tuple[_Change, float], ...] = (
    (lesion_contrast, 0.5),
    (sharpness, 0.5),
    (low_resolution, 0.3),
    (gamma, 0.5),
    (bias_field, 0.5),
    (noise, 0.5),
    (contrast, 0.5),
)
"""In the order in which a scanner would cause them, each with the share of patches that get it."""


def _smooth_field(generator: Generator, shape: Sequence[int], cells: int) -> Tensor:
    """Standard normal values on a coarse grid, interpolated to the shape."""
    coarse = torch.randn(1, 1, *([cells + 1] * 3), generator=generator)
    return functional.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)[0, 0]
