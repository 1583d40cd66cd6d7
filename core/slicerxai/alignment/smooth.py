"""Networks with curvature everywhere, as implicit gradients need."""

from __future__ import annotations

import copy

from torch import nn

BETA = 5.0
"""Sharpness of the softplus that takes the place of a ReLU."""


def smooth(network: nn.Module, *, beta: float = BETA) -> nn.Module:
    """A copy with the same weights in which every ReLU module is a softplus of this sharpness.

    A ReLU network is piecewise linear in its input: second derivatives exist through the loss alone, and differences
    of gradients jump.
    """
    copied = copy.deepcopy(network)
    if isinstance(copied, nn.ReLU):
        return nn.Softplus(beta=beta)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.Softplus(beta=beta))
    return copied


def has_kinks(network: nn.Module) -> bool:
    """Whether a ReLU module is left in it."""
    return any(isinstance(module, nn.ReLU) for module in network.modules())
