"""Training of an image classifier on cases with labels in their metadata, and a finished model folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slicerxai import __version__
from slicerxai.data.case import Case
from slicerxai.data.files import replaced_text
from slicerxai.errors import InputError
from slicerxai.models.classifier import SNAPSHOTS, WEIGHTS, network_input, prepare
from slicerxai.models.classifier_fitting import EachEpoch, FitResult, LabelledImages, check_labels, fit_network
from slicerxai.models.classifier_network import build_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.classifier_targets import case_labels
from slicerxai.models.protocols import Prepared
from slicerxai.models.training_case import case_digests, subject
from slicerxai.progress import Progress, part, silent

__all__ = ["FitResult", "LabelledImages", "build_network", "fit_network", "train_classifier"]

LIBRARIES = ("torch", "monai", "numpy", "scipy", "scikit-learn")
SPLITS = 200
"""Random splits of the subjects among which the one with the most even labels is taken."""


class CasesInMemory:
    """Prepared cases with labels; the `LabelledImages` of a training."""

    def __init__(self, images: Sequence[Tensor], labels: NDArray[np.bool_]) -> None:
        self.images = images
        self.labels = torch.from_numpy(labels.astype(np.float32))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


def train_classifier(
    cases: Sequence[Case],
    parameters: ClassifierTrainingParameters,
    folder: Path,
    name: str,
    device: torch.device,
    progress: Progress = silent,
) -> None:
    """Train on the metadata that the targets name and write a model folder that `ImageClassifier.load` reads.

    The provenance names the cases under "training_cases" and "validation_cases"; no subject is in both.

    Args:
        cases: those of at least two subjects with every channel and the columns of the targets.
        folder: existing, empty; filled when training has ended.

    Raises:
        InputError: unusable cases; a column that is missing or no number; a label with too few cases with or without
            it.
        Cancelled: through `progress`.
    """
    started = datetime.now(UTC)
    if not cases:
        msg = "no case to train on; at least one is needed"
        raise InputError(msg)
    digests = case_digests(cases, parameters.channels)
    labels = case_labels(cases, parameters.parsed_targets)
    aside = held_out_evenly(cases, labels, parameters)
    reading = part(progress, 0, 0.15)
    images = [network_input(prepared, parameters) for prepared in prepared_cases(cases, parameters, reading)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parameters.seed)
        network = build_network(parameters, len(parameters.channels), len(parameters.labels))
    training = CasesInMemory([images[n] for n in np.flatnonzero(~aside)], labels[~aside])
    validation = CasesInMemory([images[n] for n in np.flatnonzero(aside)], labels[aside])
    fitting = part(progress, 0.15, 1)
    keep = keep_snapshots(folder, parameters)
    keep(0, network)
    found = fit_network(network, training, validation, parameters, device, fitting, each_epoch=keep)
    provenance = {
        "parameters": parameters.model_dump(mode="json"),
        "cases": digests,
        **split_of(cases, aside),
        **fit_provenance(found, parameters, device, started),
    }
    write_classifier(folder, name, network, parameters, found.thresholds, provenance)
    progress(1.0, f"trained {parameters.epochs} epochs, validation AUC {found.auc.mean():.3f}")


def keep_snapshots(folder: Path, parameters: ClassifierTrainingParameters) -> EachEpoch:
    """Writes the weights of every `parameters.snapshots`-th epoch, and of the last, below a model folder.

    They become part of the model, and of its digest.
    """

    def keep(epoch: int, network: nn.Module) -> None:
        every = parameters.snapshots
        if every and (epoch % every == 0 or epoch == parameters.epochs):
            (folder / SNAPSHOTS).mkdir(exist_ok=True)
            torch.save(_weights(network), folder / SNAPSHOTS / f"epoch_{epoch:05d}.pt")

    return keep


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.cpu().contiguous() for key, value in network.state_dict().items()}


def split_of(cases: Sequence[Case], aside: NDArray[np.bool_]) -> dict[str, list[str]]:
    """Which cases were trained on and which were left aside (N,), as provenance names them."""
    return {
        "training_cases": [case.id for case, out in zip(cases, aside, strict=True) if not out],
        "validation_cases": [case.id for case, out in zip(cases, aside, strict=True) if out],
    }


def fit_provenance(
    found: FitResult, parameters: ClassifierTrainingParameters, device: torch.device, started: datetime
) -> dict[str, object]:
    """What provenance says of a fit that has just ended."""
    return {
        "validation_auc": {
            label: round(float(auc), 4) for label, auc in zip(parameters.labels, found.auc, strict=True)
        },
        "best_epoch": found.epoch,
        "package_version": __version__,
        "versions": {library: version(library) for library in LIBRARIES},
        "device": str(device),
        "threads": torch.get_num_threads(),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "training_seconds": round(found.seconds, 1),
    }


def write_classifier(
    folder: Path,
    name: str,
    network: nn.Module,
    parameters: ClassifierTrainingParameters,
    thresholds: Sequence[float],
    provenance: Mapping[str, object],
) -> None:
    """Fill a model folder that `ImageClassifier.load` reads; `model.json` comes last."""
    torch.save(_weights(network), folder / WEIGHTS)
    description = {
        "name": name,
        "kind": "classifier",
        "channels": list(parameters.channels),
        "labels": list(parameters.labels),
        "thresholds": list(thresholds),
        "config": parameters.config.model_dump(mode="json"),
        "provenance": dict(provenance),
    }
    replaced_text(folder / "model.json", json.dumps(description, indent=2) + "\n")


def prepared_cases(
    cases: Sequence[Case], parameters: ClassifierTrainingParameters, progress: Progress
) -> Iterator[Prepared]:
    """One case after the other on the grid of the network. Raises `InputError` naming a case that cannot be read."""
    for index, case in enumerate(cases):
        progress(index / len(cases), f"reading {case.id}")
        try:
            images = {channel: case.image(channel) for channel in parameters.channels}
            prepared = prepare(images, parameters.channels, parameters)
        except InputError as error:
            msg = f"case {case.id!r} cannot be trained on: {error}"
            raise InputError(msg) from error
        yield prepared


def held_out_evenly(
    cases: Sequence[Case], labels: NDArray[np.bool_], parameters: ClassifierTrainingParameters
) -> NDArray[np.bool_]:
    """Which cases (N,) are held out: those of a share of the subjects.

    Of random choices by the seed, the one whose labels (N, L) are spread most evenly: least difference between the
    shares of present cases in the two parts, for the worst label.

    Raises:
        InputError: one subject only, or a label that cannot be with and without in both parts.
    """
    check_labels(labels, "available", parameters.labels)
    owners = np.array([subject(case) for case in cases])
    subjects = np.unique(owners)
    if len(subjects) < 2:
        msg = f"all cases are of the subject {owners[0]!r}; at least two subjects are needed, one to validate"
        raise InputError(msg)
    count = min(max(1, round(parameters.validation_share * len(subjects))), len(subjects) - 1)
    rng = np.random.default_rng(parameters.seed)
    splits = [np.isin(owners, rng.permutation(subjects)[:count]) for _ in range(SPLITS)]
    usable = [aside for aside in splits if all(_varied(labels[part]) for part in (aside, ~aside))]
    if not usable:
        present = labels.sum(axis=0)
        rare = ", ".join(f"{name} in {n} of {len(cases)}" for name, n in zip(parameters.labels, present, strict=True))
        msg = (
            f"with {count} of {len(subjects)} subjects held out, no split has every label present and absent in both "
            f"parts ({rare}); more cases, another validation share or fewer targets are needed"
        )
        raise InputError(msg)
    return min(usable, key=lambda aside: float(np.abs(labels[aside].mean(0) - labels[~aside].mean(0)).max()))


def _varied(labels: NDArray[np.bool_]) -> bool:
    return bool((labels.any(axis=0) & ~labels.all(axis=0)).all())
