"""Training of a stored classifier that decides from inside the lesions of its training cases."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slicerxai.alignment.aligned_fitting import fit_aligned
from slicerxai.alignment.aligned_training_parameters import OF_THE_BASE, AlignedTrainingParameters
from slicerxai.alignment.decision_masks import brain_on, decision_mask, lesions_on
from slicerxai.alignment.exchanged import ExchangedSurroundings, RandomSurroundings
from slicerxai.alignment.masked_images import MaskedArrays
from slicerxai.data.case import Case
from slicerxai.errors import InputError
from slicerxai.models.classifier import ImageClassifier, network_input
from slicerxai.models.classifier_network import build_network
from slicerxai.models.classifier_parameters import ClassifierConfig
from slicerxai.models.classifier_targets import case_labels
from slicerxai.models.classifier_training import (
    fit_provenance,
    held_out_evenly,
    keep_snapshots,
    prepared_cases,
    split_of,
    write_classifier,
)
from slicerxai.models.protocols import ModelInfo, classifier
from slicerxai.models.store import ModelStore
from slicerxai.models.training_case import case_digests
from slicerxai.progress import Progress, part, silent


def train_aligned_model(
    cases: Sequence[Case],
    rater: str,
    parameters: AlignedTrainingParameters,
    store: ModelStore,
    name: str,
    device: torch.device,
    progress: Progress = silent,
) -> ModelInfo:
    """Train a classifier with `train_aligned`; it appears in the store under its name when it is complete.

    Raises:
        NotFoundError: no model of the name to go on from.
        InputError: that model segments; a bad name; and as `train_aligned`.
        Cancelled: through `progress`; nothing is kept.
    """
    with store.create(name) as folder:
        base = None if parameters.base is None else _base(store, parameters.base, device)
        train_aligned(cases, rater, parameters, folder, name, device, progress, base=base)
    return store.load(name, device).info


def train_aligned(
    cases: Sequence[Case],
    rater: str,
    parameters: AlignedTrainingParameters,
    folder: Path,
    name: str,
    device: torch.device,
    progress: Progress = silent,
    *,
    base: ImageClassifier | None = None,
) -> None:
    """Train on the cases' labels and a rater's masks and write a model folder that `ImageClassifier.load` reads.

    In training, some images are shown in the surroundings of others (`RandomSurroundings`), and what would still turn a
    label round from outside of the masks is searched and taught away (`fit_aligned`). Epoch and thresholds are chosen
    on cases left aside, in exchanged surroundings (`ExchangedSurroundings`): what lies outside of the brain (single
    images: of the mask) goes with no label there.

    Args:
        cases: those of at least two subjects with every channel, the rater's mask and the columns of the targets.
        folder: existing, empty; filled when training has ended.
        base: the classifier to go on from; see `followed`.

    Raises:
        InputError: unusable cases or masks; a column that is missing or no number; a label with too few cases with or
            without it; parameters that contradict the base.
        Cancelled: through `progress`.
    """
    started = datetime.now(UTC)
    if not cases:
        msg = "no case to train on; at least one is needed"
        raise InputError(msg)
    parameters = parameters if base is None else followed(parameters, base)
    digests = case_digests(cases, parameters.channels, rater)
    labels = case_labels(cases, parameters.parsed_targets)
    aside = held_out_evenly(cases, labels, parameters)
    read = _read(cases, rater, labels, parameters, part(progress, 0, 0.15))
    network = _network(parameters) if base is None else copy.deepcopy(base.network).requires_grad_(requires_grad=True)
    keep = keep_snapshots(folder, parameters)
    keep(0, network)
    found = fit_aligned(
        network,
        read.training(~aside, parameters.exchange, parameters.seed),
        read.validation(aside, parameters.seed),
        parameters,
        parameters.alignment,
        device,
        part(progress, 0.15, 1),
        each_epoch=keep,
    )
    provenance = {
        "parameters": parameters.model_dump(mode="json"),
        "base": None if base is None else {"name": base.info.name, "digest": base.info.digest},
        "rater": rater,
        "cases": digests,
        "images": case_digests(cases, parameters.channels),
        **split_of(cases, aside),
        **fit_provenance(found, parameters, device, started),
        "share_outside_masks": [None if math.isnan(share) else round(share, 4) for share in found.off_mask],
    }
    write_classifier(folder, name, network, parameters, found.thresholds, provenance)
    progress(1.0, f"trained {parameters.epochs} epochs, validation AUC {found.auc.mean():.3f}")


def followed(parameters: AlignedTrainingParameters, base: ImageClassifier) -> AlignedTrainingParameters:
    """The parameters with network, input and labels as the base has them.

    Targets that were given may name other columns, but the labels must be those of the base.

    Raises:
        InputError: a given value that differs from the base's.
    """
    kept: dict[str, object] = {name: getattr(base.config, name) for name in ClassifierConfig.model_fields}
    kept["channels"] = base.info.channels
    if "targets" in parameters.model_fields_set and parameters.labels == base.info.labels:
        kept["targets"] = parameters.targets
    given = parameters.model_fields_set & set(OF_THE_BASE)
    wrong = [
        f"{name} {getattr(parameters, name)!r}" for name in sorted(given) if getattr(parameters, name) != kept[name]
    ]
    if wrong:
        msg = (
            f"model {base.info.name!r} decides on network, input and labels (labels: {', '.join(base.info.labels)}); "
            f"it differs from the given {', '.join(wrong)}; leave them out"
        )
        raise InputError(msg)
    return parameters.model_copy(update=kept)


def _base(store: ModelStore, name: str, device: torch.device) -> ImageClassifier:
    model = classifier(store.load(name, device), name)
    if not isinstance(model, ImageClassifier):
        msg = f"model {name!r} is a classifier of another program; one that was trained here is needed"
        raise InputError(msg)
    return model


def _network(parameters: AlignedTrainingParameters) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parameters.seed)
        return build_network(parameters, len(parameters.channels), len(parameters.labels))


@dataclass(frozen=True)
class _Read:
    """All cases: images (N, C, *spatial), labels (N, L), what labels may be read from and what is not surroundings,
    both (N, 1, *spatial)."""

    images: Tensor
    labels: Tensor
    masks: Tensor
    own: Tensor

    def training(self, which: NDArray[np.bool_], exchange: float, seed: int) -> RandomSurroundings:
        at = torch.from_numpy(which)
        arrays = MaskedArrays(self.images[at], self.labels[at], self.masks[at])
        return RandomSurroundings(arrays, list(self.own[at]), exchange, seed)

    def validation(self, which: NDArray[np.bool_], seed: int) -> ExchangedSurroundings:
        at = torch.from_numpy(which)
        return ExchangedSurroundings(list(self.images[at]), self.labels[at], list(self.own[at]), seed)


def _read(
    cases: Sequence[Case],
    rater: str,
    labels: NDArray[np.bool_],
    parameters: AlignedTrainingParameters,
    progress: Progress,
) -> _Read:
    volumes = parameters.spatial_dims == 3
    images, masks, own = [], [], []
    none = np.zeros(labels.shape[1], dtype=np.bool_)
    for case, present, prepared in zip(cases, labels, prepared_cases(cases, parameters, progress), strict=True):
        try:
            lesions = lesions_on(prepared, case.mask(rater))
        except InputError as error:
            msg = f"case {case.id!r} cannot be trained on: {error}"
            raise InputError(msg) from error
        brain = brain_on(prepared) if volumes else None
        lesions = lesions if volumes else lesions[..., 0]
        images.append(network_input(prepared, parameters))
        masks.append(decision_mask(lesions, brain, present))
        own.append(decision_mask(lesions, brain, none))
    truth = torch.from_numpy(labels.astype(np.float32))
    return _Read(torch.stack(images), truth, torch.stack(masks), torch.stack(own))
