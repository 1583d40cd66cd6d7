"""Fitting of a network with one logit per label to images in memory, in two or three dimensions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from slicerxai.errors import InputError
from slicerxai.models.classifier_augmentation import Augmentation, augmentation
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.classifier_scores import roc_auc, youden
from slicerxai.models.fast_training import schedule
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

GRADIENT_NORM = 5.0
"""Longer gradients are shortened to this."""

BatchLoss = Callable[[Sequence[int], Generator], Tensor]
"""Loss of the training images at these indices, a scalar; the generator (on the CPU) is the one of the epoch."""


EachEpoch = Callable[[int, nn.Module], None]


class LabelledImages(Protocol):
    """Images in memory with their labels; a torch `Dataset` of that form serves."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (C, *spatial), float32, and labels (L,) in {0, 1}; both on the CPU."""


@dataclass(frozen=True)
class FitResult:
    """What a fit found; the network itself holds the best state, in eval mode.

    Attributes:
        thresholds: (L,) probability from which a label counts as present: Youden's index on the validation images.
        logits: (N, L) float32 of the validation images, in their order.
        truth: (N, L) bool.
        auc: (L,) area under the ROC curve on the validation images.
        epoch: the epoch that was kept, from 1.
        history: of each epoch: training loss, validation loss, mean validation AUC.
        seconds: of the whole fit.
    """

    thresholds: tuple[float, ...]
    logits: NDArray[np.float32]
    truth: NDArray[np.bool_]
    auc: NDArray[np.float64]
    epoch: int
    history: tuple[tuple[float, float, float], ...]
    seconds: float

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """(N, L) of the validation images."""
        return torch.sigmoid(torch.from_numpy(self.logits)).numpy()


def fit_network(
    network: nn.Module,
    train: LabelledImages,
    validation: LabelledImages,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
    *,
    augment: Augmentation | None = None,
    batch_loss: BatchLoss | None = None,
    each_epoch: EachEpoch | None = None,
) -> FitResult:
    """Fit with binary cross-entropy, AdamW and one warm-up and cosine cycle; keep the epoch of the best mean AUC,
    or the last one.

    Of the parameters, epochs, batch, learning rate, weight decay, positive weights, augmentation, keep and seed count
    here.
    The same seed gives the same network with the same number of threads.

    Args:
        network: (B, C, *spatial) to logits (B, L); moved to the device, fitted in place, left in eval mode.
        augment: replaces the augmentation that the parameters name.
        batch_loss: replaces the cross-entropy of the augmented images at each step.
        each_epoch: called after every epoch with its number, from 1, and the network in eval mode; it must not change
            the network.

    Raises:
        InputError: a label is present in all or none of the training or the validation images; too few images.
        Cancelled: through `progress`, called after every step.
    """
    started = time.monotonic()
    truth = labels_of(validation)
    check_labels(labels_of(train), "training")
    check_labels(truth, "validation")
    if len(train) < parameters.batch:
        msg = f"{len(train)} training images are fewer than a batch of {parameters.batch}"
        raise InputError(msg)
    network.to(device)
    run = _Fit(network, train, parameters, device, augment, batch_loss)
    best: tuple[tuple[float, float], dict[str, Tensor], NDArray[np.float32], int] | None = None
    history = []
    with own_randomness(device):
        for epoch in range(parameters.epochs):
            torch.manual_seed(parameters.seed * 1_000_003 + epoch)
            loss = run.epoch(epoch, progress)
            logits = predict_logits(network, validation, device, parameters.batch)
            quality = float(roc_auc(logits, truth).mean()), -cross_entropy_of(logits, truth)
            history.append((loss, -quality[1], quality[0]))
            if each_epoch is not None:
                each_epoch(epoch + 1, network)
            if best is None or quality > best[0] or parameters.keep == "last":
                state = {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
                best = quality, state, logits, epoch + 1
    if best is None:  # pydantic demands one epoch
        msg = "no epoch to fit"
        raise InputError(msg)
    _, state, logits, epoch = best
    network.load_state_dict(state)
    network.eval()
    progress(1.0, f"fitted {parameters.epochs} epochs, validation AUC {best[0][0]:.3f}")
    probabilities = torch.sigmoid(torch.from_numpy(logits)).numpy()
    return FitResult(
        thresholds=youden(probabilities, truth),
        logits=logits,
        truth=truth,
        auc=roc_auc(logits, truth),
        epoch=epoch,
        history=tuple(history),
        seconds=time.monotonic() - started,
    )


class _Fit:
    """Optimiser and training images of one fit."""

    def __init__(
        self,
        network: nn.Module,
        train: LabelledImages,
        parameters: ClassifierTrainingParameters,
        device: torch.device,
        augment: Augmentation | None,
        batch_loss: BatchLoss | None,
    ) -> None:
        self.network, self.train, self.parameters, self.device = network, train, parameters, device
        self.augment = augment or augmentation(parameters.augmentation, parameters.spatial_dims)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=parameters.learning_rate, weight_decay=parameters.weight_decay
        )
        self.batch_loss = batch_loss or self._cross_entropy
        self.weights = positive_weights(labels_of(train)).to(device) if parameters.positive_weights else None
        self.steps_of_epoch = len(train) // parameters.batch

    def epoch(self, epoch: int, progress: Progress) -> float:
        """One pass in an order that the seed and the epoch give; the surplus of the last batch waits. Mean loss."""
        parameters, network = self.parameters, self.network
        generator = Generator().manual_seed(parameters.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.train), generator=generator).tolist()
        total, steps = 0.0, self.steps_of_epoch * parameters.epochs
        network.train()
        for step in range(self.steps_of_epoch):
            done = epoch * self.steps_of_epoch + step
            progress(
                done / steps, f"epoch {epoch + 1} of {parameters.epochs}, step {step + 1} of {self.steps_of_epoch}"
            )
            for group in self.optimiser.param_groups:
                group["lr"] = parameters.learning_rate * schedule(done, steps)
            loss = self.batch_loss(order[step * parameters.batch : (step + 1) * parameters.batch], generator)
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
            self.optimiser.step()
            total += float(loss.detach())
        return total / self.steps_of_epoch

    def _cross_entropy(self, indices: Sequence[int], generator: Generator) -> Tensor:
        images, labels = batch_of(self.train, indices)
        logits = self.network(self.augment(images.to(self.device), generator))
        return functional.binary_cross_entropy_with_logits(
            logits, labels.to(self.device, logits.dtype), pos_weight=self.weights
        )


