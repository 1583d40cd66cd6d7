"""Uncertainty of each class's prediction without maps: entropy, test-time augmentation, dropout, ensembles.

High is uncertain everywhere.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from slicerxai.errors import InputError
from slicerxai.progress import Progress, silent

Array = NDArray[np.float64]
BATCH = 16
PUBLISHED_EDGE = 320
"""Pixels along the images of the publication, to which its kernel and padding belong."""


def binary_entropy(probability: Array) -> Array:
    """−p log₂ p − (1 − p) log₂(1 − p), bits (Shu et al. 2024, equation 2); 0 at p = 0 and p = 1."""
    p = np.asarray(probability, np.float64)
    one = np.where(p > 0, p * np.log2(np.where(p > 0, p, 1.0)), 0.0)
    other = np.where(p < 1, (1 - p) * np.log2(np.where(p < 1, 1 - p, 1.0)), 0.0)
    return 0.0 - one - other


@dataclass(frozen=True)
class Copies:
    """How the copies of an image are drawn.

    Attributes:
        rotation: largest angle, degrees, either way; in 3D about an axis drawn for each copy.
        kernel: edge of a box blur, pixels, which every other copy gets.
        padding: largest shift along each axis, pixels: a random crop, of the image's size, of the padded image.
        count: copies of each image.
    """

    rotation: float = 45.0
    kernel: int = 10
    padding: int = 8
    count: int = 10

    def scaled(self, edge: int) -> Copies:
        """Kernel and padding for images of another edge length than those of the publication (320 pixels)."""
        share = min(edge / PUBLISHED_EDGE, 1.0)
        sizes = max(round(self.kernel * share), 2), max(round(self.padding * share), 1)
        return Copies(self.rotation, *sizes, self.count)


def augmentation_spread(
    network: nn.Module,
    images: Tensor,
    device: torch.device,
    *,
    copies: Copies | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Array:
    """Standard deviation of each logit over turned, blurred and shifted copies of the image, (N, L).

    Args:
        network: in eval mode, (B, C, ...) to (B, L).
        images: (N, C, I, J) or (N, C, I, J, K).
        copies: by default the published ones, kernel and padding in proportion to the images' shortest edge.
        seed: all images are turned and shifted alike, so that a reading does not depend on its place in a batch.
    """
    chosen = copies or Copies().scaled(min(images.shape[2:]))
    generator, logits = Generator().manual_seed(seed), []
    for number in range(chosen.count):
        progress(number / chosen.count, f"copy {number + 1} of {chosen.count}")
        logits.append(_logits(network, _copy(images, chosen, blurred=number % 2 == 1, generator=generator), device))
    return np.stack(logits).std(0)


def dropout_entropy(
    network: nn.Module,
    images: Tensor,
    device: torch.device,
    *,
    draws: int = 10,
    seed: int = 0,
    progress: Progress = silent,
) -> Array:
    """Entropy of the mean probability over draws of dropout, bits, (N, L); MONAI Label's epistemic score.

    Raises:
        InputError: the network has no dropout.
    """
    noisy = copy.deepcopy(network)
    layers = [m for m in noisy.modules() if isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0]
    if not layers:
        msg = "score 'mc_dropout' needs a network with dropout, and this one has none; train it with dropout above 0"
        raise InputError(msg)
    for layer in layers:
        layer.train()
    total = np.zeros(0)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for number in range(draws):
            progress(number / draws, f"draw {number + 1} of {draws}")
            drawn = _probability(_logits(noisy, images, device))
            total = drawn if number == 0 else total + drawn
    return binary_entropy(total / draws)


def ensemble_entropy(networks: Sequence[nn.Module], images: Tensor, device: torch.device) -> Array:
    """Entropy of the mean probability of several networks, bits, (N, L).

    Raises:
        InputError: fewer than two networks.
    """
    if len(networks) < 2:
        msg = f"an ensemble needs at least two networks, got {len(networks)}"
        raise InputError(msg)
    return binary_entropy(np.mean([_probability(_logits(network, images, device)) for network in networks], axis=0))


@torch.no_grad()
def _logits(network: nn.Module, images: Tensor, device: torch.device) -> Array:
    return np.concatenate([network(part.to(device)).double().cpu().numpy() for part in _batches(images)])


def _batches(images: Tensor) -> Iterator[Tensor]:
    for start in range(0, len(images), BATCH):
        yield images[start : start + BATCH]


def _probability(logits: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))


def _copy(images: Tensor, copies: Copies, *, blurred: bool, generator: Generator) -> Tensor:
    """All images, turned about their centre and shifted; outside is 0."""
    axes = images.ndim - 2
    angle = math.radians(copies.rotation) * (2 * float(torch.rand((), generator=generator)) - 1)
    about = torch.nn.functional.normalize(torch.randn(3, generator=generator), dim=0)
    shift = torch.randint(-copies.padding, copies.padding + 1, (axes,), generator=generator)
    source = _blur(images, copies.kernel) if blurred else images
    size = torch.tensor(images.shape[2:], dtype=torch.float32)
    turn = torch.eye(3)[:2, :2] if axes == 2 else torch.eye(3)
    if axes == 2:
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    else:
        cross = torch.linalg.cross(torch.eye(3), about.expand(3, 3), dim=1)
        turn = torch.matrix_exp(angle * cross)
    # `affine_grid` counts axes from the last to the first, in units of half an edge
    half = size / 2
    matrix = (turn * half[None, :] / half[:, None]).flip(0, 1)
    offset = (shift / half).flip(0)
    theta = torch.cat([matrix, offset[:, None]], 1)[None].expand(len(images), -1, -1)
    parts = []
    for start in range(0, len(images), BATCH):
        part = source[start : start + BATCH].float()
        grid = functional.affine_grid(theta[start : start + BATCH], list(part.shape), align_corners=False)
        parts.append(functional.grid_sample(part, grid, mode="bilinear", align_corners=False))
    return torch.cat(parts)


def _blur(images: Tensor, kernel: int) -> Tensor:
    """Mean over a box, the border repeated; the image keeps its size."""
    axes, before = images.ndim - 2, (kernel - 1) // 2
    padded = functional.pad(images.float(), (before, kernel - 1 - before) * axes, mode="replicate")
    return functional.avg_pool2d(padded, kernel, 1) if axes == 2 else functional.avg_pool3d(padded, kernel, 1)
