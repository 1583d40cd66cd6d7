"""The result that every saliency method gives, with what its checks need."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from slicerxai.saliency.target import Target


@dataclass(frozen=True)
class Attribution:
    """A map of T(x).

    Attributes:
        relevance: (C, *spatial), float32, CPU; in units of T for each voxel.
        decision: what each voxel's logits add to T, (*spatial); a single number for classifiers.
        windows: what each window adds to T(x); their sum is T(x).
        expected: the sum that the map would have if nothing were lost.
        expectation: what `expected` is, in words.
        elsewhere: relevance that belongs to no voxel of the map, such as that of the rest of the image.
        gradients: gradient of single windows, (C, *window), kept for the gradient check.
        unruled: names of executed modules with parameters for which the method had no rule.
    """

    relevance: Tensor
    decision: Tensor
    windows: tuple[float, ...]
    expected: float
    expectation: str
    elsewhere: float = 0.0
    gradients: dict[int, Tensor] = field(default_factory=dict)
    unruled: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """T(x)."""
        return sum(self.windows)

    @cached_property
    def total(self) -> float:
        """Sum of the map and of the relevance elsewhere."""
        return float(self.relevance.numpy().sum(dtype=np.float64)) + self.elsewhere  # torch would copy it whole


class Accumulator:
    """Adds up windows in the volume."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.relevance = torch.zeros_like(target.tensor)
        spatial = target.tensor.shape[1:] if target.windows[0].weight.ndim else ()
        self.decision = torch.zeros(spatial)
        self.windows: list[float] = []

    def add_decision(self, indices: list[int], contributions: Tensor) -> None:
        """Record what the logits of these windows, in their order, add to T: (B, *window) or (B,)."""
        for index, added in zip(indices, contributions.detach().cpu(), strict=True):
            self.decision[self.target.windows[index].slices if added.ndim else ()] += added
            self.windows.append(float(added.sum()))

    def add_map(self, indices: list[int], relevance: Tensor) -> None:
        """Add relevance (B, C, *window) in the place of its windows."""
        for index, part in zip(indices, relevance.detach().cpu(), strict=True):
            self.relevance[(slice(None), *self.target.windows[index].slices)] += part

    def run(self, index: int) -> None:
        """Evaluate one window without a gradient and record its decision."""
        with torch.no_grad():
            logits = self.target.network(self.target.crop(self.target.tensor, [index]))
            self.add_decision([index], self.target.contributions([index], logits))
