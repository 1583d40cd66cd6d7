"""Benchmark `alignment_scanner_mark`: a classifier of lesion regions that learned a scanner's mark, repaired.

Phantom patients of few lesions (`benchmarks.informer_phantom`; `--data`: a cohort that has been simulated already). A
mark outside of the brain (`tests.support.scanner_mark`) is in the training scans just where the patient has an
infratentorial lesion. In the test scans of other patients it is drawn by lot; "flipped" it is where there is no such
lesion, "none" nowhere.

- unmarked: plain training on the same scans without any mark: what there is to reach;
- plain: plain training on the marked scans;
- aligned: aligned training that goes on from plain, with its defaults;
- invariance: the same without exchanged surroundings; exchange: the same without search for changes (not with --quick).

Counterfactuals (ℓ1, default weight) turn "infratentorial" round in the first test scans that bear the mark. Shares of
their change: outside of the lesions where the label was predicted present (it should vanish with lesions), and outside
of the brain for all. Accuracy at the model's own threshold. A finished model in OUT is not trained again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.informer_phantom import PARAMETERS, phantom_cohort
from benchmarks.printer import Printer
from slicerxai.alignment.aligned_training import train_aligned_model
from slicerxai.alignment.aligned_training_parameters import AlignedTrainingParameters
from slicerxai.alignment.alignment_loss import off_mask_share
from slicerxai.alignment.counterfactual import counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.decision_masks import brain_on, lesions_on
from slicerxai.alignment.losses import label_loss
from slicerxai.data.case import Case
from slicerxai.data.readers import read_cohort
from slicerxai.errors import InputError
from slicerxai.models.classifier import ImageClassifier
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train
from tests.support.scanner_mark import PHANTOM, plant

SIZES: Final = {False: (140, 60, 24), True: (40, 20, 4)}
"""Scans to train on and to test on, and counterfactuals, without and with --quick."""
STEPS: Final = 40
"""Of the search for a counterfactual."""
RATER: Final = "consensus"


@dataclass(frozen=True)
class Scans:
    """Cases by the marks that they bear; labels (N,) of the first target."""

    training: list[Case]
    unmarked: list[Case]
    test: dict[str, list[Case]]
    present: NDArray[np.bool_]


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train, test and search counterfactuals; see the module's text."""
    count, tested, searched = SIZES[quick]
    scans = _scans(_cohort(data, out, count + tested), count, out / "alignment_scanner_mark")
    store = ModelStore(out / "alignment_scanner_mark" / "models")
    rows = [_row(name, _trained(name, scans, store), scans, searched) for name in _methods(quick)]
    by = {row["method"]: row for row in rows}
    figures = {f"{key}_{name}": by[name][key] for name in ("unmarked", "plain", "aligned") for key in KEYS}
    notes = [f"{count} scans for training and choice of the epoch, {tested} for testing; one seed"]
    return {"rows": rows, "figures": figures, "notes": notes}


KEYS: Final = ("accuracy_random", "auc_random", "auc_flipped", "outside_lesions", "outside_brain")


def _methods(quick: bool) -> tuple[str, ...]:
    return ("unmarked", "plain", "aligned", *(() if quick else ("invariance", "exchange")))


def _cohort(data: Path | None, out: Path, count: int) -> list[Case]:
    if data is None:
        parameters = PARAMETERS.model_copy(update={"patients": -(-count // len(PARAMETERS.centres))})
        cases = list(phantom_cohort(out / "alignment_scanner_mark" / "phantom", parameters, Printer("phantom")))
    else:
        cases = list(read_cohort(data))
    if len(cases) < count:
        msg = f"{count} phantom patients are needed, {data} holds {len(cases)}"
        raise InputError(msg)
    order = np.random.default_rng(0).permutation(len(cases))[:count]
    return [cases[index] for index in order]


def _scans(cases: Sequence[Case], count: int, folder: Path) -> Scans:
    """The planted scans; the first cases train."""
    target = PHANTOM.parsed_targets[0]
    present = np.array([float(case.metadata[target.column]) > (target.above or 0) for case in cases])
    lot = np.random.default_rng(1).random(len(cases)) < 0.5
    marks = {"random": lot, "flipped": ~present, "none": np.zeros(len(cases), bool)}
    planted = folder / "marked"
    return Scans(
        training=plant(cases[:count], present[:count].tolist(), planted),
        unmarked=list(cases[:count]),
        test={name: plant(cases[count:], mark[count:].tolist(), planted) for name, mark in marks.items()},
        present=present[count:],
    )


def _trained(name: str, scans: Scans, store: ModelStore) -> ImageClassifier:
    """The model of a method, trained unless the store has it."""
    cpu_or_gpu = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in store.names():
        printer = Printer(name)
        if name in ("unmarked", "plain"):
            cases = scans.unmarked if name == "unmarked" else scans.training
            parameters = PHANTOM.model_copy(update={"epochs": 16 if name == "unmarked" else PHANTOM.epochs})
            train("classifier", cases, None, parameters, store, name, cpu_or_gpu, printer)
        else:
            off = {"invariance": {"exchange": 0.0}, "exchange": {"invariance": 0.0}}.get(name, {})
            aligned = AlignedTrainingParameters.model_validate({"base": "plain"} | off)
            train_aligned_model(scans.training, RATER, aligned, store, name, cpu_or_gpu, printer)
    model = store.load(name, cpu_or_gpu)
    if not isinstance(model, ImageClassifier):
        msg = f"{store.folder(name)} is no classifier; remove it"
        raise InputError(msg)
    return model


def _row(name: str, model: ImageClassifier, scans: Scans, searched: int) -> dict[str, Any]:
    row: dict[str, Any] = {"method": name}
    for marks, cases in scans.test.items():
        scores = np.array([model.predict({"FLAIR": case.image("FLAIR")})[0] for case in cases])
        row[f"accuracy_{marks}"] = float(((scores > model.thresholds[0]) == scans.present).mean())
        row[f"auc_{marks}"] = float(roc_auc_score(scans.present, scores))
    row |= _shares(model, scans, searched)
    return row | {"training_seconds": model.info.provenance["training_seconds"]}


def _shares(model: ImageClassifier, scans: Scans, searched: int) -> dict[str, float | None]:
    """Shares of the counterfactual changes of test scans that bear the mark; None where there is none."""
    marked = [case for case, plain in zip(scans.test["random"], scans.test["none"], strict=True) if case is not plain]
    lesions, brains, flipped = [], [], []
    for case in marked[:searched]:
        prepared = model.prepare({"FLAIR": case.image("FLAIR")})
        image = prepared.tensor[None].to(model.device)
        with torch.no_grad():
            before = model.network(image) > 0
        which = torch.zeros_like(before)
        which[:, 0] = True
        parameters = SolverParameters(steps=STEPS, low=float(image.min()), high=float(image.max()))
        found = counterfactual(label_loss(model.network, (~before).float(), which), image, parameters)
        with torch.no_grad():
            after = model.network(found.images) > 0
        inside = torch.from_numpy(lesions_on(prepared, case.mask(RATER)))[None, None]
        brain = torch.from_numpy(brain_on(prepared))[None, None]
        flipped.append(bool(after[0, 0] != before[0, 0]))
        brains.append(float(off_mask_share(found.change.cpu(), brain)))
        if before[0, 0]:
            lesions.append(float(off_mask_share(found.change.cpu(), inside)))
    return {
        "outside_lesions": mean(lesions) if lesions else None,
        "outside_brain": mean(brains),
        "predicted_present": len(lesions) / len(brains),
        "turned_round": mean(flipped),
    }
