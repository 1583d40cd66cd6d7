"""Batch normalisation in eval mode is a fixed scale and shift: its gradient needs neither statistics nor inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def frozen_norms(network: nn.Module) -> nn.Module:
    """Put `FrozenNorm` in the place of each batch norm that uses its running statistics; changes `network` itself.

    Outputs are the same to the bit, gradients by the image to rounding; they cost less time and memory.
    """
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm) and child.running_mean is not None:
                setattr(module, name, FrozenNorm(child))
    return network


class FrozenNorm(nn.Module):
    """A batch norm in eval mode whose parameters get no gradient."""

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__()
        self.norm = norm.eval()
        assert norm.running_var is not None  # noqa: S101 – kept together with the mean
        scale = 1 / torch.sqrt(norm.running_var + norm.eps)
        self.scale = scale if norm.weight is None else scale * norm.weight.detach()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = _Frozen.apply(x, self)
        return result


class _Frozen(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, module: FrozenNorm) -> Tensor:
        ctx.scale = module.scale.reshape(1, -1, *(1,) * (x.ndim - 2))
        result: Tensor = module.norm(x)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.scale, None
