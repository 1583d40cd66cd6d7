"""Benchmark `alignment_shortcut`: does training make a classifier decide from inside the mask, whatever the seed?

Images of `benchmarks.alignment_synthetic`: a "+" or "−" in the corner is the label in training and drawn by lot in
validation and test. The same network, optimiser and number of epochs for each method; the network of the last epoch is
kept, so that the validation images, on which the symbol says nothing, decide nothing.

Protocol, fixed before any test image of the seeds 0 to 5 was drawn: everything was chosen on seeds from 100 on. Map:
HiResCAM of the second convolution (grid of 1 pixel) for the class that the network decides for, lit from half of its
maximum; `cam_precision` is the share of the lit pixels inside the mask, mean of all 400 test images, rightly decided
or not. `share_above_chance` is (accuracy of aligned − 0.5) / (accuracy of oracle − 0.5), of the means. Other columns:
`cam2`: HiResCAM on a grid of 2 pixels, `coarse`: Grad-CAM of the last maps (8 pixels), `input_x_gradient` and
`counterfactual`: share of it inside; `flipped`: accuracy after the symbol was turned into the other one.

Methods:

- plain, oracle (sees the inside of the mask only, in training and test);
- aligned: the recipe that `AlignmentParameters` has by default;
- published: eq. 3 through the implicit gradient, λ = 1, from the first step on; share: the same with the share of the
  change outside (both on each second step, 40 inner steps and 10 of the linear solve at most; at most 3 seeds);
- surroundings: outside of the mask another training image instead, label kept (no counterfactual: a control);
- rrr: input gradients outside of the mask are penalised, with the published weight (of 0.01, 1, 100 and 10 000 none
  left chance on seed 110).

A finished (method, seed) is kept as OUT/alignment_shortcut/METHOD_SEED.json and not fitted again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Final

import torch
from torch import Tensor, nn

from benchmarks.alignment_data import SIZE, Task
from benchmarks.alignment_measures import measured
from benchmarks.alignment_synthetic import synthetic_task
from benchmarks.printer import Printer
from slicerxai.alignment.aligned_fitting import fit_aligned
from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.alignment.baselines.augmentation import AugmentationChoice, fit_augmentation
from slicerxai.alignment.baselines.oracle import fit_oracle
from slicerxai.alignment.baselines.rrr import RrrWeights, fit_rrr
from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters
from slicerxai.alignment.masked_images import WithoutMasks
from slicerxai.alignment.networks import seven_layer_cnn
from slicerxai.models.classifier_fitting import fit_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.progress import Progress

COUNTS: Final = (320, 200, 400)
WIDTH: Final = 8
SEEDS: Final = tuple(range(6))
FEW_SEEDS: Final = SEEDS[:3]
TRAINING: Final = ClassifierTrainingParameters(
    spatial_dims=2, shape=(SIZE, SIZE), epochs=16, batch=16, learning_rate=2e-3, augmentation=0, keep="last"
)
ALIGNED: Final = AlignmentParameters()
_IMPLICIT: Final = AlignmentParameters(
    invariance=0,
    objective="published",
    every=2,
    solver=SolverParameters(alpha=0.1, steps=40, tolerance=1e-2),
    linear=LinearSolve(ridge=0.1, iterations=10, tolerance=1e-2),
)
RRR: Final = RrrWeights(gradient=1000)
COLUMNS: Final = {
    "accuracy": "accuracy",
    "flipped": "accuracy_flipped",
    "cam": "cam_precision",
    "cam2": "cam2_precision",
    "coarse": "coarse_precision",
    "input_x_gradient": "input_x_gradient",
    "counterfactual": "counterfactual_precision",
    "cpu_seconds": "cpu_seconds",
}


class Standardised(nn.Module):
    """Images minus the mean of the training images, over their standard deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", images.mean())
        self.register_buffer("deviation", images.std())

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.deviation


@dataclass(frozen=True)
class Fit:
    """One fit: what is given to every method."""

    network: nn.Module
    task: Task
    training: ClassifierTrainingParameters
    device: torch.device
    progress: Progress

    def aligned(self, parameters: AlignmentParameters) -> None:
        """Aligned training with these parameters."""
        validation = WithoutMasks(self.task.validation.arrays)
        fit_aligned(
            self.network, self.task.train.arrays, validation, self.training, parameters, self.device, self.progress
        )

    def plain(self) -> None:
        """Classification alone."""
        train, validation = WithoutMasks(self.task.train.arrays), WithoutMasks(self.task.validation.arrays)
        fit_network(self.network, train, validation, self.training, self.device, self.progress)

    def oracle(self) -> None:
        """Images times masks."""
        train, validation = self.task.train.arrays, self.task.validation.arrays
        fit_oracle(self.network, train, validation, self.training, self.device, self.progress)

    def rrr(self) -> None:
        """Penalised input gradients."""
        train, validation = self.task.train.arrays, WithoutMasks(self.task.validation.arrays)
        fit_rrr(self.network, train, validation, self.training, self.device, self.progress, weights=RRR)

    def surroundings(self) -> None:
        """Backgrounds of other images."""
        train, validation = self.task.train.arrays, WithoutMasks(self.task.validation.arrays)
        choice = AugmentationChoice(infill=None)
        fit_augmentation(self.network, train, validation, self.training, self.device, self.progress, choice=choice)


