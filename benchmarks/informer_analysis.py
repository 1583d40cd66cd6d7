"""What flags of each method do to the predictions of one seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from benchmarks.informer_data import Flags
from benchmarks.informer_readings import MAPS, Part
from slicerxai.models.classifier_scores import youden
from slicerxai.monitoring import evaluation
from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.alarm_fit import fit_alarm
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.limits import f1, swapped

Array = NDArray[np.float64]
METHODS: Final = ("ixg", "lrp", "entropy", "tta")
DRAWS: Final = 30
BUDGET: Final = 0.1
FOLDS: Final = 5
PUBLISHED: Final[dict[str, object]] = {"action": "swap", "folds": 0, "pooling": "sum", "margin": False}
VARIANTS: Final[dict[str, dict[str, object]]] = {
    "": {},
    "_cv": {"folds": FOLDS},
    "_nearest": {"pooling": "nearest"},
    "_nearest_cv": {"pooling": "nearest", "folds": FOLDS},
    "_steps": {"rule": "steps", "folds": FOLDS},
    "_classifier": {"rule": "classifier", "folds": FOLDS},
    "_classifier_margin": {"rule": "classifier", "margin": True, "folds": FOLDS},
}
"""Ways to flag and swap; the first is the published one."""
OF_MAPS_ALONE: Final = ("_nearest", "_nearest_cv", "_classifier", "_classifier_margin")
REVIEWS: Final[dict[str, dict[str, object]]] = {
    "": {},
    "_margin": {"margin": True},
    "_nearest": {"pooling": "nearest"},
    "_nearest_margin": {"pooling": "nearest", "margin": True},
    "_classifier": {"rule": "classifier", "folds": FOLDS},
    "_classifier_margin": {"rule": "classifier", "margin": True, "folds": FOLDS},
}
"""Ways to rank predictions for review."""


@dataclass(frozen=True)
class Review:
    """How well a suspicion ranks the test predictions: areas, calibration, and what a budget of flags finds."""

    aurc: float
    auroc: float
    ece: float
    spent: float
    precision: float
    found: float


@dataclass(frozen=True)
class Outcome:
    """Of one seed and setting, all by method.

    Attributes:
        f1: (L,) of each label. mean_f1: their mean. draws: mean F1 on the bootstrapped test sets, (30,).
        sensitivity, specificity: (L,). reviews: by method, and "perfect".
        why: Spearman's correlations of the measure and what the flags are, see `_why`.
    """

    labels: tuple[str, ...]
    f1: dict[str, Array]
    draws: dict[str, Array]
    sensitivity: dict[str, Array]
    specificity: dict[str, Array]
    flagged: dict[str, float]
    reviews: dict[str, Review]
    why: dict[str, dict[str, float]]
    auc: Array
    wrong: float

    def mean(self, method: str) -> float:
        """Mean F1."""
        return float(self.f1[method].mean())


def analyse(labels: tuple[str, ...], validation: Part, test: Part, seed: int) -> Outcome:
    """Fit every alarm on the validation images and apply it to the test images."""
    predicted = test.probabilities >= test.thresholds
    predictions = {"none": predicted, "retuned": _retuned(validation, test)}
    flagged = {}
    for method in METHODS:
        for variant, options in VARIANTS.items():
            if method not in MAPS and variant in OF_MAPS_ALONE:
                continue
            flags = _alarm(labels, validation, method, options).judge(test.readings(method)).flagged
            predictions[method + variant] = swapped(predicted, flags)
            flagged[method + variant] = float(flags.mean())
    scores = {name: evaluation.class_scores(p, test.truth) for name, p in predictions.items()}
    return Outcome(
        labels,
        {name: score.f1 for name, score in scores.items()},
        evaluation.bootstrap_f1(predictions, test.truth, draws=DRAWS, seed=seed),
        {name: score.sensitivity for name, score in scores.items()},
        {name: score.specificity for name, score in scores.items()},
        flagged,
        _reviews(labels, validation, test),
        {method: _why(test, predictions, method) for method in METHODS},
        _auc(test),
        float((predicted ^ test.truth).mean()),
    )


def _alarm(labels: tuple[str, ...], validation: Part, method: str, options: dict[str, object]) -> Alarm:
    readings = validation.readings(method)
    chosen = PUBLISHED | {"score": readings.score, "budget": BUDGET} | options
    if readings.saliency:
        chosen["saliency"] = readings.saliency
    groups = validation.groups.tolist()
    chosen["folds"] = min(cast(int, chosen["folds"]), len(set(groups)))
    parameters = AlarmParameters.model_validate(chosen)
    cases = [str(n) for n in range(len(groups))]
    return fit_alarm(readings, validation.truth, labels, "", parameters, cases=cases, groups=groups)


def _retuned(validation: Part, test: Part) -> Flags:
    """Predictions at the threshold of each label that maximises F1 on the validation images, instead of Youden's."""
    predicted = np.zeros(test.truth.shape, bool)
    for c in range(test.truth.shape[1]):
        values = np.unique(validation.probabilities[:, c])
        cuts = np.append((values[1:] + values[:-1]) / 2, validation.thresholds[c])
        best = max(cuts, key=lambda cut: f1(validation.probabilities[:, c] >= cut, validation.truth[:, c]))
        predicted[:, c] = test.probabilities[:, c] >= best
    return predicted


