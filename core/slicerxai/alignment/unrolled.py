"""Counterfactuals differentiated through every step of the search: what the implicit gradient is compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.line_search import LineSearch
from slicerxai.alignment.losses import Loss
from slicerxai.alignment.problem import per_image, pose


def unrolled(
    loss: Loss,
    images: Tensor,
    parameters: SolverParameters,
    *,
    scale: Tensor | None = None,
    allowed: Tensor | None = None,
) -> Tensor:
    """The counterfactual images as a function of the network's parameters, by remembering every step.

    The same proximal steps as `counterfactual` takes; their sizes and the weight of the distance are constants. Each
    image is held still once it has converged, but goes on to cost time and memory. The derivative converges later than
    the image: on an ill-conditioned problem it may be far from that of `implicit` when the image is exact.

    Args:
        loss: of images (B, C, *spatial), (B,), differentiable in the parameters of a network.
        images: (B, C, *spatial), x0.
        parameters: distance, weight, steps, tolerance, bounds of values.
        scale: (C, *spatial), see `distances.feature_scale`.
        allowed: broadcastable to the images, not 0 where a change is allowed.

    Returns:
        (B, C, *spatial), differentiable.
    """
    origin = images.detach()
    value, slope = _remembered(loss, origin)
    problem = pose(origin, slope.detach(), parameters, scale, allowed)
    change = torch.zeros_like(origin)
    search = LineSearch(problem, change.clone(), value.detach(), slope.detach().clone())
    everyone = torch.arange(len(origin), device=origin.device)
    for _ in range(parameters.steps):
        going = search.residual > parameters.tolerance
        trial = problem.step(change, slope, search.size.clone())
        value, trial_slope = _remembered(loss, origin + trial)
        taken = going.clone()
        rows = everyone[going]
        taken[rows] = search.judge(rows, trial.detach()[rows], value.detach()[rows], trial_slope.detach()[rows])
        moved = per_image(taken, change)
        change, slope = torch.where(moved, trial, change), torch.where(moved, trial_slope, slope)
    return origin + change


def _remembered(loss: Loss, images: Tensor) -> tuple[Tensor, Tensor]:
    at = images if images.requires_grad else images.requires_grad_()
    value = loss(at)
    (slope,) = torch.autograd.grad(value.sum(), at, create_graph=True)
    return value, slope
