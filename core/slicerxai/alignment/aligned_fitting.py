"""Fitting of a network that decides from inside the masks of its training images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn

from slicerxai.alignment.aligned_checkpoint import FitState, identity_of, load, save
from slicerxai.alignment.aligned_objective import AlignedObjective, StepRecord, range_of
from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.distances import feature_scale
from slicerxai.alignment.masked_images import (
    MaskedAugmentation,
    MaskedImages,
    WithoutMasks,
    check_masked,
    masked_augmentation,
    masked_batch,
)
from slicerxai.alignment.smooth import has_kinks
from slicerxai.errors import InputError
from slicerxai.models.classifier_fitting import (
    GRADIENT_NORM,
    EachEpoch,
    FitResult,
    LabelledImages,
    check_labels,
    cross_entropy_of,
    labels_of,
    own_randomness,
    positive_weights,
    predict_logits,
)
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.classifier_scores import roc_auc, youden
from slicerxai.models.fast_training import schedule
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class AlignedFit(FitResult):
    """What an aligned fit found; the network itself holds the best state, in eval mode.

    Attributes:
        off_mask: after each epoch: mean share of the counterfactual change outside of the masks, for the training
            images of one batch (always the same); NaN where they have no mask.
        residual: of each epoch: mean relative residual of the linear solve; NaN where there was none.
        support: after each epoch: mean number of values that those counterfactuals change.
    """

    off_mask: tuple[float, ...]
    residual: tuple[float, ...]
    support: tuple[float, ...]


def fit_aligned(
    network: nn.Module,
    train: MaskedImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    alignment: AlignmentParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    augment: MaskedAugmentation | None = None,
    checkpoint: Path | None = None,
    each_epoch: EachEpoch | None = None,
) -> AlignedFit:
    """Fit as `slicerxai.models.classifier_fitting.fit_network` does, with `AlignedObjective` as the loss.

    The epoch of the best mean AUC on the validation images is kept, or the last one; they need no masks, but a shortcut
    must not help on them. The same seed gives the same network with the same number of threads, interrupted or not.

    Args:
        network: (B, C, *spatial) to logits (B, L); moved to the device, fitted in place, left in eval mode. With an
            objective other than "none" it must be smooth, see `slicerxai.alignment.smooth.smooth`.
        train: images whose masks hold what the decision has to come from; an image with an empty mask counts in the
            classification loss alone.
        augment: replaces the augmentation that the parameters name.
        checkpoint: written after each epoch; a fit that finds it there goes on from it. The caller removes it.
        each_epoch: as `fit_network` calls it.

    Raises:
        InputError: shapes or values of labels and masks; a label is present in all or none of the training or the
            validation images; too few images; a network with ReLU where it must be smooth; a checkpoint of another
            fit.
        Cancelled: through `progress`, called after every step.
    """
    started = time.monotonic()
    check_masked(train)
    truth = labels_of(validation)
    check_labels(labels_of(WithoutMasks(train)), "training")
    check_labels(truth, "validation")
    if len(train) < parameters.batch:
        msg = f"{len(train)} training images are fewer than a batch of {parameters.batch}"
        raise InputError(msg)
    if alignment.objective != "none" and has_kinks(network):
        msg = f"objective {alignment.objective!r} needs second derivatives, but the network has ReLU; use smooth()"
        raise InputError(msg)
    network.to(device)
    run = _AlignedFit(network, train, parameters, alignment, device, augment)
    state = FitState("") if checkpoint is None else load(checkpoint, run.identity())
    if state.epochs:
        network.load_state_dict(state.network)
        run.optimiser.load_state_dict(state.optimiser)
    with own_randomness(device):
        for epoch in range(state.epochs, parameters.epochs):
            torch.manual_seed(parameters.seed * 1_000_003 + epoch)
            records = run.epoch(epoch, progress)
            logits = predict_logits(network, validation, device, parameters.batch)
            quality = float(roc_auc(logits, truth).mean()), -cross_entropy_of(logits, truth)
            _note(state, records, run.off_mask(), quality, logits, network, last=parameters.keep == "last")
            if checkpoint is not None:
                state.network, state.optimiser = _weights(network), run.optimiser.state_dict()
                save(state, checkpoint)
            if each_epoch is not None:
                each_epoch(epoch + 1, network)
    network.load_state_dict(state.best)
    network.eval()
    progress(1.0, f"fitted {parameters.epochs} epochs, validation AUC {state.quality[0]:.3f}")
    return _result(state, truth, time.monotonic() - started)


def _note(
    state: FitState,
    records: Sequence[StepRecord],
    off_mask: tuple[float, float],
    quality: tuple[float, float],
    logits: np.ndarray,
    network: nn.Module,
    *,
    last: bool,
) -> None:
    """Put a finished epoch into the state; `last`: it is kept whatever its quality."""
    state.epochs += 1
    state.history.append((_mean([record.loss for record in records]), -quality[1], quality[0]))
    state.records.append((off_mask[0], _mean([record.residual for record in records]), off_mask[1]))
    if last or quality > state.quality:
        state.quality, state.epoch = quality, state.epochs
        state.best, state.logits = _weights(network), torch.from_numpy(logits)


def _result(state: FitState, truth: np.ndarray, seconds: float) -> AlignedFit:
    logits = state.logits.numpy()
    shares, residuals, supports = zip(*state.records, strict=True)
    return AlignedFit(
        thresholds=youden(torch.sigmoid(state.logits).numpy(), truth),
        logits=logits,
        truth=truth,
        auc=roc_auc(logits, truth),
        epoch=state.epoch,
        history=tuple(state.history),
        seconds=seconds,
        off_mask=shares,
        residual=residuals,
        support=supports,
    )


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are there, NaN when none is."""
    there = [value for value in values if not np.isnan(value)]
    return float(np.mean(there)) if there else float("nan")


