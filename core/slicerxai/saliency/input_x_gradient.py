"""Input × Gradient: R = x ⊙ ∂T/∂x (Shrikumar et al. 2016, arXiv:1605.01713)."""

from __future__ import annotations

import torch
from torch import Tensor

from slicerxai.progress import Progress, silent
from slicerxai.saliency.attribution import Accumulator, Attribution
from slicerxai.saliency.target import Target


def input_x_gradient(target: Target, progress: Progress = silent, keep: int = 2) -> Attribution:
    """The exact gradient of T times the image.

    Sums to T(x) − T(0) only for networks that are linear along the ray from 0 to x, such as ReLU nets without biases.

    Args:
        keep: gradients of this many of the heaviest windows are kept for the gradient check.
    """
    accumulator, kept = Accumulator(target), set(target.heaviest(keep))
    gradients: dict[int, Tensor] = {}
    for group in target.batches():
        progress(group[0] / len(target.windows), f"patch {group[0] + 1} of {len(target.windows)}")
        with torch.enable_grad():
            x = target.crop(target.tensor, group).requires_grad_()
            contributions = target.contributions(group, target.network(x))
            (gradient,) = torch.autograd.grad(contributions.sum(), x, allow_unused=True, materialize_grads=True)
        accumulator.add_decision(group, contributions)
        accumulator.add_map(group, x * gradient)
        gradients |= {i: part.cpu() for i, part in zip(group, gradient, strict=True) if i in kept}
    return Attribution(
        accumulator.relevance,
        accumulator.decision,
        tuple(accumulator.windows),
        expected=sum(accumulator.windows) - target.evaluate_zero(),
        expectation="the change of the decision against an image of zeros",
        gradients=gradients,
    )
