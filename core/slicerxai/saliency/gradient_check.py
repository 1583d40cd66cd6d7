"""Does the network's gradient agree with what the network does when its input changes a little?"""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor

from slicerxai.progress import Progress, silent
from slicerxai.saliency.finding import Finding
from slicerxai.saliency.target import Target

LIMIT, HARD_LIMIT = 0.01, 0.05
DIRECTIONS = 2
WINDOWS = 2
STEP = {torch.float64: 1e-6, torch.float32: 1e-2}
"""Length of the step for each voxel. In double precision it is short enough to cross next to no kink of a ReLU net."""


def gradient_check(
    target: Target, seed: int, gradients: dict[int, Tensor] | None = None, progress: Progress = silent
) -> Finding:
    """Directional derivatives by central differences against inner products with the gradient.

    For fixed random directions d: [T_p(x + h d) − T_p(x − h d)] / 2h against ⟨∂T_p/∂x, d⟩, in the heaviest windows p.
    Differences are taken in double precision on a copy of the network where the device knows it.

    Args:
        gradients: of some windows as (C, *window), where a method has them already; others are computed.
    """
    chosen = target.heaviest(WINDOWS)
    known = dict(gradients or {})
    exact = _precise(target)
    generator = torch.Generator().manual_seed(seed)
    error = size = 0.0
    for number, index in enumerate(chosen):
        progress(number / len(chosen), "checking the gradient")
        gradient = (known[index] if index in known else window_gradient(target, index)).double()
        x = target.crop(target.tensor, [index]).cpu()
        for _ in range(DIRECTIONS):
            direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            measured = _difference(exact, index, x, direction)
            error += (measured - float((gradient * direction[0]).sum())) ** 2
            size += measured**2
    value = None if size == 0 or not math.isfinite(error) else math.sqrt(error / size)
    return _judge(value)


def window_gradient(target: Target, index: int) -> Tensor:
    """∂T_p/∂x of one window, (C, *window), CPU."""
    with torch.enable_grad():
        x = target.crop(target.tensor, [index]).requires_grad_()
        value = target.contributions([index], target.network(x)).sum()
        if not value.requires_grad:
            return torch.zeros(x.shape[1:])
        (gradient,) = torch.autograd.grad(value, x, allow_unused=True, materialize_grads=True)
    return gradient[0].cpu()


def _precise(target: Target) -> Target:
    if target.device.type == "mps":  # has no double precision
        return target
    return replace(target, network=copy.deepcopy(target.network).double())


@torch.no_grad()
def _difference(target: Target, index: int, x: Tensor, direction: Tensor) -> float:
    dtype = torch.float32 if target.device.type == "mps" else torch.float64
    step = STEP[dtype]
    sides = [(x.double() + sign * step * direction).to(dtype).to(target.device) for sign in (1, -1)]
    high, low = (float(target.contributions([index], target.network(side)).sum()) for side in sides)
    return (high - low) / (2 * step)


def _judge(value: float | None) -> Finding:
    name = "gradient"
    if value is None:
        reason = (
            "The network's answer does not change, or not in a finite way, when the image changes a little, "
            "so a map from its gradient means nothing here."
        )
        return Finding(name, None, LIMIT, "unreliable", reason)
    if value <= LIMIT:
        reason = (
            "Small changes of the image change the network's answer just as its gradient says "
            f"(relative difference {value:.1g})."
        )
        return Finding(name, value, LIMIT, "reliable", reason)
    consequence = "read the map with caution" if value <= HARD_LIMIT else "the map does not describe this network"
    reason = (
        f"Small changes of the image change the network's answer by {100 * value:.3g} % more or less than its gradient "
        f"says, so {consequence}."
    )
    return Finding(name, value, LIMIT, "caution" if value <= HARD_LIMIT else "unreliable", reason)