def _reviews(labels: tuple[str, ...], validation: Part, test: Part) -> dict[str, Review]:
    wrong = (test.probabilities >= test.thresholds) ^ test.truth
    found = {}
    for method in METHODS:
        for variant, options in REVIEWS.items():
            if method not in MAPS and variant not in {"", "_margin"}:
                continue
            alarm = _alarm(labels, validation, method, {"action": "review"} | options)
            judgement = alarm.judge(test.readings(method))
            found[method + variant] = _review(judgement.suspicion, judgement.flagged, wrong)
    found["perfect"] = _review(wrong.astype(np.float64), wrong, wrong)
    return found


def _review(suspicion: Array, flags: Flags, wrong: Flags) -> Review:
    return Review(
        evaluation.aurc(suspicion, wrong),
        evaluation.error_auroc(suspicion, wrong),
        evaluation.calibration_error(suspicion, wrong),
        float(flags.mean()),
        float(wrong[flags].mean()) if flags.any() else float("nan"),
        float(flags[wrong].mean()) if wrong.any() else float("nan"),
    )


def _why(test: Part, predictions: dict[str, Flags], method: str) -> dict[str, float]:
    """How the measure relates to the probability, and what the published flags are; means over labels.

    "probability", "entropy": Spearman's correlation of the measure with the probability, and with the entropy.
    "errors": AUROC of the measure itself for errors within a label. "present": share of the flags that turn "present"
    to "absent". "retuned": share of the flags that a re-tuned threshold would turn round as well.
    """
    readings = test.readings(method)
    entropy = test.readings("entropy").measure
    labels, wrong = range(test.truth.shape[1]), readings.predicted ^ test.truth
    flags, retuned = predictions[method] ^ predictions["none"], predictions["retuned"] ^ predictions["none"]

    def correlation(other: Array) -> float:
        values = [spearmanr(readings.measure[:, c], other[:, c]).statistic for c in labels]
        return mean_of(values)

    found = {
        "probability": correlation(test.probabilities),
        "entropy": correlation(entropy),
        "errors": mean_of([evaluation.error_auroc(readings.suspicious[:, c], wrong[:, c]) for c in labels]),
    }
    if flags.any():
        found["present"] = float(predictions["none"][flags].mean())
        found["retuned"] = float(retuned[flags].mean())
    return found


def mean_of(values: ArrayLike) -> float:
    """Mean of the values that are numbers; NaN without any."""
    array = np.asarray(values, np.float64)
    array = array[np.isfinite(array)]
    return float(array.mean()) if len(array) else float("nan")


def _auc(test: Part) -> Array:
    return np.array([roc_auc_score(test.truth[:, c], test.probabilities[:, c]) for c in range(test.truth.shape[1])])


def shifted(
    labels: tuple[str, ...], validation: Part, test: Part, tells: str | None
) -> tuple[tuple[str, ...], Part, Part] | None:
    """Validation images of the near side, test images of the far side, Youden's thresholds of that validation.

    Labels that are not with and without on both sides are left out, and so is the one that the shift consists of.
    None where fewer than two labels remain.
    """
    near, far = ~validation.far, test.far
    sides = (validation.truth[near], test.truth[far])
    varied = np.all([side.any(0) & ~side.all(0) for side in sides], axis=0) if near.any() and far.any() else []
    kept = np.array([c for c, ok in enumerate(varied) if ok and labels[c] != tells], int)
    if len(kept) < 2:
        return None
    limits = np.array(youden(validation.probabilities[near][:, kept], validation.truth[near][:, kept]))
    names = tuple(labels[c] for c in kept)
    return names, validation.take(near, kept, limits), test.take(far, kept, limits)
