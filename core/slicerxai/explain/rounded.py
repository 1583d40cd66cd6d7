"""Networks without kinks, for searching in their input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from slicerxai.models.modular import private

WIDTH = 0.05
"""Half the interval about 0 in which a ReLU is rounded; it differs from the ReLU by at most a quarter of this."""


def rounded(network: nn.Module, width: float = WIDTH) -> nn.Module:
    """A private copy in which every ReLU and leaky ReLU is rounded at its kink; the same where |input| >= width.

    Where a change is measured by its sum of absolute values, the best one of a piecewise linear network lies on kinks,
    on which gradient steps get stuck.
    """
    copied = private(network)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU | nn.LeakyReLU):
                setattr(parent, name, RoundedReLU(getattr(child, "negative_slope", 0.0), width))
    return copied.eval()


class RoundedReLU(nn.Module):
    """s x + (1 - s) r(x), r(x) = 0 below -w, (x + w)² / 4w up to w, x beyond; s is the slope below 0.

    First derivatives alone; a softplus has them all and costs three times as much.
    """

    def __init__(self, slope: float, width: float) -> None:
        super().__init__()
        self.slope, self.width = slope, width

    def forward(self, x: Tensor) -> Tensor:
        rounded: Tensor = _Rounded.apply(x, self.width)
        return rounded if self.slope == 0 else self.slope * x + (1 - self.slope) * rounded


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, width: float) -> Tensor:
        share = (x + width).clamp_(0, 2 * width).div_(2 * width)
        ctx.save_for_backward(share)
        return (share * share).mul_(width).add_((x - width).clamp_(min=0))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (share,) = ctx.saved_tensors
        return gradient * share, None
