"""Sizes of proximal steps, image by image."""

from __future__ import annotations

import torch
from torch import Tensor

from slicerxai.alignment.problem import Problem, take

MEMORY = 5
"""Past values that a step is compared with: it must fall below their largest, not below the last."""
SUFFICIENT = 1e-4
"""Share of the predicted decrease that a step must bring."""
ROUNDING = 40
"""Error of the values, in units of their precision."""
SHRINK = 0.1
GROW = 20.0
"""How far the size of a step falls after one that was refused, and may rise after one that was taken."""


class LineSearch:
    """Barzilai–Borwein sizes and a non-monotone line search (SpaRSA: Wright, Nowak and Figueiredo, 2009).

    Attributes:
        problem: eq. 2 of the batch.
        change, value, slope: where each image is: change (B, C, *spatial), loss (B,), gradient of the loss.
        residual: (B,), see `Problem.residual`.
        iterations: (B,), trials judged.
        size: (B,), of the next step.
    """

    def __init__(self, problem: Problem, change: Tensor, value: Tensor, slope: Tensor) -> None:
        self.problem = problem
        self.change, self.value, self.slope = change, value, slope
        self.residual = problem.residual(change, slope)
        self.iterations = torch.zeros(len(change), dtype=torch.long, device=change.device)
        self._past = problem.objective(value, change).expand(MEMORY, -1).clone()
        # Polyak's size for a loss whose minimum is 0: nothing is known about the curvature yet
        steepness = slope.flatten(1).square().sum(1)
        self.size = torch.where(steepness > 0, value / torch.where(steepness > 0, steepness, 1), 1)

    def unfinished(self, tolerance: float) -> Tensor:
        """Index (n,) of the images whose residual is above a tolerance."""
        return (self.residual > tolerance).nonzero().flatten()

    def propose(self, rows: Tensor) -> Tensor:
        """The next change of some images, (n, C, *spatial)."""
        return self.problem.rows(rows).step(take(self.change, rows), take(self.slope, rows), take(self.size, rows))

    def judge(self, rows: Tensor, trial: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        """Take the trials that bring enough, and choose the sizes of the next ones.

        Args:
            rows: (n,), images that were tried.
            trial: (n, C, *spatial), their proposed changes.
            value: (n,), loss there.
            slope: (n, C, *spatial), gradient of the loss there.

        Returns:
            (n,) bool, which were taken.
        """
        problem, size = self.problem.rows(rows), take(self.size, rows)
        moved = (trial - take(self.change, rows)).flatten(1)
        length = moved.square().sum(1)
        target = problem.objective(value, trial)
        limit = self._past[:, rows].amax(0)
        rounding = ROUNDING * torch.finfo(target.dtype).eps * limit.abs()
        taken = target <= limit - SUFFICIENT * length / (2 * size) + rounding
        bend = (moved * (slope - take(self.slope, rows)).flatten(1)).sum(1)
        longest = torch.where(length > 0, GROW * size, size)
        fitting = torch.where(bend > 0, torch.minimum(length / torch.where(bend > 0, bend, 1), longest), longest)
        self.size[rows] = torch.where(taken, fitting, SHRINK * size)
        self.iterations[rows] += 1
        kept = rows[taken]
        index = taken.nonzero().flatten()
        change, gradient = take(trial, index), take(slope, index)
        self.change[kept], self.value[kept], self.slope[kept] = change, value[taken], gradient
        self._past[self.iterations[kept] % MEMORY, kept] = target[taken]
        self.residual[kept] = self.problem.rows(kept).residual(change, gradient)
        return taken
