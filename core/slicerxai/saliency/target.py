"""The scalar that a map explains: a linear functional of the logits, summed over windows of the image.

    T(x) = Σ_p Σ_l c_l Σ_v w_p(v) z_l(x_p)(v)

x_p is the image in window p, z_l the logit of label l. A segmenter's blended prediction and a classifier's logit both
have this form, so a map of T is the sum of the maps of its windows, and only windows with a weight are computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from slicerxai.errors import InputError
from slicerxai.models.sliding_window import importance_map, occupied, patch_grid
from slicerxai.progress import Progress, silent

BATCH_VOXELS = 2**18
"""Voxels of one batch (64³); larger windows run one by one."""


@dataclass(frozen=True)
class Window:
    """A part of the image that the network sees at once.

    Attributes:
        slices: position, one slice for each spatial axis.
        share: the part of T's own weights that lies in the window, a view of those of the whole image, shape of the
            window; a scalar tensor where the logits have no spatial axes.
        importance: weight of each voxel of a window in the blending, the same tensor for all windows.
    """

    slices: tuple[slice, ...]
    share: Tensor
    importance: Tensor

    @property
    def weight(self) -> Tensor:
        """w_p, multiplied when it is asked for: kept for all windows it would take more memory than the image."""
        return self.share * self.importance


@dataclass(frozen=True)
class Target:
    """T as a function of the image.

    Attributes:
        network: BC… to logits BL… (segmenter) or BL (classifier), in eval mode.
        tensor: the image x, (C, *spatial), float32, CPU.
        windows: all of one shape.
        coefficients: c, shape (L,).
        device: where the network is.
    """

    network: nn.Module
    tensor: Tensor
    windows: tuple[Window, ...]
    coefficients: Tensor
    device: torch.device

    def __post_init__(self) -> None:
        if any(module.training for module in self.network.modules()):
            msg = "the network is in training mode; call .eval() before explaining it"
            raise ValueError(msg)

    @property
    def batch(self) -> int:
        """Windows computed at once: few, so that memory stays that of a few patches."""
        return max(1, min(4, BATCH_VOXELS // math.prod(s.stop - s.start for s in self.windows[0].slices)))

    def batches(self, indices: Sequence[int] | None = None) -> Iterator[list[int]]:
        """Window indices in groups of at most `batch`."""
        chosen = list(range(len(self.windows)) if indices is None else indices)
        for start in range(0, len(chosen), self.batch):
            yield chosen[start : start + self.batch]

    def crop(self, image: Tensor, indices: Sequence[int]) -> Tensor:
        """The windows of an image (C, *spatial) as one batch (B, C, *window) on the device."""
        return torch.stack([image[(slice(None), *self.windows[i].slices)] for i in indices]).to(self.device)

    def weights(self, indices: Sequence[int], logits: Tensor) -> Tensor:
        """c_l w_p(v), the derivative of T by these logits (B, L, …), in their type."""
        spatial = torch.stack([self.windows[i].weight for i in indices]).to(logits)
        c = self.coefficients.to(logits)
        if logits.shape[1] != len(c) or logits.ndim != spatial.ndim + 1:
            msg = f"the network gave logits of shape {tuple(logits.shape)} for {len(c)} labels"
            raise ValueError(msg)
        return c.reshape(1, -1, *(1,) * (spatial.ndim - 1)) * spatial[:, None]

    def contributions(self, indices: Sequence[int], logits: Tensor) -> Tensor:
        """Σ_l c_l w_p(v) z_l(v), shape (B, *window) or (B,): what each voxel's logits add to T."""
        return (logits * self.weights(indices, logits)).sum(1)

    @torch.no_grad()
    def evaluate(self, image: Tensor, progress: Progress = silent, indices: Sequence[int] | None = None) -> list[float]:
        """What each window adds to T of another image of the same shape; their sum is T(image)."""
        values: list[float] = []
        total = len(self.windows) if indices is None else len(indices)
        for group in self.batches(indices):
            progress(len(values) / max(1, total), "evaluating the network")
            added = self.contributions(group, self.network(self.crop(image, group)))
            values += added.flatten(1).sum(1).tolist() if added.ndim > 1 else added.tolist()
        return values

    @torch.no_grad()
    def evaluate_zero(self) -> float:
        """T(0). All windows of an empty image are the same, so the network runs once."""
        logits = self.network(torch.zeros_like(self.crop(self.tensor, [0])))
        return sum(float(self.contributions([i], logits).sum()) for i in range(len(self.windows)))

    def heaviest(self, count: int) -> list[int]:
        """Indices of the windows with most weight, heaviest first."""
        return self._by_weight[:count]

    @cached_property
    def _by_weight(self) -> list[int]:
        return sorted(range(len(self.windows)), key=lambda i: (-float(self.windows[i].weight.sum()), i))


def segmentation_target(
    network: nn.Module,
    tensor: Tensor,
    region: Tensor,
    label: int,
    labels: int,
    patch_size: Sequence[int],
    overlap: float,
    device: torch.device,
) -> Target:
    """Mean over a voxel region of the blended logit margin, label minus background.

    The blended logit is the importance-weighted mean over the patches that cover a voxel, as in prediction, so
    w_p(v) = r(v) g(v) / G(v) with r = 1/|region| inside it, g the importance map and G its sum over patches. With two
    labels the margin is exactly the log-odds of the label. The mean (not the sum) keeps lesions of different size and
    images of different spacing comparable. The margin against background alone stays linear in the logits when there
    are more labels, which patch-wise summation needs.

    Args:
        tensor: (C, *spatial), at least as large as a patch.
        region: boolean, (*spatial), at least one true voxel.
        label: index of the explained label, not 0.
        labels: number of labels.
        overlap: share in [0, 1) that neighbouring patches have in common.
    """
    if not bool(region.any()):
        msg = "the region to explain has no voxel"
        raise ValueError(msg)
    patches = occupied(tensor, patch_grid(tensor.shape[1:], patch_size, overlap))
    importance = importance_map(patch_size)
    share = torch.zeros(region.shape)
    for patch in patches:
        share[patch] += importance  # G, which becomes r / G in place
    share.clamp_(min=torch.finfo(torch.float32).tiny).mul_(region.sum())
    torch.div(region, share, out=share)
    windows = tuple(Window(patch, share[patch], importance) for patch in patches if bool(region[patch].any()))
    if not windows:
        msg = "the region to explain lies where the image is zero everywhere"
        raise InputError(msg)
    coefficients = torch.zeros(labels)
    coefficients[label], coefficients[0] = 1.0, -1.0
    return Target(network, tensor, windows, coefficients, device)


def classification_target(network: nn.Module, tensor: Tensor, label: int, labels: int, device: torch.device) -> Target:
    """The logit of one label for the whole image (C, *spatial)."""
    window = Window(tuple(slice(0, n) for n in tensor.shape[1:]), torch.ones(()), torch.ones(()))
    coefficients = torch.zeros(labels)
    coefficients[label] = 1.0
    return Target(network, tensor, (window,), coefficients, device)
