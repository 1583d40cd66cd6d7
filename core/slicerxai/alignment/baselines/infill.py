"""Ways to fill a part of an image with what is no longer the object, or no longer its background."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor

Infill = Literal["mean", "random", "shuffle", "tile"]
Background = Literal["random", "shuffle", "mixed"]

NOISE = 0.2 / 0.5
"""Standard deviation of the pixel noise of "random", as a share of half the range of values."""


def boxes(masks: Tensor) -> Tensor:
    """The bounding box of each mask (B, 1, H, W), filled; an empty mask stays empty."""
    rows, columns = masks.amax(-1, keepdim=True), masks.amax(-2, keepdim=True)
    return _between(rows, -2) * _between(columns, -1)


def _between(line: Tensor, axis: int) -> Tensor:
    """1 from the first to the last 1 along an axis."""
    return line.cummax(axis).values * line.flip(axis).cummax(axis).values.flip(axis)


def filled(images: Tensor, where: Tensor, infill: Infill, generator: Generator) -> Tensor:
    """Images (B, C, H, W) with new content where `where` (B, 1, H, W) is 1.

    "mean": the mean of the image; "random": one value for each image and channel, drawn from its range, and noise;
    "shuffle": its own pixels in random order; "tile": copies of the widest strip of the image beside the bounding box
    of `where`.
    """
    return torch.where(where > 0, _CONTENTS[infill](images, where, generator), images)


def backgrounds(images: Tensor, masks: Tensor, labels: Tensor, background: Background, generator: Generator) -> Tensor:
    """Images with their masks' inside on another background.

    "random" and "shuffle" as of `filled`; "mixed": the tiled background of a random image of the batch whose labels
    (B, L) are others; the mean of the image where there is none.
    """
    if background != "mixed":
        return filled(images, 1 - masks, background, generator)
    tiled = torch.where(boxes(masks) > 0, _tiles(images, masks, generator), images)
    means = _mean(images, masks, generator)
    made = []
    for index in range(len(images)):
        others = (labels != labels[index]).any(1).nonzero()[:, 0]
        if len(others):
            made.append(tiled[others[int(torch.randint(len(others), (1,), generator=generator))]])
        else:
            made.append(means[index])
    return torch.where(masks > 0, images, torch.stack(made))


def _mean(images: Tensor, _where: Tensor, _generator: Generator) -> Tensor:
    return images.mean((2, 3), keepdim=True).expand_as(images)


def _random(images: Tensor, _where: Tensor, generator: Generator) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    level = torch.rand(low.shape, generator=generator).to(images)
    noise = torch.randn(images.shape, generator=generator).to(images) * NOISE / 2
    return low + (high - low) * (level + noise).clamp(0, 1)


def _shuffled(images: Tensor, _where: Tensor, generator: Generator) -> Tensor:
    made = []
    for image in images:
        order = torch.randperm(image[0].numel(), generator=generator).to(image.device)
        made.append(image.flatten(1)[:, order].reshape(image.shape))
    return torch.stack(made)


def _tiles(images: Tensor, where: Tensor, _generator: Generator) -> Tensor:
    return torch.stack([_tile(image, mask[0]) for image, mask in zip(images, where, strict=True)])


def _tile(image: Tensor, where: Tensor) -> Tensor:
    """Copies of the widest strip of full rows or columns without any place of `where`; the mean where there is none."""
    if not where.any():
        return image
    found: tuple[int, int, int] = (0, 0, 0)
    for axis in (0, 1):
        taken = (where > 0).any(1 - axis).nonzero()[:, 0]
        first, last = int(taken[0]), int(taken[-1])
        for start, length in ((0, first), (last + 1, where.shape[axis] - last - 1)):
            found = max(found, (length, axis, start))
    length, axis, start = found
    if length == 0:
        return image.mean((1, 2), keepdim=True).expand_as(image)
    index = start + torch.arange(image.shape[1 + axis], device=image.device) % length
    return image.index_select(1 + axis, index)


_CONTENTS: dict[Infill, Callable[[Tensor, Tensor, Generator], Tensor]] = {
    "mean": _mean,
    "random": _random,
    "shuffle": _shuffled,
    "tile": _tiles,
}
