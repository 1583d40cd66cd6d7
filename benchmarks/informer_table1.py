"""Benchmark `informer_table1`: the table of the INFORMER publication (Shu et al. 2024) on other data.

Protocol, fixed on seeds from 100 on; the figures are of seeds from 0 on.

- `--data` names chest X-rays, dermoscopy images or a phantom cohort, told apart by their files (`informer_data`).
- Of each seed: half of the images to train, a quarter to validate, a quarter to test (at most 300 each), whole patients
  together, balanced over labels. Labels with fewer than ten images in a part are left out; five remain. Validation and
  test images without any of the labels are left out, as published.
- A DenseNet is trained on the labels; thresholds are Youden's on the validation images. Flags of each method, with
  limits per class from the grid on the validation images, are turned round on the test images.
  ixg, lrp: distinctiveness of Input × Gradient and LRP maps; entropy; tta: spread of the logits over ten copies turned
  up to 45°, blurred and shifted (kernel and padding in proportion to those published for 320 pixels).
- Beside the published rule: limits cross-validated by patient (`_cv`), distance from the nearest map (`_nearest`),
  bands (`_steps`), logistic regression on the distances (`_classifier`), with the margin of the probability
  (`_margin`); and no alarm at all but thresholds that maximise F1 on the validation images (`retuned`).
- Mean F1 on the test set and on 30 bootstraps of it, with the paired t-test and the percentile interval of the
  difference to entropy. Review: predictions ranked by suspicion (chance of an error, calibrated on validation), area
  under the risk–coverage curve (AURC), and what flags on 10 % of the predictions find.
- Shift: the same networks with validation images of one side and test images of the other: X-ray view PA to AP,
  dermoscopy without to with a ruler, phantom centres.

Figures are means over seeds; p_* are medians of the bootstraps' p against entropy; p_seeds_* are of the paired t-test
over seeds, whose test sets overlap in part. `_shift`: under the shift.

INFORMER_SIZE=published trains DenseNet121 at 320² with the published learning rate, batch and epochs (from random
weights, not from ImageNet's); it needs a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.stats import ttest_rel
from torch import Tensor

from benchmarks.informer_analysis import METHODS, Outcome, analyse, mean_of, shifted
from benchmarks.informer_data import Source, source
from benchmarks.informer_readings import of_seed
from slicerxai import runtime
from slicerxai.errors import InputError
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.monitoring import evaluation

SEEDS, QUICK_SEEDS = range(5), range(1)
LIMIT: Final = 300
FLAT: Final[dict[str, Any]] = {
    "architecture": "densenet",
    "spatial_dims": 2,
    "learning_rate": 2e-3,
    "features": 16,
    "growth": 8,
    "blocks": (3, 3, 3),
    "batch": 16,
}
SMALL: Final[dict[str, dict[str, Any]]] = {
    "xray": FLAT | {"shape": (64, 64), "pooling": "average", "cells": 4, "epochs": 10},
    "dermoscopy": FLAT | {"shape": (64, 64), "pooling": "average", "epochs": 12},
    "phantom": {"architecture": "regional", "epochs": 20},
}
PUBLISHED: Final[dict[str, Any]] = {
    "spatial_dims": 2,
    "architecture": "densenet121",
    "shape": (320, 320),
    "pooling": "average",
    "epochs": 3,
    "batch": 16,
    "learning_rate": 1e-4,
}


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train, read, flag, compare. Returns figures, rows and notes."""
    if data is None:
        msg = "informer_table1 needs --data: chest X-rays, dermoscopy images or a phantom cohort"
        raise InputError(msg)
    runtime.configure()
    found, parameters = source(data), _parameters(data, quick)
    seeds = QUICK_SEEDS if quick else SEEDS

    @cache
    def images() -> Tensor:
        return found.read(parameters)

    plain, shift, notes = [], [], []
    for seed in seeds:
        one = of_seed(found, parameters, seed, runtime.device(), out / "informer_readings", images, LIMIT)
        plain.append(analyse(one.labels, one.validation, one.test, seed))
        moved = shifted(one.labels, one.validation, one.test, found.tells)
        if moved is not None:
            shift.append(analyse(*moved, seed))
        notes.append(
            f"Seed {seed}: {len(one.validation.truth)} validation and {len(one.test.truth)} test images, "
            f"{one.seconds:.0f} s, epoch {one.epoch}; AUC {plain[-1].auc.mean():.3f}; "
            f"{100 * plain[-1].wrong:.0f} % of the predictions are wrong; left out: {', '.join(one.dropped) or 'none'}."
        )
        print(notes[-1], flush=True)
    rows = _rows("original", plain) + (_rows(found.shift, shift) if shift else [])
    figures = _figures(plain, "") | (_figures(shift, "_shift") if shift else {})
    return {"figures": figures, "rows": rows, "notes": notes + _notes(found, plain, shift)}


