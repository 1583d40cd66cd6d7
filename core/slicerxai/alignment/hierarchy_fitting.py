"""Fitting of a classifier in two steps whose attributes and image regions are those that made the expert's label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from slicerxai.alignment.aligned_objective import evaluating, outer_change, range_of
from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.alignment_loss import off_mask, off_mask_share
from slicerxai.alignment.baselines.masked_fitting import MaskedBatch, fit_masked
from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters
from slicerxai.alignment.hierarchy import HierarchicalClassifier, Step, attribute_step, image_step
from slicerxai.alignment.implicit import implicit
from slicerxai.alignment.losses import label_loss
from slicerxai.alignment.masked_images import MaskedImages
from slicerxai.errors import InputError
from slicerxai.models.classifier_fitting import FitResult, LabelledImages
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress, silent


class HierarchyParameters(BaseModel):
    """Weights of eq. 5 and how its counterfactuals are found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attribute_weight: float = Field(default=1.0, ge=0, description="Weight of the cross-entropy of the attributes.")
    attribute_alignment: float = Field(
        default=1.0, ge=0, description="Weight of the change of attributes that did not make the label (λ2)."
    )
    image_alignment: float = Field(
        default=1.0, ge=0, description="Weight of the change of the image outside of the mask (λ1)."
    )
    share: bool = Field(
        default=True,
        description="Both changes as shares of the whole change, which the network cannot make small by deciding "
        "nothing; otherwise as sums of absolute values, as published.",
    )
    surroundings: AlignmentParameters = Field(
        default=AlignmentParameters(),
        description="Label and attributes stay what they are after a change outside of the mask that was searched to "
        "turn the label round: of these parameters, invariance, cost and steps count.",
    )
    every: int = Field(default=1, ge=1, description="Both alignments are added on each so-manieth step.")
    decision_steps: int = Field(
        default=300,
        ge=0,
        description="Steps in which f2 learns the label from the readers' attributes before both are fitted together; "
        "with 0 it starts at random, and what it learns first may be the wrong way round.",
    )
    attribute_search: SolverParameters = Field(
        default=SolverParameters(distance="l2", alpha=0.3, steps=50, tolerance=1e-3),
        description="Of the attributes' counterfactuals (eq. 6). With l1 hardly more than one of so few attributes "
        "moves, and where that one is off the annotation the share is 1 whatever the network does nearby: no gradient.",
    )
    image_search: SolverParameters = Field(
        default=SolverParameters(alpha=0.1, steps=20), description="Of the images' counterfactuals (eq. 7)."
    )
    linear: LinearSolve = Field(
        default=LinearSolve(solver="cg", ridge=0.1, iterations=20, tolerance=1e-2),
        description="Of both implicit gradients.",
    )


@dataclass(frozen=True)
class HierarchicalFit:
    """What a fit found; the network holds the best state, in eval mode.

    Attributes:
        fit: of the label.
        off_attributes: of each epoch, mean share of the change of attributes off the annotation vector; NaN without.
        off_mask: of each epoch, mean share of the change of images outside of the mask; NaN without.
    """

    fit: FitResult
    off_attributes: tuple[float, ...]
    off_mask: tuple[float, ...]


@dataclass(frozen=True)
class AlignmentTerms:
    """Both alignment losses of a batch and their shares for the record, each (B,); None where the weight is 0."""

    attributes: Tensor
    attribute_share: Tensor
    images: Tensor | None
    image_share: Tensor | None


def alignment_terms(
    network: HierarchicalClassifier,
    images: Tensor,
    labels: Tensor,
    masks: Tensor,
    annotations: Tensor,
    parameters: HierarchyParameters,
) -> AlignmentTerms:
    """L_align(θ2) and L_align(θ1) of each image, with implicit gradients in θ2 and in θ1.

    Counterfactuals are sought for the labels turned round. What a* does to eq. 7 is taken as given, so that the first
    loss teaches f2 alone and the second f1 alone.

    Args:
        network: in eval mode, or without layers for which that matters.
        images: (B, C, *spatial). labels: (B, L) in {0, 1}. masks: (B, 1, *spatial).
        annotations: (B, P), r: 1 for attributes that made the label.
    """
    with torch.no_grad():
        estimated = network.attributes(images)
    wanted = 1 - labels.to(estimated.dtype)
    decided = attribute_step(network.decide, estimated, wanted, parameters.attribute_search)
    changed = implicit(network.decide, decided.loss, decided.found, parameters.linear) - estimated
    if parameters.image_alignment == 0:
        return AlignmentTerms(*_measured(changed, annotations, parameters), None, None)
    described: Step = image_step(network.describe, images, decided.found.images, parameters.image_search)
    moved = implicit(network.describe, described.loss, described.found, parameters.linear) - images
    return AlignmentTerms(*_measured(changed, annotations, parameters), *_measured(moved, masks, parameters))


def _measured(change: Tensor, mask: Tensor, parameters: HierarchyParameters) -> tuple[Tensor, Tensor]:
    """The loss of each change, (B,), and its share off the mask, (B,), for the record."""
    share = off_mask_share(change, mask)
    return share if parameters.share else off_mask(change, mask), share.detach()


