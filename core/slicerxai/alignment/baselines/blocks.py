"""What the methods have to know about the blocks of a network."""

from __future__ import annotations

from torch import nn


def channels_of(block: nn.Module) -> int:
    """Channels that a block with one convolution gives."""
    return next(module.out_channels for module in block.modules() if isinstance(module, nn.Conv2d))
