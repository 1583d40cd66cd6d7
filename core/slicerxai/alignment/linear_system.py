"""Linear systems of the implicit gradient (eq. 4), one per image, without ever forming a matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from slicerxai.alignment.counterfactual import Counterfactuals
from slicerxai.alignment.counterfactual_parameters import LinearSolve
from slicerxai.alignment.distances import is_l1
from slicerxai.alignment.problem import per_image

Report = dict[str, float]
Matvec = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Solution:
    """Solution of the linear systems of a batch.

    Attributes:
        vector: (B, C, *spatial).
        residual: (B,), relative to the right-hand side.
        iterations: of the image that took the most.
        negative: (B,) bool, images that met a direction without positive curvature.
    """

    vector: Tensor
    residual: Tensor
    iterations: int
    negative: Tensor

    @classmethod
    def nothing(cls, like: Tensor) -> Solution:
        """Of systems without unknowns."""
        flat = like.flatten(1)[:, 0]
        return cls(torch.zeros_like(like), torch.zeros_like(flat), 0, torch.zeros_like(flat, dtype=torch.bool))


def solve(matvec: Matvec, wanted: Tensor, parameters: LinearSolve) -> Solution:
    """Conjugate gradients, one system per image, all in one batch.

    With `cg`, an image whose direction has no positive curvature keeps the solution it has so far, as a truncated
    Newton method does. With `normal_cg`, A² z = A v is solved, for which the sign of the curvature is no matter.
    """
    shift = parameters.ridge * curvature_along(matvec, wanted) if parameters.ridge else None

    def product(vector: Tensor) -> Tensor:
        given = matvec(vector)
        return given if shift is None else given + per_image(shift, vector) * vector

    if parameters.solver == "normal_cg":
        found = _conjugate(lambda v: product(product(v)), product(wanted), parameters)
    else:
        found = _conjugate(product, wanted, parameters)
    left = norm(product(found.vector) - wanted)
    scale = norm(wanted)
    return Solution(found.vector, left / torch.where(scale > 0, scale, 1), found.iterations, found.negative)


def summary(free: Tensor, solution: Solution) -> Report:
    """The figures of `implicit`'s report."""
    sizes = free.flatten(1).sum(1)
    return {
        "linear_residual": float(solution.residual.mean()),
        "linear_residual_max": float(solution.residual.max()),
        "linear_iterations": float(solution.iterations),
        "support": float(sizes.float().mean()),
        "empty": float((sizes == 0).sum()),
        "negative_curvature": float(solution.negative.sum()),
    }


def _conjugate(product: Matvec, wanted: Tensor, parameters: LinearSolve) -> Solution:
    vector, rest = torch.zeros_like(wanted), wanted.clone()
    direction, square = rest, dot(rest, rest)
    enough = parameters.tolerance**2 * square
    negative = torch.zeros(len(wanted), dtype=torch.bool, device=wanted.device)
    active = square > 0
    iterations = 0
    while iterations < parameters.iterations and bool(active.any()):
        iterations += 1
        image = product(direction)
        bend = dot(direction, image)
        negative |= active & (bend <= 0)
        active = active & (bend > 0)
        length = torch.where(active, square / torch.where(active, bend, 1), 0)
        vector = vector + per_image(length, vector) * direction
        rest = rest - per_image(length, rest) * image
        now = dot(rest, rest)
        active = active & (now > enough)
        ratio = torch.where(active, now / torch.where(square > 0, square, 1), 0)
        direction = torch.where(per_image(active, rest), rest + per_image(ratio, rest) * direction, 0)
        square = now
    return Solution(vector, square, iterations, negative)


def curvature(found: Counterfactuals) -> Tensor:
    """Diagonal of alpha · ∇²d, (B, 1, …): 0 for l1, which is straight off its kink."""
    weight = per_image(found.alpha, found.change)
    if is_l1(found.parameters.distance):
        return torch.zeros_like(weight)
    return 2 * weight if found.scale is None else 2 * weight / found.scale


def curvature_along(matvec: Matvec, vector: Tensor) -> Tensor:
    """|Hv| / |v| of each image, (B,)."""
    size = norm(vector)
    return norm(matvec(vector)) / torch.where(size > 0, size, 1)


def dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner product of each image, (B,)."""
    return (one * other).flatten(1).sum(1)


def norm(vector: Tensor) -> Tensor:
    """Euclidean length of each image, (B,)."""
    return vector.flatten(1).norm(dim=1)