def fit_hierarchical(
    network: HierarchicalClassifier,
    train: MaskedImages,
    attributes: Tensor,
    annotations: Tensor,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    hierarchy: HierarchyParameters,
    device: torch.device,
    progress: Progress = silent,
) -> HierarchicalFit:
    """Minimise eq. 5: cross-entropy of label and attributes, and both alignment losses.

    The cross-entropies also count after a change outside of the mask that was searched to turn the label round
    (`slicerxai.alignment.aligned_objective.outer_change`).

    Args:
        network: fitted in place, both steps together.
        train: images, labels and masks. attributes: (N, P) of the training images, 0 or 1.
        annotations: (N, P), r of `slicerxai.alignment.ccce.annotation_vector`.
        validation: images and labels, which choose the epoch.

    Raises:
        InputError: attributes or annotations that do not fit the training images; as `fit_network`.
        Cancelled: through `progress`.
    """
    for what, values in (("attributes", attributes), ("annotations", annotations)):
        if values.ndim != 2 or len(values) != len(train) or not ((values == 0) | (values == 1)).all():
            msg = f"{what} have shape {tuple(values.shape)}; 0 and 1 in ({len(train)}, P) are needed"
            raise InputError(msg)
    network.to(device)
    labels = torch.stack([train[index][1] for index in range(len(train))]).to(device)
    learn_decision(network.decide, attributes.to(device), labels, hierarchy.decision_steps)
    objective = _Objective(network, attributes.to(device), annotations.to(device), hierarchy, range_of(train))
    fit = fit_masked(network, train, validation, parameters, device, progress, objective=objective)
    steps = len(train) // parameters.batch
    return HierarchicalFit(fit, objective.epochs(0, steps), objective.epochs(1, steps))


DECISION_RATE, DECISION_DECAY = 1e-2, 1e-2
"""Learning rate and weight decay of AdamW in `learn_decision`."""


def learn_decision(decide: nn.Module, attributes: Tensor, labels: Tensor, steps: int) -> None:
    """Fit f2 in place to attributes (N, P) in {0, 1} and labels (N, L), all cases in each step."""
    optimiser = torch.optim.AdamW(decide.parameters(), lr=DECISION_RATE, weight_decay=DECISION_DECAY)
    for _ in range(steps):
        optimiser.zero_grad()
        logits = decide(attributes.float())
        functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype)).backward()
        optimiser.step()


class _Objective:
    """Eq. 5 of a batch."""

    def __init__(
        self,
        network: HierarchicalClassifier,
        attributes: Tensor,
        annotations: Tensor,
        parameters: HierarchyParameters,
        values: tuple[float, float],
    ) -> None:
        self.network, self.parameters, self.values = network, parameters, values
        self.attributes, self.annotations = attributes, annotations
        self.shares: list[tuple[float, float]] = []

    def __call__(self, batch: MaskedBatch) -> Tensor:
        parameters = self.parameters
        wanted = self.attributes[list(batch.indices)].to(batch.images.dtype)
        loss = self._cross_entropies(batch, batch.images, wanted)
        if parameters.surroundings.invariance > 0:
            with evaluating(self.network):
                turned = label_loss(self.network, 1 - batch.labels, torch.ones_like(batch.labels, dtype=torch.bool))
                change = outer_change(turned, batch.images, batch.masks, parameters.surroundings, self.values)
            has = batch.masks.flatten(1).any(1).to(change.dtype).view(-1, *[1] * (change.ndim - 1))
            changed = self._cross_entropies(batch, batch.images + has * change, wanted)
            loss = loss + parameters.surroundings.invariance * changed
        if parameters.attribute_alignment + parameters.image_alignment == 0 or len(self.shares) % parameters.every:
            self.shares.append((nan, nan))
            return loss
        annotations = self.annotations[list(batch.indices)].to(batch.images.dtype)
        terms = alignment_terms(self.network, batch.images, batch.labels, batch.masks, annotations, parameters)
        total = loss + bounded(parameters.attribute_alignment * terms.attributes.mean(), loss, self.network.decide)
        image_share = nan
        if terms.images is not None and terms.image_share is not None:
            total = total + bounded(parameters.image_alignment * terms.images.mean(), loss, self.network.describe)
            image_share = float(terms.image_share.mean())
        self.shares.append((float(terms.attribute_share.mean()), image_share))
        return total

    def _cross_entropies(self, batch: MaskedBatch, images: Tensor, wanted: Tensor) -> Tensor:
        """Of label and attributes (B, P), for these images in place of the batch's own."""
        described = self.network.describe(images)
        attributes = functional.binary_cross_entropy_with_logits(described, wanted)
        label = batch.cross_entropy(self.network.decide(torch.sigmoid(described)))
        return label + self.parameters.attribute_weight * attributes

    def epochs(self, which: int, steps: int) -> tuple[float, ...]:
        """Mean share of each epoch of so many steps."""
        values = [share[which] for share in self.shares]
        return tuple(_mean(values[start : start + steps]) for start in range(0, len(values), steps))


LONGEST = 1.0
"""The gradient of an alignment loss is at most so long, relative to that of the cross-entropies."""


def bounded(term: Tensor, loss: Tensor, step: nn.Module) -> Tensor:
    """A scalar with the value of `term` and its gradient in the step's weights, shortened against that of `loss`.

    Where a network hardly reacts, its counterfactuals move far with its weights, and their gradient would drown the
    cross-entropy that has to teach it to react.
    """
    weights = [weight for weight in step.parameters() if weight.requires_grad]
    wanted = torch.autograd.grad(loss, weights, retain_graph=True)
    given = torch.autograd.grad(term, weights)
    limit, length = (torch.cat([slope.flatten() for slope in part]).norm() for part in (wanted, given))
    factor = (LONGEST * limit / length.clamp_min(torch.finfo(length.dtype).tiny)).clamp(max=1)
    linear = torch.stack([(factor * slope * weight).sum() for slope, weight in zip(given, weights, strict=True)]).sum()
    return term.detach() + linear - linear.detach()


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not isnan(value)]
    return sum(known) / len(known) if known else nan
