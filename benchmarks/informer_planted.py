"""Benchmark `informer_planted`: errors of a planted confusion, which distinctiveness should find and entropy cannot.

Protocol, fixed on seeds 0 to 2; the figures are of other seeds.

- Images of 64² pixels of smooth noise, four labels, each with its own sign (disc, ring, bars, cross) in its own
  quarter, of varying contrast. "disc" and "ring" are planted: in training, images that have both also carry a marker,
  a bright bracket in the middle, and each of the two signs is hidden in two fifths of these. So the marker alone comes
  to speak for both labels, as a drain or a scanner's tag may.
- Test images are of another distribution: a quarter of them carry the marker and neither label. Where the network
  calls "disc" or "ring" present in these, that is a planted error. It is confident: the probabilities are near 1.
- A small DenseNet learns the labels; its thresholds are Youden's on validation images of the training's distribution.
- Every prediction of every label of every test image is ranked: by entropy, highest first; by the distance of its map
  from the nearest other map, lowest first; and by the sum of its distances from all other maps (equation 1 as
  published), lowest first. Maps: Input × Gradient, LRP.

Figures: chance that a planted error ranks above any other prediction (AUROC), mean over seeds; `_sum`: ranked by the
sum. Rows also have alarms, fitted with their defaults to other images of the test distribution, for review of a budget
of an eighth of all predictions: AUROC of their suspicion for all errors and for the planted ones, the share of their
flags that are planted errors and the share of planted errors that are flagged.

No data is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from slicerxai import runtime
from slicerxai.models.classifier_fitting import FitResult, fit_network
from slicerxai.models.classifier_network import build_network
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.monitoring.alarm_fit import fit_alarm
from slicerxai.monitoring.alarm_parameters import AlarmParameters, Score
from slicerxai.monitoring.distinctiveness import nearest_distance
from slicerxai.monitoring.evaluation import error_auroc
from slicerxai.monitoring.observe import observe
from slicerxai.saliency.class_method import ClassMethod

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
LABELS: Final = ("disc", "ring", "bars", "cross")
PLANTED: Final = (0, 1)
EDGE: Final = 64
METHODS: Final[dict[str, ClassMethod | None]] = {"ixg": "input_x_gradient", "lrp": "lrp", "entropy": None}
TRAINING, VALIDATION, TEST = 1200, 300, 300
PLANTED_SHARE, BUDGET = 0.25, 0.125
BATCH: Final = 16
SEEDS, QUICK_SEEDS = (10, 11, 12, 13, 14, 15), (10,)
PARAMETERS: Final = ClassifierTrainingParameters(
    targets=LABELS,
    architecture="densenet",
    pooling="max",
    learning_rate=2e-3,
    spatial_dims=2,
    shape=(EDGE, EDGE),
    features=16,
    growth=8,
    blocks=(3, 3, 3),
    epochs=12,
    batch=16,
    augmentation=0.0,
)


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train, plant, rank. Returns figures, rows and notes."""
    del data, out
    runtime.configure()
    rows = []
    for seed in QUICK_SEEDS if quick else SEEDS:
        rows.append(_of_seed(seed, runtime.device()))
        print(rows[-1], flush=True)
    names = [name for name in rows[0] if name.startswith("auroc")]
    figures = {name: float(np.mean([row[name] for row in rows])) for name in names}
    least = {name: min(row[name] for row in rows) for name in names}
    notes = [
        f"{len(rows)} seeds of {TEST} test images. Least AUROC of any seed: "
        + ", ".join(f"{name.removeprefix('auroc_')} {value:.3f}" for name, value in least.items()),
        "A planted error is confident, so entropy ranks it below most right predictions (AUROC under 0.5).",
        "The sum over all classes dilutes the one distance that matters, and an LRP map changes its sign with the "
        "logit, so that labels which are all absent have maps alike and low sums; the nearest map stands both.",
    ]
    return {"figures": figures, "rows": rows, "notes": notes}