def batch_of(images: LabelledImages, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Images (B, C, *spatial) and labels (B, L) at these indices."""
    items = [images[index] for index in indices]
    return torch.stack([image for image, _ in items]), torch.stack([labels for _, labels in items])


def labels_of(images: LabelledImages) -> NDArray[np.bool_]:
    """Labels of all images, (N, L)."""
    return np.stack([images[index][1].numpy() > 0.5 for index in range(len(images))])


def check_labels(labels: NDArray[np.bool_], what: str, names: Sequence[str] | None = None) -> None:
    """Raises `InputError` naming the labels that are present in all or none of the images (N, L)."""
    names = names or [f"label {index}" for index in range(labels.shape[1])]
    counts = labels.sum(axis=0)
    bad = [
        f"{name} in {'none' if count == 0 else 'all'}"
        for name, count in zip(names, counts, strict=True)
        if count in (0, len(labels))
    ]
    if bad:
        msg = f"of {len(labels)} {what} images: {', '.join(bad)}; every label needs images with and without it"
        raise InputError(msg)


@torch.no_grad()
def predict_logits(
    network: nn.Module, images: LabelledImages, device: torch.device, batch: int = 16
) -> NDArray[np.float32]:
    """Logits (N, L) of all images with the network in eval mode, where it stays."""
    network.eval()
    found = []
    for start in range(0, len(images), batch):
        stack, _ = batch_of(images, range(start, min(start + batch, len(images))))
        found.append(network(stack.to(device)).float().cpu())
    return torch.cat(found).numpy()


def cross_entropy_of(logits: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    """Binary cross-entropy of logits and truth, both (N, L)."""
    target = torch.from_numpy(truth.astype(np.float32))
    return float(functional.binary_cross_entropy_with_logits(torch.from_numpy(logits), target))


def positive_weights(labels: NDArray[np.bool_]) -> Tensor:
    """Absent over present images of each label, (L,)."""
    present = labels.sum(axis=0)
    return torch.from_numpy(((len(labels) - present) / present).astype(np.float32))


@contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Seeds set within do not reach the caller's random numbers."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
