"""What a counterfactual should achieve: losses of images, one value each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

Loss = Callable[[Tensor], Tensor]
"""From images (B, C, *spatial) to one value per image (B,), each depending on its own image alone."""


@runtime_checkable
class RowLoss(Protocol):
    """A loss that can be had for some images of the batch alone, so that a solver can let go of those that are done."""

    def __call__(self, images: Tensor) -> Tensor: ...

    def rows(self, index: Tensor) -> RowLoss:
        """The same loss for the images `index` (n,) of the batch."""


def rows_of(loss: Loss, images: Tensor, index: Tensor) -> Loss:
    """The loss for the images `index` (n,) of the batch. A plain callable is given the other `images` beside them."""
    if isinstance(loss, RowLoss):
        return loss.rows(index)
    return lambda some: loss(images.index_copy(0, index, some))[index]


class _NetworkLoss:
    """Cross-entropy between outputs of a network and what is wanted of each image."""

    def __init__(
        self, network: nn.Module, compare: Callable[..., Tensor], wanted: tuple[Tensor, ...], checked: bool = False
    ) -> None:
        if not checked:
            require_evaluation(network)
        self.network, self.compare, self.wanted = network, compare, wanted

    def __call__(self, images: Tensor) -> Tensor:
        return self.compare(self.network(images), *self.wanted)

    def rows(self, index: Tensor) -> _NetworkLoss:
        return _NetworkLoss(self.network, self.compare, tuple(part[index] for part in self.wanted), checked=True)


def label_loss(network: nn.Module, wanted: Tensor, which: Tensor) -> RowLoss:
    """Binary cross-entropy of chosen labels (multi-label classifiers).

    Args:
        network: (B, C, *spatial) to logits (B, L); no dropout or batch statistics in training mode.
        wanted: (B, L), what the labels should become, in [0, 1].
        which: (B, L) bool, the labels that count; the others are free.

    Returns:
        A loss (B,): Σ over the chosen labels of BCE(logit, wanted).
    """
    return _NetworkLoss(network, _binary, (wanted, which))


def class_loss(network: nn.Module, wanted: Tensor) -> RowLoss:
    """Softmax cross-entropy towards one class (exclusive labels).

    Args:
        network: (B, C, *spatial) to logits (B, L); no dropout or batch statistics in training mode.
        wanted: (B,) int, the class that each image should become.

    Returns:
        A loss (B,).
    """
    return _NetworkLoss(network, _softmax, (wanted,))


def region_loss(network: nn.Module, region: Tensor, label: int) -> RowLoss:
    """Softmax cross-entropy towards one label, averaged over a region (segmenters: "this lesion would vanish if …").

    Args:
        network: (B, C, *spatial) to logits (B, L, *spatial); no dropout or batch statistics in training mode.
        region: (B, *spatial) bool, where the label is wanted; not empty.
        label: the wanted label, such as 0 for background.

    Returns:
        A loss (B,).
    """
    if not region.flatten(1).any(1).all():
        msg = "a region is empty"
        raise ValueError(msg)
    return _NetworkLoss(network, lambda logits, where: _voxels(logits, where, label), (region,))


def require_evaluation(network: nn.Module) -> None:
    """Raises `ValueError` when a layer makes images of a batch depend on one another or on chance."""
    for name, module in network.named_modules():
        batch = isinstance(module, nn.modules.batchnorm._BatchNorm)
        chance = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        if module.training and (batch or chance):
            msg = f"layer {name!r} ({type(module).__name__}) is in training mode; set it to eval for counterfactuals"
            raise ValueError(msg)


def _binary(logits: Tensor, wanted: Tensor, which: Tensor) -> Tensor:
    loss = functional.binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype), reduction="none")
    return torch.where(which, loss, 0).sum(1)


def _softmax(logits: Tensor, wanted: Tensor) -> Tensor:
    return functional.cross_entropy(logits, wanted, reduction="none")


def _voxels(logits: Tensor, region: Tensor, label: int) -> Tensor:
    loss = -functional.log_softmax(logits, 1)[:, label]
    return torch.where(region, loss, 0).flatten(1).sum(1) / region.flatten(1).sum(1)
