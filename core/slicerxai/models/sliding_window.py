"""Overlapping patches and their blending, as pure functions, so that gradients go the way that predictions came.

The blended logit of a voxel is Σ_p w_p z_p / Σ_p w_p over the patches p that cover it, z_p the logit of the patch and
w_p its Gaussian weight there: linear in the patch logits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slicerxai.progress import Progress, silent

Patch = tuple[slice, slice, slice]


def patch_grid(shape: Sequence[int], patch_size: Sequence[int], overlap: float) -> list[Patch]:
    """Positions of patches that cover a volume, evenly spread along each axis.

    Args:
        shape: (I, J, K), each at least as large as the patch.
        patch_size: edge lengths of a patch, voxels.
        overlap: least share of a patch that it has in common with the next one, in [0, 1).

    Returns:
        Slices of I, J, K for each patch; K varies fastest.
    """
    if not 0 <= overlap < 1:
        msg = f"overlap must be in [0, 1), got {overlap}"
        raise ValueError(msg)
    if any(n < p for n, p in zip(shape, patch_size, strict=True)):
        msg = f"volume {tuple(shape)} is smaller than the patch {tuple(patch_size)}"
        raise ValueError(msg)
    starts = [_starts(n, p, overlap) for n, p in zip(shape, patch_size, strict=True)]
    a, b, c = patch_size
    return [
        (slice(i, i + a), slice(j, j + b), slice(k, k + c)) for i in starts[0] for j in starts[1] for k in starts[2]
    ]


def _starts(length: int, patch: int, overlap: float) -> list[int]:
    if length == patch:
        return [0]
    step = max(1, math.floor(patch * (1 - overlap)))
    count = math.ceil((length - patch) / step) + 1
    return [round(index * (length - patch) / (count - 1)) for index in range(count)]


def importance_map(patch_size: Sequence[int]) -> Tensor:
    """Weight of each voxel of a patch: a Gaussian about the centre with sigma = patch / 8, at least 1e-3.

    Returns:
        float32 of shape (I, J, K), in [1e-3, 1].
    """
    weight = torch.ones(())
    for size in patch_size:
        distance = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
        weight = weight[..., None] * torch.exp(-0.5 * (distance / (size / 8)) ** 2)
    return (weight / weight.max()).clamp(min=1e-3).float()


def occupied(tensor: Tensor, patches: Sequence[Patch]) -> list[Patch]:
    """The patches in which the image (C, I, J, K) is not zero everywhere."""
    return [patch for patch in patches if bool(tensor[(slice(None), *patch)].any())]


@torch.no_grad()
def blended_logits(
    network: nn.Module,
    tensor: Tensor,
    patch_size: Sequence[int],
    overlap: float,
    device: torch.device,
    progress: Progress = silent,
) -> tuple[Tensor, Tensor]:
    """Logits of a whole volume from overlapping patches.

    Args:
        network: BCIJK to BLIJK.
        tensor: (C, I, J, K), at least as large as a patch.
        progress: called once for each patch.

    Returns:
        Logits (L, I, J, K), zero where no patch was needed, and the boolean mask (I, J, K) of the covered voxels; both
        float32/bool on the CPU.
    """
    patches = occupied(tensor, patch_grid(tensor.shape[1:], patch_size, overlap))
    weight = importance_map(patch_size)
    total: Tensor | None = None
    weights = torch.zeros(tensor.shape[1:])
    for index, patch in enumerate(patches):
        progress(index / len(patches), f"patch {index + 1} of {len(patches)}")
        logits = network(tensor[(slice(None), *patch)][None].to(device))[0].float().cpu()
        if total is None:
            total = torch.zeros(logits.shape[0], *tensor.shape[1:])
        total[(slice(None), *patch)] += logits * weight
        weights[patch] += weight
    if total is None:
        msg = "the image is zero everywhere"
        raise ValueError(msg)
    covered = weights > 0
    return total.div_(weights.masked_fill_(~covered, 1.0)), covered
