"""Counterfactual images (eq. 2): the smallest change that makes a model decide otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.line_search import LineSearch
from slicerxai.alignment.losses import Loss, rows_of
from slicerxai.alignment.problem import gradient, pose, take
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class Counterfactuals:
    """Counterfactuals of a batch.

    Attributes:
        images: (B, C, *spatial), x* = x0 + change.
        change: (B, C, *spatial), exactly 0 off the support.
        support: bool, change is not 0.
        free: bool, places of the support that are not at a bound: there the derivative of eq. 2 is 0.
        residual: (B,), how far from optimal: the largest derivative that still leads down, relative to the largest at
            the original image.
        iterations: (B,) int, proximal steps.
        loss: (B,), of `images`.
        alpha: (B,), the absolute weight of the distance.
        parameters: how they were searched.
        scale: (C, *spatial) of the distance, or None.
    """

    images: Tensor
    change: Tensor
    support: Tensor
    free: Tensor
    residual: Tensor
    iterations: Tensor
    loss: Tensor
    alpha: Tensor
    parameters: SolverParameters
    scale: Tensor | None


def counterfactual(
    loss: Loss,
    images: Tensor,
    parameters: SolverParameters,
    *,
    scale: Tensor | None = None,
    allowed: Tensor | None = None,
    start: Tensor | None = None,
    progress: Progress = silent,
) -> Counterfactuals:
    """Solve eq. 2 for each image on its own.

    Proximal gradient steps with Barzilai–Borwein sizes and a non-monotone line search for each image (SpaRSA, Wright
    et al. 2009): one gradient a step, zeros are exact, and the loss need not be convex. An image stops when its
    residual is at most `parameters.tolerance`; with a `RowLoss` it then costs nothing more.

    Args:
        loss: of images (B, C, *spatial), (B,); see `losses`. A plain callable must take the whole batch.
        images: (B, C, *spatial), x0.
        parameters: distance, weight, steps, tolerance, bounds of values.
        scale: (C, *spatial), see `distances.feature_scale`.
        allowed: broadcastable to the images, not 0 where a change is allowed.
        start: (B, C, *spatial), a change to begin with, such as that of an earlier epoch.
        progress: called at each step.

    Returns:
        The counterfactuals, detached. Parameters of networks are left without gradients.
    """
    origin = images.detach()
    value, slope = gradient(loss, origin)
    problem = pose(origin, slope, parameters, scale, allowed)
    change = torch.zeros_like(origin)
    if start is not None:
        change = torch.clamp(start.detach(), problem.low, problem.high)
        value, slope = gradient(loss, origin + change)
    search = LineSearch(problem, change, value, slope)
    for step in range(parameters.steps):
        rows = search.unfinished(parameters.tolerance)
        progress(step / parameters.steps, f"step {step + 1}: {len(rows)} of {len(origin)} images left")
        if not len(rows):
            break
        trial = search.propose(rows)
        search.judge(rows, trial, *gradient(rows_of(loss, origin, rows), take(origin, rows) + trial))
    progress(1.0, "solved")
    return _result(search, parameters)


def _result(search: LineSearch, parameters: SolverParameters) -> Counterfactuals:
    problem, change = search.problem, search.change
    support = change != 0
    return Counterfactuals(
        images=problem.origin + change,
        change=change,
        support=support,
        free=support & (change > problem.low) & (change < problem.high),
        residual=search.residual,
        iterations=search.iterations,
        loss=search.value,
        alpha=problem.alpha,
        parameters=parameters,
        scale=problem.scale,
    )
