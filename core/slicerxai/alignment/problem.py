"""Eq. 2 for a batch of images, written in the change u: loss(x0 + u) + alpha · d(u) within bounds."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.distances import DistanceName, distance, is_l1, prox
from slicerxai.alignment.losses import Loss


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """(B,) as (B, 1, …), to be combined with images of `like`'s number of axes."""
    return values.view(-1, *[1] * (like.ndim - 1))


def largest(values: Tensor) -> Tensor:
    """Largest absolute value of each image, (B,)."""
    return values.abs().flatten(1).amax(1)


def take(values: Tensor, rows: Tensor) -> Tensor:
    """Some rows, in ascending order; the values themselves, not a copy, when it is all of them."""
    return values if len(rows) == len(values) else values[rows]


def gradient(loss: Loss, images: Tensor) -> tuple[Tensor, Tensor]:
    """Loss (B,) and its gradient (B, C, *spatial) at images; nothing is kept on the network's parameters."""
    with torch.enable_grad():
        at = images.detach().requires_grad_()
        value = loss(at)
        (slope,) = torch.autograd.grad(value.sum(), at)
    return value.detach(), slope


@dataclass(frozen=True)
class Problem:
    """What is minimised, for each image on its own.

    Attributes:
        origin: (B, C, *spatial), the images x0.
        name: the distance d.
        scale: (C, *spatial) of the distance, or None.
        alpha: (B,), absolute weight of the distance.
        low, high: (B, C, *spatial), bounds of the change; low <= 0 <= high, both 0 where no change is allowed.
        unit: (B,), largest feasible |scale · gradient| of the loss at x0: what residuals are relative to.
    """

    origin: Tensor
    name: DistanceName
    scale: Tensor | None
    alpha: Tensor
    low: Tensor
    high: Tensor
    unit: Tensor

    def rows(self, index: Tensor) -> Problem:
        """The problem of some of the images, in ascending order."""
        parts = (take(part, index) for part in (self.origin, self.alpha, self.low, self.high, self.unit))
        origin, alpha, low, high, unit = parts
        return Problem(origin, self.name, self.scale, alpha, low, high, unit)

    def step(self, change: Tensor, slope: Tensor, size: Tensor) -> Tensor:
        """One proximal step of the given size (B,); differentiable in change and slope."""
        moved = prox(change - per_image(size, change) * slope, size * self.alpha, self.name, self.scale)
        return torch.clamp(moved, self.low, self.high)

    def objective(self, loss: Tensor, change: Tensor) -> Tensor:
        """Value of eq. 2, (B,)."""
        return loss + self.alpha * distance(change, self.name, self.scale)

    def violation(self, change: Tensor, slope: Tensor) -> Tensor:
        """How fast eq. 2 still falls when one place moves, (B, C, *spatial), not negative; 0 everywhere is optimal."""
        weight = per_image(self.alpha, change)
        if self.scale is not None:
            weight = weight / self.scale
        if is_l1(self.name):
            right = slope + torch.where(change < 0, -weight, weight)
            left = slope + torch.where(change > 0, weight, -weight)
        else:
            right = left = slope + 2 * weight * change
        up = torch.where(change < self.high, -right, 0)
        down = torch.where(change > self.low, left, 0)
        return torch.maximum(up, down).clamp_min(0)

    def residual(self, change: Tensor, slope: Tensor) -> Tensor:
        """Largest violation in scaled units, relative to `unit`, (B,)."""
        return largest(self.scaled(self.violation(change, slope))) / torch.where(self.unit > 0, self.unit, 1)

    def scaled(self, slope: Tensor) -> Tensor:
        """A gradient per scaled unit of change."""
        return slope if self.scale is None else slope * self.scale


def pose(
    images: Tensor, slope: Tensor, parameters: SolverParameters, scale: Tensor | None, allowed: Tensor | None
) -> Problem:
    """The problem of images, whose loss has the gradient `slope` there."""
    low = _bound(images, parameters.low, -inf, allowed)
    high = _bound(images, parameters.high, inf, allowed)
    nothing = images.new_zeros(len(images))
    free = Problem(images, parameters.distance, scale, nothing, low, high, nothing)
    unit = largest(free.scaled(free.violation(torch.zeros_like(images), slope)))
    fixed = parameters.alpha_absolute
    alpha = parameters.alpha * unit if fixed is None else torch.full_like(unit, fixed)
    return Problem(images, parameters.distance, scale, alpha, low, high, unit)


def _bound(images: Tensor, limit: float | None, without: float, allowed: Tensor | None) -> Tensor:
    """Bound of the change at each place. A value that lies beyond the limit already may stay where it is."""
    if limit is None:
        bound = torch.full_like(images, without)
    else:
        room = limit - images
        bound = room.clamp_max(0) if without < 0 else room.clamp_min(0)
    return bound if allowed is None else torch.where(allowed.to(torch.bool), bound, 0)