class _AlignedFit:
    """Optimiser, objective and training images of one fit."""

    def __init__(
        self,
        network: nn.Module,
        train: MaskedImages,
        parameters: ClassifierTrainingParameters,
        alignment: AlignmentParameters,
        device: torch.device,
        augment: MaskedAugmentation | None,
    ) -> None:
        self.network, self.train, self.device = network, train, device
        self.parameters, self.alignment = parameters, alignment
        self.augment = augment or masked_augmentation(parameters.augmentation, parameters.spatial_dims)
        self.optimiser = torch.optim.AdamW(
            [weight for weight in network.parameters() if weight.requires_grad],
            lr=parameters.learning_rate,
            weight_decay=parameters.weight_decay,
        )
        labels = labels_of(WithoutMasks(train))
        weights = positive_weights(labels).to(device) if parameters.positive_weights else None
        self.objective = AlignedObjective(network, alignment, weights, range_of(train), self._scale())
        self.steps_of_epoch = len(train) // parameters.batch

    def _scale(self) -> Tensor | None:
        """See `distances.feature_scale`."""
        if self.alignment.distance in ("l1", "l2"):
            return None
        images = torch.stack([self.train[index][0] for index in range(len(self.train))])
        scale = feature_scale(images, self.alignment.distance)
        return None if scale is None else scale.to(self.device)

    def identity(self) -> str:
        """What a checkpoint must agree with: parameters, images, labels, masks, first weights."""
        texts = [self.parameters.model_dump_json(), self.alignment.model_dump_json()]
        items = [tensor for index in range(len(self.train)) for tensor in self.train[index]]
        return identity_of(texts, [*items, *self.network.state_dict().values()])

    def epoch(self, epoch: int, progress: Progress) -> list[StepRecord]:
        """One pass in an order that the seed and the epoch give; the surplus of the last batch waits."""
        parameters, alignment = self.parameters, self.alignment
        generator = Generator().manual_seed(parameters.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.train), generator=generator).tolist()
        steps = self.steps_of_epoch * parameters.epochs
        records = []
        self._train_mode()
        for step in range(self.steps_of_epoch):
            done = epoch * self.steps_of_epoch + step
            progress(
                done / steps, f"epoch {epoch + 1} of {parameters.epochs}, step {step + 1} of {self.steps_of_epoch}"
            )
            batch = masked_batch(self.train, order[step * parameters.batch : (step + 1) * parameters.batch])
            images, labels, masks = (part.to(self.device) for part in batch)
            images, masks = self.augment(images, masks, generator)
            for group in self.optimiser.param_groups:
                group["lr"] = parameters.learning_rate * schedule(done, steps)
            self.optimiser.zero_grad()
            records.append(
                self.objective.backward(
                    images,
                    labels,
                    masks,
                    generator,
                    aligned=epoch >= alignment.warm_up,
                    implicitly=done % alignment.every == 0,
                )
            )
            nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
            self.optimiser.step()
        return records

    def off_mask(self) -> tuple[float, float]:
        """See `AlignedObjective.off_mask`, for the first training images as they are."""
        batch = masked_batch(self.train, range(self.parameters.batch))
        images, labels, masks = (part.to(self.device) for part in batch)
        return self.objective.off_mask(images, labels, masks)

    def _train_mode(self) -> None:
        self.network.train()
        if self.alignment.frozen_norms:
            for module in self.network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
