"""Training images with an expert's mask of what the decision has to come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from slicerxai.errors import InputError
from slicerxai.models.classifier_augmentation import altered, moved

MaskedAugmentation = Callable[[Tensor, Tensor, Generator], tuple[Tensor, Tensor]]
"""Changes images (B, C, *spatial) and masks (B, 1, *spatial) at random and together; the generator is on the CPU."""


class MaskedImages(Protocol):
    """Images in memory with labels and masks; a torch `Dataset` of that form serves."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Image (C, *spatial), float32, labels (L,) in {0, 1} and mask (1, *spatial) in {0, 1}; all on the CPU."""


@dataclass(frozen=True)
class MaskedArrays:
    """Masked images as three tensors.

    Attributes:
        images: (N, C, *spatial) float32.
        labels: (N, L) in {0, 1}.
        masks: (N, 1, *spatial) in {0, 1}.

    Raises:
        InputError: shapes that do not fit each other.
    """

    images: Tensor
    labels: Tensor
    masks: Tensor

    def __post_init__(self) -> None:
        images, labels, masks = self.images, self.labels, self.masks
        if labels.ndim != 2 or len(labels) != len(images):
            msg = f"labels have shape {tuple(labels.shape)}; ({len(images)}, L) is needed for {len(images)} images"
            raise InputError(msg)
        expected = (len(images), 1, *images.shape[2:])
        if masks.shape != expected:
            msg = f"masks have shape {tuple(masks.shape)}; {expected} is needed for images {tuple(images.shape)}"
            raise InputError(msg)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        return self.images[index], self.labels[index], self.masks[index]


@dataclass(frozen=True)
class WithoutMasks:
    """The same images for a fit that sees no mask."""

    masked: MaskedImages

    def __len__(self) -> int:
        return len(self.masked)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, labels, _ = self.masked[index]
        return image, labels


def masked_batch(images: MaskedImages, indices: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Images (B, C, *spatial), labels (B, L) and masks (B, 1, *spatial) at these indices."""
    found = [images[index] for index in indices]
    stacks = tuple(torch.stack(parts) for parts in zip(*found, strict=True))
    return stacks[0], stacks[1], stacks[2]


def check_masked(images: MaskedImages) -> None:
    """Raises `InputError` for an image whose labels or mask do not fit, are not 0 and 1, or whose mask is empty."""
    shape: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    for index in range(len(images)):
        image, labels, mask = images[index]
        shape = shape or (tuple(image.shape), tuple(labels.shape))
        if (tuple(image.shape), tuple(labels.shape)) != shape or labels.ndim != 1:
            msg = f"image {index} has shape {tuple(image.shape)} and labels {tuple(labels.shape)}; the first {shape}"
            raise InputError(msg)
        if mask.shape != (1, *image.shape[1:]):
            msg = f"mask {index} has shape {tuple(mask.shape)}; (1, *{tuple(image.shape[1:])}) is needed"
            raise InputError(msg)
        for what, values in (("labels", labels), ("mask", mask)):
            if not ((values == 0) | (values == 1)).all():
                msg = f"{what} {index} hold other values than 0 and 1"
                raise InputError(msg)


def masked_augmentation(strength: float, spatial_dims: int) -> MaskedAugmentation:
    """`slicerxai.models.classifier_augmentation.augmentation` with the masks moved as their images are."""

    def changed(images: Tensor, masks: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        if strength == 0:
            return images, masks
        images = altered(images, generator, strength, blur=spatial_dims == 2)
        both = torch.cat([images, masks.to(images.dtype)], dim=1)
        both = moved(both, generator, strength, mirror=spatial_dims == 3)
        return both[:, :-1], (both[:, -1:] > 0.5).to(images.dtype)

    return changed