METHODS: Final[dict[str, Callable[[Fit], None]]] = {
    "plain": Fit.plain,
    "oracle": Fit.oracle,
    "aligned": lambda fit: fit.aligned(ALIGNED),
    "surroundings": Fit.surroundings,
    "rrr": Fit.rrr,
    "published": lambda fit: fit.aligned(_IMPLICIT),
    "share": lambda fit: fit.aligned(_IMPLICIT.model_copy(update={"objective": "share"})),
}
SLOW: Final = ("published", "share")


def one(
    fitting: Callable[[Fit], None], task: Task, seed: int, title: str, *, masked: bool, epochs: int
) -> dict[str, float]:
    """Fit to one seed's task and measure on its test images."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    convolutions = seven_layer_cnn(1, 1, (SIZE, SIZE), width=WIDTH, seed=seed)
    network = nn.Sequential(Standardised(task.train.arrays.images), convolutions)
    training = TRAINING.model_copy(update={"seed": seed, "epochs": epochs})
    started = time.process_time()
    fitting(Fit(network, task, training, device, Printer(title)))
    seconds = time.process_time() - started
    return measured(network, task.test, device, masked=masked, full=True) | {"cpu_seconds": seconds}


def kept(path: Path, make: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What the file holds; made and written when it is not there."""
    if path.exists():
        found: dict[str, float] = json.loads(path.read_text())
        return found
    found = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(found, indent=2))
    temporary.replace(path)
    return found


def row_of(values: list[dict[str, float]]) -> dict[str, float]:
    """Means of the columns over seeds."""
    return {name: mean(value[key] for value in values) for name, key in COLUMNS.items()}


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """All methods and seeds. `data` is not used. Quick: three seeds, fewer epochs, no implicit gradients."""
    del data
    seeds, epochs = (SEEDS[:3], 10) if quick else (SEEDS, TRAINING.epochs)
    methods = [method for method in METHODS if not (quick and method in SLOW)]
    folder = out / ("alignment_shortcut_quick" if quick else "alignment_shortcut")
    found: dict[str, list[dict[str, float]]] = {}
    for method in methods:
        for seed in FEW_SEEDS if method in SLOW else seeds:

            def make(method: str = method, seed: int = seed) -> dict[str, float]:
                task, masked = synthetic_task(seed, COUNTS), method == "oracle"
                return one(METHODS[method], task, seed, f"{method} {seed}", masked=masked, epochs=epochs)

            found.setdefault(method, []).append(kept(folder / f"{method}_{seed}.json", make))
    rows = [{"method": method, "seeds": len(values)} | row_of(values) for method, values in found.items()]
    each = [
        {"method": method, "measure": key}
        | {f"seed {seed}": value[key] for seed, value in zip(seeds, values, strict=False)}
        for method, values in found.items()
        for key in ("accuracy", "cam_precision")
    ]
    return {"rows": rows + each, "figures": _figures(found), "notes": _notes(found)}


def _figures(found: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    def average(method: str, key: str) -> float:
        return mean(value[key] for value in found[method])

    figures = {f"accuracy_{method}": average(method, "accuracy") for method in ("plain", "aligned", "oracle")}
    figures |= {f"cam_precision_{method}": average(method, "cam_precision") for method in ("plain", "aligned")}
    above = (figures["accuracy_aligned"] - 0.5) / (figures["accuracy_oracle"] - 0.5)
    return figures | {"share_above_chance": above}


def _notes(found: dict[str, list[dict[str, float]]]) -> list[str]:
    accuracies = [value["accuracy"] for value in found["aligned"]]
    ratio = row_of(found["aligned"])["cpu_seconds"] / row_of(found["plain"])["cpu_seconds"]
    return [
        f"aligned: accuracy from {min(accuracies):.3f} to {max(accuracies):.3f}, SD {stdev(accuracies):.3f} over seeds",
        f"aligned training takes {ratio:.1f} times the processor time of plain training",
    ]
