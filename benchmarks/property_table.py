"""Benchmark `property_table`: the local-bias experiment of the property gradients' publication, on dermoscopy.

Protocol. It was fixed on validation images and other seeds; the figures are of test images that nothing was chosen on.

- Data (`property_data`): images without a natural coloured patch, at 64 × 64 pixels. Split by image, each class alike:
  50 % to train, 15 % to validate, the rest to test; validation and test hold as many benign as malignant images, the
  test at most 60 of each. Seed 0.
- Networks (`property_networks`): MONAI's ResNet-18 and a small MONAI DenseNet (EfficientNet-B0 where
  PROPERTY_BACKBONES names it), from random weights, malignant against benign. As published, half of the benign
  training images carry a coloured patch ("biased"), or none ("unbiased"). Decisions: Youden's threshold on validation
  images without patches.
- Intervention: a patch grows from 0 to 0.4 of the image's width in 11 steps; colour, place and form stay. The methods
  see one such realisation of each test image, in blue, orange or violet.
- Truth: a network is locally biased on an image when its decision changes under at least half of 12 other
  realisations: green, yellow or red, other places and forms, diameters from 0.2 to 0.4. No prediction that a method
  uses enters the truth, but that of the unchanged image.
- Ours: two scores of the measured path, E|∇ₓF| of the probability and whether the decision flips on the way. Beside
  it E|∇ₓF| alone ("gradient") and flips alone ("flips").
- Baselines: Grad-CAM (deepest stage of at least 4 × 4), Integrated Gradients (20 steps), Occlusion (windows of a
  quarter of the width, stride an eighth), LIME and KernelSHAP (25 superpixels of SLIC, 50 samples), DeepLift; captum,
  attributions of the logit, taken-away pixels in the data's mean colour. Each gets the unchanged image and the end of
  the path. Three scores are read from its two maps (`slicerxai.interventions.local_bias.map_scores`): mean squared
  difference, share within the patch, sum within the patch.
- Prediction: a threshold (and side) on a score, fitted on a random half of the images together with the choice among
  a method's scores; accuracy on the other half; 10 splits, the same for all methods.
- `accuracy_METHOD`: mean accuracy over the backbones, images of the biased and the unbiased network of a backbone
  pooled (the two rows of an image in one half): a method has to know the network as well as the image. With `_biased`
  and `_unbiased`: on the images of one training alone. Rows give every backbone, mean ± standard deviation over
  splits, balanced accuracy, and references that know nothing of the intervention: the majority, the unchanged
  probability, and its distance to the threshold. Where every patch turns to benign, the unchanged prediction alone
  tells which decisions change: on the biased networks it is expected to do as well as ours.
- Added after the first run: `_pooled_informed`, a logistic regression on all scores of a method and the margin of the
  unchanged probability, so that no method lacks what the unchanged prediction tells.
- `gradient_TRAINING`: E|∇ₓF| over the test images, averaged over backbones; probability per image width.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import property_readings as readings
from benchmarks.property_data import parts, read
from benchmarks.property_networks import BACKBONES, PARAMETERS, Training, fitted
from slicerxai import runtime
from slicerxai.errors import InputError
from slicerxai.interventions.attribution_maps import BASELINES
from slicerxai.interventions.local_bias import logistic_accuracy, split_accuracy

Array = NDArray[np.float64]
SIZE, SEED, LIMIT, QUICK_LIMIT = 64, 0, 60, 16
SPLITS: Final = 10
QUICK_EPOCHS: Final = 4
CHOSEN: Final = ("densenet", "resnet18")
TRAINED: Final[tuple[Training, ...]] = ("biased", "unbiased")
MAIN: Final = "pooled"
"""The images of which networks the figures `accuracy_METHOD` are about."""
OURS: Final = ("ours", "gradient", "flips")
REFERENCES: Final = ("probability", "distance")
METHODS: Final = (*OURS, *BASELINES, *REFERENCES)
SUFFIXES: Final = {
    "accuracy": "",
    "balanced accuracy": "_balanced",
    "accuracy, with the unchanged probability": "_informed",
}
"""Measures, and what the keys of their figures end in."""


@dataclass(frozen=True)
class Studied:
    """Readings of one network on the test images.

    Attributes:
        scores: method to name of score to (B,). truth: (B,) decision changes under at least half of the other
            realisations. share: (B,) of them. gradient: (B,) E|∇ₓF|. auc: on the validation images.
    """

    backbone: str
    training: Training
    scores: Mapping[str, Mapping[str, Array]]
    truth: NDArray[np.bool_]
    share: Array
    gradient: Array
    auc: float


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train, read, predict. Returns figures, rows and notes.

    Raises:
        InputError: no data, data of another form, or an unknown backbone.
    """
    if data is None:
        msg = "property_table needs --data: a folder with images/, masks/ and labels.csv"
        raise InputError(msg)
    runtime.configure()
    folder, device, names = out / "property_table", runtime.device(), _backbones()
    skin = read(data, SIZE, folder)
    split = parts(skin, SEED, QUICK_LIMIT if quick else LIMIT)
    studied = []
    for backbone in names:
        parameters = PARAMETERS[backbone].model_copy(
            update={"seed": SEED} | ({"epochs": QUICK_EPOCHS} if quick else {})
        )
        for training in TRAINED:
            network, threshold, auc = fitted(backbone, training, skin, split, parameters, folder / "networks", device)
            key = f"{backbone}_{training}_{parameters.epochs}_{len(split.test)}_{skin.digest}"
            case = readings.Case(backbone, network, threshold, skin, split.test, SEED, device, folder / "readings", key)
            studied.append(_study(case, backbone, training, auc))
    return _summary(studied, names, skin.left_out, len(split.training))


