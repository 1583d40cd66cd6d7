"""Images in the surroundings of other images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from slicerxai.alignment.masked_images import MaskedImages


class RandomSurroundings:
    """Masked images of which a share has the surroundings of another one, drawn anew each time.

    An intervention on what lies outside of the masks: there, nothing goes with a label any more. The `MaskedImages` of
    a fit; the same order of reading gives the same images.
    """

    def __init__(self, images: MaskedImages, own: Sequence[Tensor], share: float, seed: int = 0) -> None:
        """Arguments.

        Args:
            images: to read from.
            own: (1, *spatial) in {0, 1} for each: what is not its surroundings; one that is empty stays as it is.
            share: of the images that are changed, in [0, 1].
        """
        self.images, self.own, self.share = images, own, share
        self.generator = Generator().manual_seed(seed)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        image, labels, mask = self.images[index]
        draw = float(torch.rand((), generator=self.generator))
        other = int(torch.randint(len(self.images), (), generator=self.generator))
        if draw < self.share and self.own[index].any():
            image = surrounded(image, self.own[index], self.images[other][0], self.own[other])
        return image, labels, mask


def surrounded(image: Tensor, own: Tensor, other: Tensor, of_other: Tensor) -> Tensor:
    """An image within its mask, another one outside of both masks, 0 where only the other's mask is."""
    return torch.where(own > 0, image, other * (1 - of_other))


class ExchangedSurroundings:
    """Images whose part outside of their masks is that of another one: what there goes with a label no longer does.

    Deciding the epoch and thresholds of a training on such images, a shortcut outside of the masks is worth nothing.
    The `LabelledImages` of a fit. Which image gives its surroundings is drawn by the seed, each gives them once. What
    the other's mask holds stays out (it is 0 there); an image with an empty mask stays as it is.
    """

    def __init__(self, images: Sequence[Tensor], labels: Tensor, masks: Sequence[Tensor], seed: int = 0) -> None:
        """Labelled images (C, *spatial) with masks (1, *spatial) in {0, 1}; labels (N, L)."""
        self.images, self.labels, self.masks = images, labels, masks
        order = torch.randperm(len(images), generator=Generator().manual_seed(seed)).tolist()
        self.giver = {taker: order[n - 1] for n, taker in enumerate(order)}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = self.images[index], self.masks[index]
        if not mask.any():
            return image, self.labels[index]
        other = self.giver[index]
        return surrounded(image, mask, self.images[other], self.masks[other]), self.labels[index]
