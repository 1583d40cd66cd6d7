"""How much of a change lies outside of the expert's mask (eq. 3)."""

from __future__ import annotations

import torch
from torch import Tensor


def off_mask(change: Tensor, mask: Tensor) -> Tensor:
    """Eq. 3 of each image: ‖change ⊙ (1 - mask)‖₁; its mean over the images is the published loss.

    Args:
        change: (B, C, *spatial), x* - x.
        mask: (B, 1, *spatial) or (B, C, *spatial), 1 inside.

    Returns:
        (B,), not negative.
    """
    return (change.abs() * (1 - mask.to(change.dtype))).flatten(1).sum(1)


def off_mask_share(change: Tensor, mask: Tensor) -> Tensor:
    """Share of the change that lies outside: off / (on + off); 0 (and no gradient) where nothing changed.

    Args:
        change: (B, C, *spatial), x* - x.
        mask: (B, 1, *spatial) or (B, C, *spatial), 1 inside.

    Returns:
        (B,) in [0, 1].
    """
    total = change.abs().flatten(1).sum(1)
    moved = total > 0
    return torch.where(moved, off_mask(change, mask) / torch.where(moved, total, 1), 0)
