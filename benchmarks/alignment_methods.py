"""The nine methods of the alignment table, with the same network, epochs and validation images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import torch
from torch import nn

from benchmarks.alignment_data import SIZE, Part, Task
from slicerxai.alignment.aligned_fitting import fit_aligned
from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.baselines.augmentation import AugmentationChoice, fit_augmentation
from slicerxai.alignment.baselines.bagnet import ReceptiveField, fit_bagnet
from slicerxai.alignment.baselines.icnn import IcnnWeights, fit_icnn
from slicerxai.alignment.baselines.multitask import MultitaskWeights, fit_multitask
from slicerxai.alignment.baselines.oracle import fit_oracle
from slicerxai.alignment.baselines.rrr import RrrWeights, fit_rrr
from slicerxai.alignment.ccce import annotation_vector
from slicerxai.alignment.hierarchy import HierarchicalClassifier
from slicerxai.alignment.hierarchy_fitting import HierarchyParameters, fit_hierarchical
from slicerxai.alignment.masked_images import WithoutMasks
from slicerxai.alignment.networks import SevenLayerCnn, attribute_mlp, seven_layer_cnn
from slicerxai.models.classifier_fitting import FitResult, fit_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress

METHODS: Final = (
    "plain",
    "oracle",
    "rrr",
    "bagnet",
    "multitask",
    "icnn",
    "augmentation",
    "aligned",
    "aligned_hierarchical",
)
"""Cheap ones first."""


@dataclass(frozen=True)
class Settings:
    """What is the same for all methods, and each method's own weights.

    Attributes:
        training: epochs, batch, learning rate, augmentation; the seed is set for each fit.
        width: channels of the CNN's first convolution.
    """

    training: ClassifierTrainingParameters
    width: int
    rrr: RrrWeights
    icnn: IcnnWeights
    bagnet_field: ReceptiveField
    multitask: MultitaskWeights
    augmentation: AugmentationChoice
    aligned: AlignmentParameters
    hierarchy: HierarchyParameters

    def lasting(self, epochs: int) -> Settings:
        """The same settings with so many epochs."""
        return replace(self, training=self.training.model_copy(update={"epochs": epochs}))

    def of(self, method: str) -> dict[str, Any]:
        """The part that decides a method's result, JSON-able."""
        own: dict[str, Any] = {
            "rrr": asdict(self.rrr),
            "icnn": asdict(self.icnn),
            "bagnet": {"field": self.bagnet_field},
            "multitask": asdict(self.multitask),
            "augmentation": asdict(self.augmentation),
            "aligned": self.aligned.model_dump(),
            "aligned_hierarchical": self.hierarchy.model_dump(),
        }
        return {"training": self.training.model_dump(exclude={"seed"}), "width": self.width, "own": own.get(method)}


@dataclass(frozen=True)
class Fitted:
    """A network in eval mode; `masked`: it is to be given images times masks."""

    network: nn.Module
    fit: FitResult
    masked: bool = False


def fitted(method: str, task: Task, seed: int, settings: Settings, device: torch.device, progress: Progress) -> Fitted:
    """Fit one method to the training images of a task; the epoch is chosen on its validation images."""
    training = settings.training.model_copy(update={"seed": seed})
    run = _Run(task, training, settings, device, progress)
    fits: dict[str, Callable[[], Fitted]] = {name: getattr(run, name) for name in METHODS}
    return fits[method]()


@dataclass(frozen=True)
class _Run:
    task: Task
    training: ClassifierTrainingParameters
    settings: Settings
    device: torch.device
    progress: Progress

    @property
    def train(self) -> Part:
        return self.task.train

    @property
    def validation(self) -> WithoutMasks:
        return WithoutMasks(self.task.validation.arrays)

    def network(self, outputs: int = 1) -> SevenLayerCnn:
        return seven_layer_cnn(1, outputs, (SIZE, SIZE), width=self.settings.width, seed=self.training.seed)

    def plain(self) -> Fitted:
        network = self.network()
        train = WithoutMasks(self.train.arrays)
        return Fitted(network, fit_network(network, train, self.validation, self.training, self.device, self.progress))

    def oracle(self) -> Fitted:
        arrays = self.train.arrays, self.task.validation.arrays
        return Fitted(*fit_oracle(self.network(), *arrays, self.training, self.device, self.progress), masked=True)

    def rrr(self) -> Fitted:
        own = self.settings.rrr
        return Fitted(*fit_rrr(self.network(), *self._common(), weights=own))

    def icnn(self) -> Fitted:
        return Fitted(*fit_icnn(self.network(), *self._common(), weights=self.settings.icnn))

    def bagnet(self) -> Fitted:
        return Fitted(*fit_bagnet(None, *self._common(), field=self.settings.bagnet_field))

    def multitask(self) -> Fitted:
        own, attributes = self.settings.multitask, self.train.attributes
        return Fitted(*fit_multitask(self.network(), *self._common(), attributes=attributes, weights=own))

    def augmentation(self) -> Fitted:
        return Fitted(*fit_augmentation(self.network(), *self._common(), choice=self.settings.augmentation))

    def aligned(self) -> Fitted:
        network = self.network()
        train, validation, training, device, progress = self._common()
        return Fitted(
            network, fit_aligned(network, train, validation, training, self.settings.aligned, device, progress)
        )

    def aligned_hierarchical(self) -> Fitted:
        attributes = self.train.attributes
        reasons = annotation_vector(attributes.numpy() > 0.5, self.train.arrays.labels[:, 0].numpy() > 0.5)
        decide = attribute_mlp(attributes.shape[1], 1, seed=self.training.seed)
        network = HierarchicalClassifier(self.network(attributes.shape[1]), decide)
        train, validation, training, device, progress = self._common()
        own, r = self.settings.hierarchy, torch.from_numpy(reasons.r)
        found = fit_hierarchical(network, train, attributes, r, validation, training, own, device, progress)
        return Fitted(network, found.fit)

    def _common(self) -> tuple[Any, ...]:
        return self.train.arrays, self.validation, self.training, self.device, self.progress
