"""The maps of every class of a classifier, with what their checks need."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ClassMaps:
    """One map for each image and label; all tensors on the CPU.

    Attributes:
        maps: (B, L, C, *spatial), float32, in logits for each element; class activation maps have C = 1 and no unit.
        logits: z, (B, L).
        expected: the sum that each map would have if nothing were lost, (B, L); NaN where the method promises no sum.
        layer: name of the module whose feature maps were weighted (class activation maps), else "".
        unruled: executed modules with parameters that layer-wise relevance propagation has no rule for.
    """

    maps: Tensor
    logits: Tensor
    expected: Tensor
    layer: str = ""
    unruled: tuple[str, ...] = ()

    @property
    def gap(self) -> Tensor:
        """|Σ map − expected| / |expected|, (B, L), float64; NaN where nothing is promised."""
        expected = self.expected.double()
        return (self.maps.double().flatten(2).sum(2) - expected).abs() / expected.abs()


def unpromised(logits: Tensor) -> Tensor:
    """`expected` of a method that promises no sum."""
    return torch.full_like(logits, torch.nan)
