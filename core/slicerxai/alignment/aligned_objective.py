"""What aligned training adds to one step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.alignment_loss import off_mask, off_mask_share
from slicerxai.alignment.counterfactual import counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.distances import is_l1
from slicerxai.alignment.implicit import implicit
from slicerxai.alignment.losses import Loss, RowLoss, label_loss
from slicerxai.alignment.masked_images import MaskedImages
from slicerxai.errors import InputError


@dataclass(frozen=True)
class StepRecord:
    """What one step saw; NaN for what it did not make.

    Attributes:
        loss: classification loss of the images as they are.
        residual: mean relative residual of the linear solve.
    """

    loss: float
    residual: float = nan


class AlignedObjective:
    """Gradients of one step of aligned training.

    For each image with a mask, and one of its labels drawn at random:

    - the sparse change *outside* of the mask that turns the label round is searched (`outer_change`), and the image
      with it shall keep its true labels (`invariance`): an intervention outside of the mask must not change the
      decision. The change counts as fixed, so that this needs first derivatives only (at an optimum of the search its
      derivative does not matter, by the envelope theorem, but for the cost of the change);
    - the counterfactual (eq. 2) is searched without that restriction, and eq. 3 or the share of its change outside of
      the mask gets smaller through the implicit gradient (`objective`).

    Images with an empty mask count in the classification loss alone.
    """

    def __init__(
        self,
        network: nn.Module,
        parameters: AlignmentParameters,
        positive_weights: Tensor | None,
        values: tuple[float, float],
        scale: Tensor | None = None,
    ) -> None:
        """The objective of a network.

        Args:
            network: (B, C, *spatial) to logits (B, L).
            positive_weights: (L,) of the binary cross-entropy, or None.
            values: smallest and largest value of the training images.
            scale: (C, *spatial) of the distance outside of the mask, or None.
        """
        self.network, self.parameters, self.positive_weights = network, parameters, positive_weights
        self.values, self.scale = values, scale

    def backward(
        self, images: Tensor, labels: Tensor, masks: Tensor, generator: Generator, *, aligned: bool, implicitly: bool
    ) -> StepRecord:
        """Add the gradients of one batch to those of the network's parameters.

        Args:
            images: (B, C, *spatial).
            labels: (B, L) in {0, 1}.
            masks: (B, 1, *spatial) in {0, 1}.
            generator: on the CPU, draws the labels.
            aligned: False for classification alone.
            implicitly: whether `objective` counts in this step.
        """
        parameters = self.parameters
        rows = masks.flatten(1).any(1).nonzero().flatten()
        if not aligned or not len(rows):
            return StepRecord(self._classify(images, labels, images[:0], labels[:0]))
        inner, inside, kept = images[rows], masks[rows], labels[rows]
        changed, residual = inner[:0], nan
        with evaluating(self.network):
            loss = label_loss(self.network, 1 - kept, _one_label(kept, generator))
            if implicitly and parameters.objective != "none":
                residual = self._align(loss, inner, inside, len(images))
            if parameters.invariance > 0:
                changed = inner + outer_change(loss, inner, inside, parameters, self.values, self.scale)
        return StepRecord(self._classify(images, labels, changed, kept[: len(changed)]), residual)

    def off_mask(self, images: Tensor, labels: Tensor, masks: Tensor) -> tuple[float, float]:
        """Of the images with a mask: mean share of the counterfactual change outside of it, mean size of the support.

        Every label is to turn round. NaN when no image has a mask.
        """
        rows = masks.flatten(1).any(1).nonzero().flatten()
        if not len(rows):
            return nan, nan
        with evaluating(self.network):
            loss = label_loss(self.network, 1 - labels[rows], torch.ones_like(labels[rows], dtype=torch.bool))
            found = counterfactual(loss, images[rows], within(self.parameters.solver, self.values))
        share, support = off_mask_share(found.change, masks[rows]), found.support.flatten(1).sum(1)
        return float(share.mean()), float(support.float().mean())

    def _classify(self, images: Tensor, labels: Tensor, changed: Tensor, kept: Tensor) -> float:
        """Backward of the classification loss of images, and of changed ones with their weight. The first of them."""
        logits = self.network(torch.cat([images, changed]))
        loss = self._cross_entropy(logits[: len(images)], labels)
        total = loss
        if len(changed):
            weight = self.parameters.invariance * len(changed) / len(images)
            total = loss + weight * self._cross_entropy(logits[len(images) :], kept)
        total.backward()
        return float(loss.detach())

    def _align(self, loss: RowLoss, images: Tensor, masks: Tensor, batch: int) -> float:
        """Backward of the objective. Residual of its linear solve."""
        parameters, report = self.parameters, dict[str, float]()
        found = counterfactual(loss, images, within(parameters.solver, self.values))
        change = implicit(self.network, loss, found, parameters.linear, report) - images
        measure = off_mask if parameters.objective == "published" else off_mask_share
        (parameters.weight * measure(change, masks).sum() / batch).backward()
        return report["linear_residual"]

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            logits, labels.to(logits.dtype), pos_weight=self.positive_weights
        )


def outer_change(
    loss: Loss,
    images: Tensor,
    masks: Tensor,
    parameters: AlignmentParameters,
    values: tuple[float, float],
    scale: Tensor | None = None,
) -> Tensor:
    """Eq. 2 with a fixed weight, solved for changes outside of the masks alone: (B, C, *spatial), detached.

    The weight is such that one value's way across the whole range costs `parameters.cost`. It is a fixed one on
    purpose: a network that hardly looks outside is left in peace. With a weight relative to the gradient outside there
    is always a change, and a network that has not learned anything yet cannot begin.

    Args:
        loss: (B,) of images, small when a label is turned round; its network in eval mode.
        images: (B, C, *spatial).
        masks: (B, 1, *spatial), 1 where nothing may change.
        parameters: `cost`, `distance` and `steps` count.
        values: smallest and largest value that a change leads to.
        scale: (C, *spatial) of the distance, see `distances.feature_scale`; None is 1 everywhere.
    """
    low, high = values
    way = high - low if is_l1(parameters.distance) else (high - low) ** 2
    solver = SolverParameters(
        distance=parameters.distance,
        alpha_absolute=parameters.cost / way * (1 if scale is None else float(scale.mean())),
        steps=parameters.steps,
        tolerance=1e-2,
        low=low,
        high=high,
    )
    return counterfactual(loss, images, solver, scale=scale, allowed=1 - masks).change


def within(solver: SolverParameters, values: tuple[float, float]) -> SolverParameters:
    """The solver with bounds; those it has already stay."""
    low = values[0] if solver.low is None else solver.low
    high = values[1] if solver.high is None else solver.high
    return solver.model_copy(update={"low": low, "high": high})


def range_of(images: MaskedImages) -> tuple[float, float]:
    """Smallest and largest value of all images. Raises `InputError` when they are one."""
    found = [images[index][0].aminmax() for index in range(len(images))]
    low, high = min(float(low) for low, _ in found), max(float(high) for _, high in found)
    if not low < high:
        msg = f"every value of the training images is {low:g}"
        raise InputError(msg)
    return low, high


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in eval mode for a while: no batch statistics, no dropout."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _one_label(labels: Tensor, generator: Generator) -> Tensor:
    """One label of each image at random, (B, L) bool."""
    count, width = labels.shape
    drawn = torch.randint(width, (count, 1), generator=generator).to(labels.device)
    return torch.zeros_like(labels, dtype=torch.bool).scatter(1, drawn, value=True)
