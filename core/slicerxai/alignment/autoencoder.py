"""A small convolutional autoencoder of images or volumes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from slicerxai.alignment.realism_parameters import RealismParameters
from slicerxai.progress import Progress, silent

REDUCTION = 8
"""Latent maps are coarser than the image by this factor along each axis."""
BATCH = 4
LEARNING_RATE = 3e-3
CONVOLUTIONS: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}


class Autoencoder(nn.Module):
    """(B, C, *spatial) to latent (B, D, *spatial / 8) and back; GroupNorm and SiLU, so smooth and free of batches.

    Images are brought to mean 0 and standard deviation 1 of the training images, channel by channel, and padded with
    zeros to a multiple of 8.

    Attributes:
        shape: spatial shape of the images.
    """

    def __init__(self, channels: int, shape: tuple[int, ...], width: int, latent: int) -> None:
        super().__init__()
        self.channels, self.shape, self.width, self.latent = channels, shape, width, latent
        dims = len(shape)
        convolution, widths = CONVOLUTIONS[dims], (width, 2 * width, 3 * width)
        fold = 2**dims
        self.encoder = nn.Sequential(
            convolution(channels, widths[0], 4, stride=2, padding=1),
            *_refine(convolution, widths[0]),
            convolution(widths[0], widths[1], 4, stride=2, padding=1),
            *_refine(convolution, widths[1]),
            convolution(widths[1], widths[2], 4, stride=2, padding=1),
            *_refine(convolution, widths[2]),
            convolution(widths[2], latent, 1),
        )
        self.decoder = nn.Sequential(
            convolution(latent, widths[2], 3, padding=1),
            *_refine(convolution, widths[2]),
            convolution(widths[2], widths[1] * fold, 1),
            Unfold(dims),
            *_refine(convolution, widths[1]),
            convolution(widths[1], widths[0] * fold, 1),
            Unfold(dims),
            *_refine(convolution, widths[0]),
            convolution(widths[0], channels * fold, 3, padding=1),
            Unfold(dims),
        )
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(channels, *[1] * dims))
        self.register_buffer("deviation", torch.ones(channels, *[1] * dims))

    def encode(self, images: Tensor) -> Tensor:
        """Latent maps (B, D, *latent shape) of images (B, C, *spatial)."""
        padding = [n for edge in reversed(self.shape) for n in (0, -edge % REDUCTION)]
        latent: Tensor = self.encoder(functional.pad((images - self.mean) / self.deviation, padding))
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Images (B, C, *spatial) of latent maps."""
        images: Tensor = self.decoder(latent)
        for axis, edge in enumerate(self.shape):
            images = images.narrow(2 + axis, 0, edge)
        return images * self.deviation + self.mean

    def forward(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))


class Unfold(nn.Module):
    """(B, c · 2^dims, *spatial) to (B, c, *2 · spatial): each group of channels is a block of 2 along each axis."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, maps: Tensor) -> Tensor:
        dims, (batch, channels, *shape) = self.dims, maps.shape
        blocks = maps.reshape(batch, channels // 2**dims, *[2] * dims, *shape)
        order = [0, 1, *(axis for k in range(dims) for axis in (2 + dims + k, 2 + k))]
        return blocks.permute(order).reshape(batch, channels // 2**dims, *(2 * n for n in shape))


def fit_autoencoder(images: Tensor, parameters: RealismParameters, progress: Progress = silent) -> Autoencoder:
    """An autoencoder with little squared error on images; it comes in eval mode, its weights frozen.

    Args:
        images: (N, C, *spatial), 2D or 3D, N >= 1, on the device to train on.
        parameters: passes, widths and seed; the same ones on the same images give the same weights.
        progress: called at each step.
    """
    axes = [0, *range(2, images.ndim)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parameters.seed)
        network = Autoencoder(images.shape[1], tuple(images.shape[2:]), parameters.width, parameters.latent)
    network.to(images.device)
    network.mean.copy_(images.mean(axes).view_as(network.mean))
    network.deviation.copy_(images.std(axes).clamp_min(torch.finfo(images.dtype).tiny).view_as(network.deviation))
    steps = max(1, parameters.passes // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for step, index in zip(range(steps), _batches(len(images), parameters.seed), strict=False):
        batch = images[index.to(images.device)]
        loss = ((network(batch) - batch) / network.deviation).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress((step + 1) / steps, f"autoencoder: step {step + 1} of {steps}, error {float(loss.detach()):.3f}")
    return network.eval().requires_grad_(requires_grad=False)


def _batches(count: int, seed: int) -> Iterator[Tensor]:
    generator = Generator().manual_seed(seed)
    while True:
        yield from torch.randperm(count, generator=generator).split(BATCH)


def _refine(convolution: type[nn.Module], width: int) -> tuple[nn.Module, ...]:
    groups = next(g for g in (4, 3, 2, 1) if width % g == 0)
    return nn.GroupNorm(groups, width), nn.SiLU(), convolution(width, width, 3, padding=1), nn.SiLU()
