"""The smallest change that turns a decision round: the largest weight of the distance at which it still turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from slicerxai.alignment.autoencoder import Autoencoder
from slicerxai.alignment.counterfactual import counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.latent import latent_counterfactual
from slicerxai.explain.counterfactual_decisions import Decision, Reading
from slicerxai.explain.counterfactual_images import Writer, Written
from slicerxai.explain.counterfactual_parameters import CounterfactualParameters
from slicerxai.progress import Progress, part

WEIGHTS: Final = (0.5, 0.25, 0.12, 0.05, 0.02, 0.008)
"""Tried in this order, each from where the last one ended, until the decision turns."""
HALVINGS: Final = 2
"""How often the interval between a weight that turns it and one that does not is then halved (geometrically)."""
SECOND_THOUGHTS: Final = 2
"""Smaller weights that are tried when the whole model, on the written image, still decides as before."""
TOLERANCE: Final = 0.02
MOST_OF_CHANGE: Final = 0.9
"""A squared distance and a latent space leave hardly a voxel unchanged: those that carry this share of the change are
kept off the next one."""

Confirm = Callable[[Written, Progress], Reading]
"""What the whole model makes of written images."""


@dataclass(frozen=True)
class Trial:
    """A change that the solver found.

    Attributes:
        number: of the counterfactual, from 1 in the order of the search.
        change: (C, I, J, K) on the prepared grid, network's units; exact zeros where nothing changes.
        alpha: relative weight at which it was found.
        residual: distance from optimality, relative to the gradient at the original image.
        steps: of the solver, at this weight.
        seen: what the model makes of the prepared image + change.
    """

    number: int
    change: Tensor
    alpha: float
    residual: float
    steps: int
    seen: Reading

    @property
    def changed_voxels(self) -> int:
        """On the prepared grid, over all channels together."""
        return int((self.change != 0).any(0).sum())


@dataclass(frozen=True)
class Solution:
    """A change that was written into the images.

    Attributes:
        written: the changed images on their own grids.
        after: what the model makes of those, prepared anew.
    """

    trial: Trial
    written: Written
    after: Reading


class Search:
    """Looks for counterfactuals of one decision."""

    def __init__(
        self,
        decision: Decision,
        writer: Writer,
        allowed: Tensor,
        parameters: CounterfactualParameters,
        device: torch.device,
        confirm: Confirm,
        autoencoder: Autoencoder | None = None,
    ) -> None:
        """Prepare.

        Args:
            allowed: bool (C, I, J, K), where a change has a counterpart in the image.
            device: where the network is.
            autoencoder: of the decision's part of the image, to search in its latent space.
        """
        self._decision, self._writer, self._confirm = decision, writer, confirm
        self._allowed, self._device, self._autoencoder = allowed, device, autoencoder
        self._count, self._alpha = parameters.count, parameters.alpha
        values = writer.prepared.tensor[allowed]
        self._settings = SolverParameters(
            distance=parameters.distance,
            steps=parameters.steps,
            tolerance=TOLERANCE,
            low=float(values.min()),
            high=float(values.max()),
        )

    def gallery(self, progress: Progress) -> list[Solution]:
        """Counterfactuals, each kept off the voxels that the earlier ones changed; the last one may turn nothing."""
        allowed, found = self._allowed, list[Solution]()
        for number in range(1, self._count + 1):
            if not bool(self._decision.part(allowed.float()).any()):
                break
            solution = self._one(number, allowed, part(progress, (number - 1) / self._count, number / self._count))
            found.append(solution)
            if not solution.after.turned:
                break
            sparse = self._settings.distance == "l1" and self._autoencoder is None
            allowed = allowed & ~_kept_off(solution.trial.change, sparse=sparse)
        return found

    def _one(self, number: int, allowed: Tensor, progress: Progress) -> Solution:
        """The smallest change that turns the decision, or the last one tried."""
        tensor = self._writer.prepared.tensor
        solve = _Solve(self._decision, tensor, allowed, self._settings, self._device, number, self._autoencoder)
        if self._alpha is not None:
            only = self._written(solve(self._alpha, part(progress, 0.0, 0.7)), part(progress, 0.7, 0.8))
            return self._confirmed(only, part(progress, 0.8, 1.0))
        solution, failed = self._coarse(solve, part(progress, 0.0, 0.5))
        if not solution.after.turned:
            return solution
        stronger = [alpha for alpha in WEIGHTS if alpha < solution.trial.alpha][:SECOND_THOUGHTS]
        for turn in range(HALVINGS):
            now = part(progress, 0.5 + 0.1 * turn, 0.6 + 0.1 * turn)
            trial = solve(sqrt(solution.trial.alpha * failed), part(now, 0.0, 0.8))
            middle = self._written(trial, part(now, 0.8, 1.0)) if trial.seen.turned else None
            if middle is not None and middle.after.turned:
                solution = middle
            else:
                failed = trial.alpha
        solution = self._confirmed(solution, part(progress, 0.7, 0.85))
        for alpha in stronger:
            if solution.after.turned:
                break
            solution = self._written(solve(alpha, part(progress, 0.85, 0.9)), part(progress, 0.9, 0.92))
            solution = self._confirmed(solution, part(progress, 0.92, 1.0))
        return solution

    def _coarse(self, solve: _Solve, progress: Progress) -> tuple[Solution, float]:
        """The first of the weights at which the decision turns, or else the last, and the last at which it did not."""
        failed = 1.0
        for index, alpha in enumerate(WEIGHTS):
            now = part(progress, index / len(WEIGHTS), (index + 1) / len(WEIGHTS))
            trial = solve(alpha, part(now, 0.0, 0.8))
            if trial.seen.turned or alpha == WEIGHTS[-1]:
                solution = self._written(trial, part(now, 0.8, 1.0))
                if solution.after.turned:
                    break
            failed = alpha
        return solution, failed

    def _written(self, trial: Trial, progress: Progress) -> Solution:
        written = self._writer.write(trial.change, progress)
        if written.same_grid:
            return Solution(trial, written, self._decision.read(written.prepared.tensor))
        return Solution(trial, written, replace(trial.seen, turned=False))

    def _confirmed(self, solution: Solution, progress: Progress) -> Solution:
        if not solution.after.turned:
            return solution
        return replace(solution, after=self._confirm(solution.written, progress))


class _Solve:
    """Solves for one counterfactual at one weight after the other, each from the last change."""

    def __init__(
        self,
        decision: Decision,
        tensor: Tensor,
        allowed: Tensor,
        settings: SolverParameters,
        device: torch.device,
        number: int,
        autoencoder: Autoencoder | None,
    ) -> None:
        self._autoencoder = autoencoder
        self._decision, self._tensor, self._settings, self._number = decision, tensor, settings, number
        self._origin = decision.part(tensor).to(device)
        self._where = (decision.part(allowed.float()) > 0).to(device)
        self._start: Tensor | None = None

    def __call__(self, alpha: float, progress: Progress) -> Trial:
        def solving(fraction: float, message: str) -> None:
            progress(fraction, f"counterfactual {self._number}, weight {alpha:.2g}: {message.partition(':')[0]}")

        settings = self._settings.model_copy(update={"alpha": alpha})
        loss, origin, where = self._decision.loss, self._origin, self._where
        if self._autoencoder is None:
            found = counterfactual(loss, origin, settings, allowed=where, start=self._start, progress=solving)
            moved = found.change
        else:
            drawn = latent_counterfactual(
                loss, self._autoencoder, origin, settings, allowed=where, start=self._start, progress=solving
            )
            found, moved = drawn.latent, drawn.change
        self._start = found.change
        change = self._decision.whole(moved.cpu(), self._tensor)
        seen = self._decision.read(self._tensor + change)
        return Trial(self._number, change, alpha, float(found.residual[0]), int(found.iterations[0]), seen)


def _kept_off(change: Tensor, *, sparse: bool) -> Tensor:
    """Voxels, (1, I, J, K), on or next to those that carry a change."""
    size = change.abs().sum(0).numpy()
    carries = size > 0
    if not sparse:
        order = np.sort(size.ravel())[::-1]
        enough = int(np.searchsorted(np.cumsum(order), MOST_OF_CHANGE * order.sum()))
        carries = size >= order[min(enough, order.size - 1)]
    reach = np.ones(tuple(min(3, n) for n in size.shape))
    return torch.from_numpy(ndimage.binary_dilation(carries, reach))[None]
