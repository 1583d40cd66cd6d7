"""One seed of the INFORMER table: split, train, read validation and test images, keep what was read.

What was read is kept as a file of arrays, so that an interrupted run resumes and the analysis can be repeated.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.informer_data import Flags, Source, Split, in_memory, split
from slicerxai.models.classifier_fitting import fit_network
from slicerxai.models.classifier_network import build_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.monitoring.alarm_parameters import Score
from slicerxai.monitoring.distinctiveness import distinctiveness
from slicerxai.monitoring.observe import observe
from slicerxai.monitoring.readings import Readings
from slicerxai.monitoring.uncertainty import binary_entropy
from slicerxai.saliency.class_method import ClassMethod

Array = NDArray[np.float64]
MAPS: Final[dict[str, ClassMethod]] = {"ixg": "input_x_gradient", "lrp": "lrp"}
BATCH: Final = 16
SPLIT: Final = 1
"""Raised when the rules of splitting change, so that kept files of the old ones are not taken."""


@dataclass(frozen=True)
class Part:
    """Validation or test images as the trained network and its maps see them; arrays start with N."""

    truth: Flags
    far: Flags
    groups: NDArray[np.str_]
    probabilities: Array
    thresholds: Array
    tta: Array
    distances: dict[str, Array]

    def readings(self, name: str) -> Readings:
        """By the name of a method: ixg, lrp, entropy or tta."""
        if name in self.distances:
            found = self.distances[name]
            return Readings(
                "distinctiveness", MAPS[name], self.probabilities, self.thresholds, distinctiveness(found), found
            )
        measure = self.tta if name == "tta" else binary_entropy(self.probabilities)
        score: Score = "tta" if name == "tta" else "entropy"
        return Readings(score, None, self.probabilities, self.thresholds, measure)

    def take(self, rows: Flags, labels: NDArray[np.int_], thresholds: Array) -> Part:
        """Some images and some labels; distances between the labels that remain."""
        distances = {name: d[rows][:, labels][:, :, labels] for name, d in self.distances.items()}
        return Part(
            self.truth[rows][:, labels],
            self.far[rows],
            self.groups[rows],
            self.probabilities[rows][:, labels],
            thresholds,
            self.tta[rows][:, labels],
            distances,
        )


@dataclass(frozen=True)
class Seed:
    """What one seed gave: labels that could be evaluated, names of the others, validation and test images."""

    labels: tuple[str, ...]
    dropped: tuple[str, ...]
    validation: Part
    test: Part
    auc: Array
    epoch: int
    seconds: float


def of_seed(
    data: Source,
    parameters: ClassifierTrainingParameters,
    seed: int,
    device: torch.device,
    folder: Path,
    images: Callable[[], Tensor],
    limit: int,
) -> Seed:
    """Read from the folder, or train and read the images, of which at most `limit` are validation or test images."""
    about = {"data": data.digest, "parameters": parameters.model_dump(mode="json"), "limit": limit, "split": SPLIT}
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    path = folder / f"{data.form}_{key}_{seed}.npz"
    chosen = split(data, seed)
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        arrays = _measure(data, chosen, parameters.model_copy(update={"seed": seed}), device, images(), limit)
        temporary = path.with_suffix(".tmp.npz")
        np.savez_compressed(temporary, **arrays)
        temporary.replace(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    labels = tuple(data.labels[k] for k in chosen.kept)
    validation, test = _part(arrays, "validation"), _part(arrays, "test")
    return Seed(labels, chosen.dropped, validation, test, arrays["auc"], int(arrays["epoch"]), float(arrays["seconds"]))


def _part(arrays: dict[str, Any], name: str) -> Part:
    own = {key.removeprefix(f"{name}_"): value for key, value in arrays.items() if key.startswith(f"{name}_")}
    distances = {maps: own[maps].astype(np.float64) for maps in MAPS}
    return Part(
        own["truth"], own["far"], own["groups"], own["probabilities"], arrays["thresholds"], own["tta"], distances
    )


def _measure(
    data: Source,
    chosen: Split,
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    images: Tensor,
    limit: int,
) -> dict[str, Any]:
    started = time.perf_counter()
    truth = data.truth[:, chosen.kept]
    validation, test = chosen.validation[:limit], chosen.test[:limit]
    spare = np.concatenate([chosen.training, chosen.validation[limit:], chosen.test[limit:]])
    with torch.random.fork_rng():
        torch.manual_seed(parameters.seed)
        network = build_network(parameters, images.shape[1], len(chosen.kept))
    fit = fit_network(
        network, in_memory(images, truth, spare), in_memory(images, truth, validation), parameters, device
    )
    arrays: dict[str, Any] = {"thresholds": np.array(fit.thresholds), "auc": fit.auc, "epoch": fit.epoch}
    for name, rows in (("validation", validation), ("test", test)):
        pixels = images[rows]
        found = {
            maps: observe(network, pixels, fit.thresholds, device, saliency=method, batch=BATCH)
            for maps, method in MAPS.items()
        }
        arrays[f"{name}_truth"], arrays[f"{name}_far"] = truth[rows], data.far[rows]
        arrays[f"{name}_groups"] = data.groups[rows]
        arrays[f"{name}_probabilities"] = found["ixg"].probabilities
        arrays[f"{name}_tta"] = observe(
            network, pixels, fit.thresholds, device, score="tta", seed=parameters.seed
        ).measure
        for maps, readings in found.items():
            arrays[f"{name}_{maps}"] = readings.distances
    arrays["seconds"] = time.perf_counter() - started
    return arrays