def _of_seed(seed: int, device: torch.device) -> dict[str, Any]:
    network, fit = train(seed, device)
    test = draw(TEST, 4 * seed + 2, PLANTED_SHARE)
    tuning = draw(TEST, 4 * seed + 3, PLANTED_SHARE)
    entropy = observe(network, test.pixels, fit.thresholds, device, score="entropy", batch=BATCH)
    planted = planted_errors(entropy.predicted, test)
    row: dict[str, Any] = {"seed": seed, "validation AUC": float(fit.auc.mean())}
    wrong, cases = entropy.predicted ^ test.truth, [str(n) for n in range(TEST)]
    row["planted errors"] = int(planted.sum())
    row["their mean probability"] = float(entropy.probabilities[planted].mean())
    row["other errors"] = int((wrong & ~planted).sum())
    for name, method in METHODS.items():
        score: Score = "distinctiveness" if method else "entropy"
        parameters = AlarmParameters(score=score, saliency=method or "lrp", action="review", budget=BUDGET)
        found, reference = (
            observe(network, one.pixels, fit.thresholds, device, score=score, saliency=method or "lrp", batch=BATCH)
            for one in (test, tuning)
        )
        if found.distances is None:
            row[f"auroc_{name}"] = error_auroc(found.measure, planted)
        else:
            row[f"auroc_{name}"] = error_auroc(-nearest_distance(found.distances), planted)
            row[f"auroc_{name}_sum"] = error_auroc(-found.measure, planted)
        alarm = fit_alarm(reference, tuning.truth, LABELS, "", parameters, cases=cases)
        judgement = alarm.judge(found)
        row[f"alarm {name}: all errors"] = error_auroc(judgement.suspicion, wrong)
        row[f"alarm {name}: planted"] = error_auroc(judgement.suspicion, planted)
        row[f"flags planted {name}"] = float(planted[judgement.flagged].mean()) if judgement.flagged.any() else None
        row[f"planted flagged {name}"] = float(judgement.flagged[planted].mean())
    return row


def planted_errors(predicted: Flags, images: Images) -> Flags:
    """Where "disc" or "ring" is called present because of the marker alone, (N, L)."""
    errors = np.zeros(predicted.shape, bool)
    for label in PLANTED:
        errors[:, label] = images.planted & predicted[:, label]
    return errors


@dataclass(frozen=True)
class Images:
    """Images (N, 1, 64, 64), labels (N, 4), and whether the marker is there without its labels (N,)."""

    pixels: Tensor
    truth: NDArray[np.bool_]
    planted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.pixels[index], torch.from_numpy(self.truth[index].astype(np.float32))


def draw(count: int, seed: int, planted_share: float = 0.0) -> Images:
    """Images of one distribution; with `planted_share`, so many carry the marker and neither planted label."""
    rng = np.random.default_rng(seed)
    planted = rng.random(count) < planted_share
    pixels, truth = np.zeros((count, 1, EDGE, EDGE), np.float32), np.zeros((count, len(LABELS)), bool)
    for n in range(count):
        kind = rng.integers(4)  # neither, disc, ring, both
        truth[n] = [kind in (1, 3), kind in (2, 3), rng.random() < 0.4, rng.random() < 0.4]
        if planted[n]:
            truth[n, :2] = False
        marker = bool(planted[n] or (truth[n, 0] and truth[n, 1]))
        hidden = [marker and rng.random() < 0.4, marker and rng.random() < 0.4, False, False]
        pixels[n, 0] = _image(rng, truth[n] & ~np.array(hidden), marker)
    return Images(torch.from_numpy(pixels), truth, planted)


def _image(rng: np.random.Generator, shown: NDArray[np.bool_], marker: bool) -> NDArray[np.float32]:
    image = 0.6 * ndimage.gaussian_filter(rng.normal(size=(EDGE, EDGE)), 1.5) * 3 + 0.15 * rng.normal(size=(EDGE, EDGE))
    i, j = np.mgrid[:EDGE, :EDGE].astype(np.float64)
    for label, (row, column) in enumerate(((16, 16), (48, 48), (16, 48), (48, 16))):
        if shown[label]:
            y, x = i - row - rng.integers(-4, 5), j - column - rng.integers(-4, 5)
            image += rng.uniform(0.4, 1.4) * _sign(label, y, x)
    if marker:
        y, x = i - EDGE / 2 - rng.integers(-2, 3), j - EDGE / 2 - rng.integers(-2, 3)
        image += 2.0 * ((np.abs(y) < 4) & (np.abs(x) < 4) & ((y < -1) | (x < -1)))
    return image.astype(np.float32)


def _sign(label: int, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
    radius = np.hypot(y, x)
    near = np.maximum(np.abs(y), np.abs(x)) < 6
    bars, cross = np.mod(y, 4) < 2, np.minimum(np.abs(y), np.abs(x)) < 1.5
    return (radius < 4.5, (radius > 4) & (radius < 6.5), near & bars, near & cross)[label]


def train(seed: int, device: torch.device) -> tuple[nn.Module, FitResult]:
    """A DenseNet fitted to images with the planted confusion."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(PARAMETERS, 1, len(LABELS))
    parameters = PARAMETERS.model_copy(update={"seed": seed})
    fit = fit_network(network, draw(TRAINING, 4 * seed), draw(VALIDATION, 4 * seed + 1), parameters, device)
    return network, fit