def _backbones() -> tuple[str, ...]:
    names = tuple(os.environ.get("PROPERTY_BACKBONES", ",".join(CHOSEN)).split(","))
    if not names or set(names) - set(BACKBONES):
        msg = f"PROPERTY_BACKBONES={','.join(names)}; accepted: names of {', '.join(BACKBONES)}, comma between them"
        raise InputError(msg)
    return names


def _study(case: readings.Case, backbone: str, training: Training, auc: float) -> Studied:
    share, along = readings.truth(case), readings.paths(case)
    gradient = readings.gradients(along)
    return Studied(
        backbone=backbone,
        training=training,
        scores=own_scores(along, case.threshold) | readings.all_baselines(case),
        truth=share >= 0.5,
        share=share,
        gradient=gradient,
        auc=auc,
    )


def own_scores(along: Array, threshold: float) -> dict[str, dict[str, Array]]:
    """Ours and the references, from probabilities along the paths (R, N, B)."""
    gradient, above = readings.gradients(along), along >= threshold
    flips = (above != above[:, :1]).any(1).mean(0)
    return {
        "ours": {"gradient": gradient, "flips": flips},
        "gradient": {"gradient": gradient},
        "flips": {"flips": flips},
        "probability": {"probability": along[0, 0], "margin": along[0, 0] - threshold},
        "distance": {"distance": np.abs(along[0, 0] - threshold)},
    }


def _rows(backbone: str, training: str, members: Sequence[Studied]) -> list[dict[str, Any]]:
    """Mean and standard deviation of every method's accuracy, in each measure, on the images of some networks."""
    truth = np.concatenate([one.truth for one in members])
    groups = np.concatenate([np.arange(len(one.truth)) for one in members])
    head = {"backbone": backbone, "training": training, "n": len(truth), "locally biased": float(truth.mean())}
    rows = [{"measure": measure} | head for measure in SUFFIXES]
    unchanged = np.concatenate([one.scores["probability"]["margin"] for one in members])
    for method in METHODS:
        scores = {
            name: np.concatenate([one.scores[method][name] for one in members]) for name in members[0].scores[method]
        }
        found = split_accuracy(scores, truth, groups, SPLITS, SEED)
        informed = logistic_accuracy(scores | {"unchanged": unchanged}, truth, groups, SPLITS, SEED)
        for row, values in zip(rows, (found.accuracy, found.balanced, informed.accuracy), strict=True):
            row[method] = float(values.mean()), float(values.std(ddof=1))
    for row in rows[::2]:
        row["majority"] = float(max(truth.mean(), 1 - truth.mean()))
    return rows


def _summary(studied: Sequence[Studied], names: Sequence[str], left_out: int, trained: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    accuracies: dict[tuple[str, str], list[float]] = {}
    for backbone in names:
        ones = [one for one in studied if one.backbone == backbone]
        for training, members in [*((one.training, [one]) for one in ones), ("pooled", ones)]:
            for row in _rows(backbone, training, members):
                for method in METHODS:
                    mean, spread = row[method]
                    key = (f"{training}{SUFFIXES[row['measure']]}", method)
                    accuracies.setdefault(key, []).append(mean)
                    row[method] = f"{100 * mean:.1f} ± {100 * spread:.1f}"
                rows.append(row)
    rows.sort(key=lambda row: list(SUFFIXES).index(row["measure"]))
    rows += [
        {"network": one.backbone, "trained": one.training, "E|∇|": float(one.gradient.mean()), "AUC": one.auc}
        | {"share of realisations that flip": float(one.share.mean()), "locally biased": float(one.truth.mean())}
        for one in studied
    ]
    figures = {f"accuracy_{method}": float(np.mean(accuracies[MAIN, method])) for method in METHODS}
    figures |= {
        f"accuracy_{method}_{kind}": float(np.mean(values))
        for (kind, method), values in accuracies.items()
        if kind not in {MAIN, *(f"{training}_informed" for training in TRAINED)} and "balanced" not in kind
    }
    for training in TRAINED:
        figures[f"gradient_{training}"] = float(
            np.mean([one.gradient.mean() for one in studied if one.training == training])
        )
    best = max(figures[f"accuracy_{method}"] for method in BASELINES)
    figures["ahead"] = figures["accuracy_ours"] - best
    notes = [
        f"{trained} training images; {left_out} images with a natural coloured patch were left out.",
        "Accuracies in per cent, mean ± standard deviation over 10 splits; 'probability' and 'distance' know nothing "
        "of the intervention: what they reach is in the unchanged prediction alone.",
    ]
    return {"figures": figures, "rows": rows, "notes": notes}