def _parameters(data: Path, quick: bool) -> ClassifierTrainingParameters:
    size = os.environ.get("INFORMER_SIZE", "small")
    form = source(data).form
    if size not in {"small", "published"}:
        msg = f"INFORMER_SIZE={size}; accepted: small, published"
        raise InputError(msg)
    if size == "published" and form == "phantom":
        msg = "INFORMER_SIZE=published is for two-dimensional images; a phantom cohort takes small"
        raise InputError(msg)
    chosen = PUBLISHED if size == "published" else SMALL[form]
    parameters = ClassifierTrainingParameters.model_validate(chosen)
    return parameters.model_copy(update={"epochs": max(parameters.epochs // 3, 1)}) if quick else parameters


def _rows(setting: str, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """F1 of each method, its variants and its baselines; then reviews; then how the measures relate to probability."""
    rows: list[dict[str, Any]] = []
    for method in outcomes[0].f1:
        means = np.array([one.mean(method) for one in outcomes])
        row: dict[str, Any] = {"setting": setting, "method": method, "n": len(outcomes)}
        row |= {"F1": float(means.mean()), "SD": float(means.std(ddof=1)) if len(means) > 1 else None}
        row["bootstrap median"] = float(np.mean([np.median(one.draws[method]) for one in outcomes]))
        if method != "entropy":
            against = [evaluation.compare(one.draws[method], one.draws["entropy"]) for one in outcomes]
            row["minus entropy"] = float(np.mean([a.difference for a in against]))
            low, high = (float(np.mean([getattr(a, end) for a in against])) for end in ("low", "high"))
            row["interval"] = f"{low:.3f} to {high:.3f}"
            row["p"] = float(np.median([a.p for a in against]))
            row["better, worse"] = f"{sum(a.low > 0 for a in against)}, {sum(a.high < 0 for a in against)}"
        row["flagged"] = float(np.mean([one.flagged.get(method, 0.0) for one in outcomes]))
        row["sensitivity"] = mean_of([mean_of(one.sensitivity[method]) for one in outcomes])
        row["specificity"] = mean_of([mean_of(one.specificity[method]) for one in outcomes])
        for label in dict.fromkeys(name for one in outcomes for name in one.labels):
            values = [one.f1[method][one.labels.index(label)] for one in outcomes if label in one.labels]
            row[label] = float(np.mean(values))
        rows.append(row)
    for method in outcomes[0].reviews:
        found = [one.reviews[method] for one in outcomes]
        row = {"setting": f"{setting}, review", "method": method, "n": len(outcomes)}
        for name in ("aurc", "auroc", "ece", "spent", "precision", "found"):
            row[name] = mean_of([getattr(one, name) for one in found])
        rows.append(row)
    for method in METHODS:
        row = {"setting": f"{setting}, relations", "method": method, "n": len(outcomes)}
        for name in ("probability", "entropy", "errors", "present", "retuned"):
            values = [one.why[method][name] for one in outcomes if name in one.why[method]]
            row[f"r {name}"] = float(np.mean(values)) if values else None
        rows.append(row)
    return rows


def _figures(outcomes: Sequence[Outcome], suffix: str) -> dict[str, float]:
    figures: dict[str, float] = {"auc" + suffix: float(np.mean([one.auc.mean() for one in outcomes]))}
    entropy = [one.mean("entropy") for one in outcomes]
    for method in outcomes[0].f1:
        means = [one.mean(method) for one in outcomes]
        figures[f"f1_{method}{suffix}"] = float(np.mean(means))
        if method in {"ixg", "lrp", "tta", "none", "retuned"}:
            p = [evaluation.compare(one.draws[method], one.draws["entropy"]).p for one in outcomes]
            figures[f"p_{method}{suffix}"] = float(np.median(p))
            if len(means) > 1 and np.ptp(np.subtract(means, entropy)) > 0:
                figures[f"p_seeds_{method}{suffix}"] = float(ttest_rel(means, entropy).pvalue)
    for method in outcomes[0].reviews:
        figures[f"aurc_{method}{suffix}"] = float(np.mean([one.reviews[method].aurc for one in outcomes]))
    return figures


def _notes(data: Source, plain: Sequence[Outcome], shift: Sequence[Outcome]) -> list[str]:
    notes = [
        f"Data: {data.form}, {len(data.truth)} images of {len(set(data.groups.tolist()))} patients or images.",
        "interval: of the difference over 30 bootstraps of one test set, mean of its ends over seeds; 'better, worse': "
        "seeds whose interval lies above, below 0. p: paired t-test over the bootstraps, median over seeds; it is too "
        "small, because bootstraps of one test set are not independent samples.",
        "Relations: Spearman's correlation of the measure with probability and with entropy, AUROC of the measure for "
        "errors (means over labels); share of the flags that turn 'present' to 'absent'; share of the flags that the "
        "re-tuned threshold turns as well.",
    ]
    for name, outcomes in (("original", plain), (data.shift, shift)):
        if not outcomes:
            notes.append(f"{data.shift}: too few labels on both sides.")
            continue
        beaten = [
            method
            for method in ("ixg", "lrp")
            if np.mean([one.mean(method) for one in outcomes]) <= np.mean([one.mean("entropy") for one in outcomes])
        ]
        if beaten:
            notes.append(f"{name}: {' and '.join(beaten)} did not beat entropy in mean F1.")
    return notes
