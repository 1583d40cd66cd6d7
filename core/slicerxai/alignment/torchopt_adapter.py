"""The implicit gradient through TorchOpt's `custom_root`: the one place that knows that library."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchopt
from torch import Tensor, nn
from torch.func import functional_call, grad

from slicerxai.alignment.counterfactual import Counterfactuals
from slicerxai.alignment.counterfactual_parameters import LinearSolve
from slicerxai.alignment.linear_system import Report, Solution, curvature, curvature_along, dot, norm, relative, summary
from slicerxai.alignment.losses import Loss
from slicerxai.alignment.problem import per_image

warnings.filterwarnings("ignore", category=FutureWarning, module=r"torchopt\.")  # it calls torch.func by an old name

Tensors = tuple[Tensor, ...]


def torchopt_root(
    network: nn.Module, loss: Loss, found: Counterfactuals, parameters: LinearSolve, report: Report | None
) -> Tensor:
    """As `implicit`, with TorchOpt's conjugate gradients over the batch as one block-diagonal system.

    Where negative curvature is met, its iteration goes on; the report counts the images.
    """
    owner = _Owner(network, loss)
    named = {name: weight for name, weight in owner.named_parameters() if weight.requires_grad}
    free, curved = found.free, curvature(found)

    def optimality(images: Tensor, *weights: Tensor) -> Tensor:
        """Derivative of eq. 2 on the free support; elsewhere the images stay. Its Jacobian is symmetric."""
        moving = torch.where(free, images, found.images)

        def total(at: Tensor) -> Tensor:
            value: Tensor = functional_call(owner, dict(zip(named, weights, strict=True)), (at,))
            return value.sum()

        slope = grad(total)(moving) + curved * (moving - found.images)
        return torch.where(free, slope, images - found.images)

    def solver(_: Tensor, *weights: Tensor) -> Tensor:
        return found.images.clone()

    def linear(matvec: Callable[[Tensors], Tensors], wanted: Tensors) -> Tensors:
        # off the support the system is the identity, and nothing of the incoming gradient belongs to the weights
        vector = (torch.where(free, wanted[0], 0),)
        solution = _solve(lambda v: matvec((v,))[0], vector[0], parameters)
        if report is not None:
            report.update(summary(free, solution))
        return (solution.vector,)

    places = tuple(range(1, len(named) + 1))
    rooted: Any = torchopt.diff.implicit.custom_root(optimality, argnums=places, solve=linear)(solver)
    images: Tensor = rooted(found.images, *named.values())
    return images


class _Owner(nn.Module):
    """A loss as a module that owns the network, so that the network's weights can be replaced in a call."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(self, images: Tensor) -> Tensor:
        return self.loss(images)


def _solve(matvec: Callable[[Tensor], Tensor], wanted: Tensor, parameters: LinearSolve) -> Solution:
    shift = parameters.ridge * curvature_along(matvec(wanted), wanted) if parameters.ridge else None
    negative = torch.zeros(len(wanted), dtype=torch.bool, device=wanted.device)
    products = 0

    def product(vector: Tensor) -> Tensor:
        nonlocal negative, products
        products += 1
        image = matvec(vector)
        if shift is not None:
            image = image + per_image(shift, vector) * vector
        negative = negative | ((dot(vector, image) <= 0) & (dot(vector, vector) > 0))
        return image

    solver = torchopt.linear_solve.solve_cg(rtol=parameters.tolerance, maxiter=parameters.iterations)
    vector: Tensor = solver(product, wanted)
    left = relative(norm(product(vector) - wanted), norm(wanted))
    return Solution(vector, left, products - 2, negative)  # one product starts its iteration, one is the check
