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
from slicerxai.alignment.counterfactual import Counterfactuals, counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.implicit import implicit
from slicerxai.alignment.losses import RowLoss, label_loss
from slicerxai.alignment.masked_images import MaskedImages


@dataclass(frozen=True)
class StepRecord:
    """What one step saw; NaN for what it did not make.

    Attributes:
        loss: classification loss of the images as they are.
        off_mask: mean share of the counterfactual change outside of the masks.
        residual: mean relative residual of the linear solve.
        support: mean number of values that a counterfactual changes.
    """

    loss: float
    off_mask: float = nan
    residual: float = nan
    support: float = nan


class AlignedObjective:
    """Gradients of one step of aligned training.

    Of each image with a mask the counterfactual x* of one label, drawn at random, is searched (eq. 2). Then

    - the image with the outer part of that change alone, x + (x* - x) ⊙ (1 - m), keeps its true labels (`invariance`):
      an intervention outside of the mask must not change the decision. x* counts as fixed here, so that this needs
      first derivatives only;
    - eq. 3 or the share of the change outside of the mask gets smaller (`objective`), through the implicit gradient.

    Images with an empty mask count in the classification loss alone.
    """

    def __init__(
        self,
        network: nn.Module,
        parameters: AlignmentParameters,
        positive_weights: Tensor | None,
        values: tuple[float, float],
    ) -> None:
        """The objective of a network.

        Args:
            network: (B, C, *spatial) to logits (B, L).
            positive_weights: (L,) of the binary cross-entropy, or None.
            values: smallest and largest value of the training images.
        """
        self.network, self.parameters, self.positive_weights = network, parameters, positive_weights
        self.solver = within(parameters.solver, values)

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
            implicitly: whether the objective counts in this step.
        """
        rows = masks.flatten(1).any(1).nonzero().flatten()
        if not aligned or not len(rows):
            return StepRecord(self._classify(images, labels, images[:0], labels[:0]))
        inner, outside = images[rows], 1 - masks[rows]
        report: dict[str, float] = {}
        with evaluating(self.network):
            loss = label_loss(self.network, 1 - labels[rows], _one_label(labels[rows], generator))
            found = counterfactual(loss, inner, self.solver, allowed=outside if self.parameters.restricted else None)
            if implicitly and self.parameters.objective != "none":
                self._align(loss, found, inner, masks[rows], len(images), report)
        changed = inner + found.change * outside
        value = self._classify(images, labels, changed, labels[rows])
        return StepRecord(
            value,
            float(off_mask_share(found.change, masks[rows]).mean()),
            report.get("linear_residual", nan),
            float(found.support.flatten(1).sum(1).float().mean()),
        )

    def _classify(self, images: Tensor, labels: Tensor, changed: Tensor, kept: Tensor) -> float:
        """Backward of the classification loss of images, and of changed ones with their weight. The first of them."""
        weight = self.parameters.invariance
        together = torch.cat([images, changed]) if weight > 0 else images
        logits = self.network(together)
        loss = self._cross_entropy(logits[: len(images)], labels)
        total = loss
        if len(logits) > len(images):
            share = len(changed) / len(images)
            total = loss + weight * share * self._cross_entropy(logits[len(images) :], kept)
        total.backward()
        return float(loss.detach())

    def _align(
        self, loss: RowLoss, found: Counterfactuals, images: Tensor, masks: Tensor, batch: int, report: dict[str, float]
    ) -> None:
        """Backward of the alignment loss."""
        change = implicit(self.network, loss, found, self.parameters.linear, report) - images
        measure = off_mask if self.parameters.objective == "published" else off_mask_share
        (self.parameters.weight * measure(change, masks).sum() / batch).backward()

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            logits, labels.to(logits.dtype), pos_weight=self.positive_weights
        )


def within(solver: SolverParameters, values: tuple[float, float]) -> SolverParameters:
    """The solver with bounds; those it has already stay."""
    low = values[0] if solver.low is None else solver.low
    high = values[1] if solver.high is None else solver.high
    return solver.model_copy(update={"low": low, "high": high})


def range_of(images: MaskedImages) -> tuple[float, float]:
    """Smallest and largest value of all images."""
    found = [images[index][0].aminmax() for index in range(len(images))]
    return min(float(low) for low, _ in found), max(float(high) for _, high in found)


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
