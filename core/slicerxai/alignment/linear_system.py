"""Linear systems of the implicit gradient (eq. 4), one per image, without ever forming a matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slicerxai.alignment.counterfactual import Counterfactuals
from slicerxai.alignment.counterfactual_parameters import LinearSolve
from slicerxai.alignment.distances import is_l1
from slicerxai.alignment.problem import per_image

Report = dict[str, float]
Matvec = Callable[[Tensor, Tensor], Tensor]


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

    Args:
        matvec: (vectors (n, C, *spatial), rows (n,)) to the products of the matrices of those rows of the batch.
        wanted: (B, C, *spatial), the right-hand sides.
        parameters: solver, ridge, iterations and tolerance.
    """
    everyone = torch.arange(len(wanted), device=wanted.device)
    shift = torch.zeros_like(norm(wanted))
    if parameters.ridge:
        shift = parameters.ridge * curvature_along(matvec(wanted, everyone), wanted)

    def product(vector: Tensor, rows: Tensor) -> Tensor:
        return matvec(vector, rows) + per_image(shift[rows], vector) * vector

    if parameters.solver == "normal_cg":
        found = _conjugate(lambda v, rows: product(product(v, rows), rows), product(wanted, everyone), parameters)
    else:
        found = _conjugate(product, wanted, parameters)
    left = norm(product(found.vector, everyone) - wanted)
    return Solution(found.vector, relative(left, norm(wanted)), found.iterations, found.negative)


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
    solved = Solution.nothing(wanted)
    rows = (norm(wanted) > 0).nonzero().flatten()
    state = _State.begin(wanted[rows])
    enough = parameters.tolerance**2 * state.square
    iterations = 0
    while len(rows) and iterations < parameters.iterations:
        iterations += 1
        going, negative = state.advance(product(state.direction, rows), enough)
        solved.negative[rows[negative]] = True
        if going.all():
            continue
        solved.vector[rows] = state.vector
        state.direction[~going] = 0
        if 2 * int(going.sum()) <= len(rows):  # a product with fewer images needs a graph of its own
            rows, enough, state = rows[going], enough[going], state.part(going)
    solved.vector[rows] = state.vector
    return replace(solved, iterations=iterations)


@dataclass
class _State:
    """Conjugate gradients under way. An image that is done has a direction of 0 and stays."""

    vector: Tensor
    rest: Tensor
    direction: Tensor
    square: Tensor

    @classmethod
    def begin(cls, wanted: Tensor) -> _State:
        return cls(torch.zeros_like(wanted), wanted.clone(), wanted.clone(), dot(wanted, wanted))

    def advance(self, image: Tensor, enough: Tensor) -> tuple[Tensor, Tensor]:
        """One iteration, given the product with `direction`. Returns which go on, and which met negative curvature."""
        going = (self.direction != 0).flatten(1).any(1)
        bend = dot(self.direction, image)
        negative = going & (bend <= 0)
        going = going & ~negative
        length = torch.where(going, relative(self.square, bend), 0)
        self.vector = self.vector + per_image(length, image) * self.direction
        self.rest = self.rest - per_image(length, image) * image
        now = dot(self.rest, self.rest)
        self.direction = self.rest + per_image(relative(now, self.square), image) * self.direction
        self.square = now
        return going & (now > enough), negative

    def part(self, going: Tensor) -> _State:
        return _State(self.vector[going], self.rest[going], self.direction[going], self.square[going])


def curvature(found: Counterfactuals) -> Tensor:
    """Diagonal of alpha · ∇²d, (B, 1, …): 0 for l1, which is straight off its kink."""
    weight = per_image(found.alpha, found.change)
    if is_l1(found.parameters.distance):
        return torch.zeros_like(weight)
    return 2 * weight if found.scale is None else 2 * weight / found.scale


def curvature_along(image: Tensor, vector: Tensor) -> Tensor:
    """|Hv| / |v| of each image, (B,), given Hv."""
    return relative(norm(image), norm(vector))


def relative(one: Tensor, other: Tensor) -> Tensor:
    """Quotient, and `one` itself where `other` is 0."""
    return one / torch.where(other == 0, 1, other)


def dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner product of each image, (B,)."""
    return (one * other).flatten(1).sum(1)


def norm(vector: Tensor) -> Tensor:
    """Euclidean length of each image, (B,)."""
    return vector.flatten(1).norm(dim=1)
