"""Counterfactuals as a differentiable function of the network's parameters (Theorem 4.1)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from slicerxai.alignment.counterfactual import Counterfactuals
from slicerxai.alignment.counterfactual_parameters import LinearSolve
from slicerxai.alignment.linear_system import Report, Solution, curvature, solve, summary
from slicerxai.alignment.losses import Loss, rows_of
from slicerxai.alignment.problem import gradient, largest, per_image

__all__ = ["LinearSolve", "implicit"]


def implicit(
    network: nn.Module,
    loss: Loss,
    found: Counterfactuals,
    parameters: LinearSolve,
    report: Report | None = None,
) -> Tensor:
    """The counterfactual images, with the derivative that the implicit function theorem gives them.

    For an incoming gradient v the backward pass solves (H_SS + ridge) z = v_S on the free support S of each image,
    H = ∇²(loss + alpha · d), and gives -∂_θ⟨∇_x loss(x*), z⟩ to the parameters θ of the network. On the rest of the
    image x* does not move with θ: l1 holds it at x0, or a bound holds it. `found.alpha` is a constant. With an empty
    support the gradient is exactly zero.

    Args:
        network: whose parameters that require gradients receive them; `loss` must depend on it.
        loss: the one that `found` minimises.
        found: counterfactuals, converged: the error of the gradient is that of their residual.
        parameters: how the linear system is solved.
        report: filled in the backward pass: `linear_residual` and `linear_residual_max` (relative, mean and largest of
            the images), `linear_iterations`, `support` (mean places of the free support), `empty` and
            `negative_curvature` (numbers of images).

    Returns:
        (B, C, *spatial), equal to `found.images`.
    """
    weights = tuple(weight for weight in network.parameters() if weight.requires_grad)
    if not weights:
        return found.images.clone()
    images: Tensor
    if parameters.solver == "torchopt":
        from slicerxai.alignment.torchopt_adapter import torchopt_root

        images = torchopt_root(network, loss, found, parameters, report)
    else:
        images = _Implicit.apply(loss, found, parameters, report, *weights)
    return images


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        loss: Loss,
        found: Counterfactuals,
        parameters: LinearSolve,
        report: Report | None,
        *weights: Tensor,
    ) -> Tensor:
        ctx.task = loss, found, parameters, report, weights
        return found.images.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, ...]:
        loss, found, parameters, report, weights = ctx.task
        free = found.free
        wanted = torch.where(free, incoming[0], 0)
        if not free.any():
            if report is not None:
                report.update(summary(free, Solution.nothing(wanted)))
            return None, None, None, None, *(torch.zeros_like(weight) for weight in weights)
        hessian = _Hessian(loss, found, parameters)
        solution = solve(hessian, wanted, parameters)
        if report is not None:
            report.update(summary(free, solution))
        slope = hessian.slope(torch.arange(len(free), device=free.device))
        given = torch.autograd.grad(slope, weights, -solution.vector, allow_unused=True)
        filled = (torch.zeros_like(w) if g is None else g for g, w in zip(given, weights, strict=True))
        return None, None, None, None, *filled


class _Hessian:
    """Products with H_SS of some rows of a batch at a time, and the gradient of the loss that they come from."""

    def __init__(self, loss: Loss, found: Counterfactuals, parameters: LinearSolve) -> None:
        self.loss, self.found, self.parameters = loss, found, parameters
        self.curvature = curvature(found)
        self._rows: Tensor | None = None

    def __call__(self, vector: Tensor, rows: Tensor) -> Tensor:
        if self.parameters.products == "exact":
            slope = self.slope(rows)
            (product,) = torch.autograd.grad(slope, self._at, vector, retain_graph=True)
        else:
            product = _difference(rows_of(self.loss, self.found.images, rows), self.found.images[rows], vector)
        return torch.where(self.found.free[rows], product + self.curvature[rows] * vector, 0)

    def slope(self, rows: Tensor) -> Tensor:
        """∇_x loss at the counterfactuals of some rows, differentiable; kept until other rows are asked for."""
        if self._rows is None or not torch.equal(self._rows, rows):
            with torch.enable_grad():
                self._at = self.found.images[rows].requires_grad_()
                value = rows_of(self.loss, self.found.images, rows)(self._at)
                (self._slope,) = torch.autograd.grad(value.sum(), self._at, create_graph=True)
            self._rows = rows
        return self._slope


def _difference(loss: Loss, images: Tensor, vector: Tensor) -> Tensor:
    """Product with the Hessian of the loss by central differences of its gradient."""
    size = largest(vector)
    step = torch.finfo(vector.dtype).eps ** (1 / 3) / torch.where(size > 0, size, 1)
    far = per_image(step, vector) * vector
    ahead, behind = gradient(loss, images + far)[1], gradient(loss, images - far)[1]
    return (ahead - behind) / (2 * per_image(step, vector))
