"""Benchmark `segmentation`: Dice and lesion-wise F1 of both segmenters on the phantom, and of the fast one on scans.

Protocol, fixed beforehand: both networks are trained on the consensus of one phantom cohort at its default 2 mm and
tested on the patients of another, drawn from a seed that no setting was chosen on. A second fast network, for real
scans, works at 1 mm and learns from the four centres and from varied scanners; it is tested on new phantom patients at
1 mm too, and, having seen nothing but phantoms, on every real patient. Last, for each real patient, that network is
fine-tuned on the patient that follows it in the folder and on one phantom scan, and applied again: what one annotated
scan of the same site is worth. The normalisation of the fast network was changed after a look at the real patients
(docs/decisions/0005).

`--data` holds folders `patientNN/{FLAIR,lesions}.nii.gz`; folders without FLAIR are skipped.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.printer import Printer
from slicerxai import runtime
from slicerxai.data.case import Case
from slicerxai.data.metrics import evaluate
from slicerxai.data.phantom.cohort import write_cohort
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.phantom.training import training_cohort
from slicerxai.data.resample import resample_like
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.models.protocols import Segmenter
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train

RATER = "consensus"
TRAINING_SEED, TEST_SEED = 1, 6006


@dataclass(frozen=True)
class Size:
    """How much of everything; patients of each centre."""

    training_patients: int
    test_patients: int
    fast_steps: int
    nnunet_epochs: int
    fine_training_patients: int
    fine_test_patients: int
    fine_steps: int
    fine_tuning_steps: int


FULL = Size(12, 8, fast_steps=1500, nnunet_epochs=34, fine_training_patients=3, fine_test_patients=3, fine_steps=1100,
            fine_tuning_steps=150)  # fmt: skip
QUICK = Size(6, 3, fast_steps=600, nnunet_epochs=10, fine_training_patients=1, fine_test_patients=1, fine_steps=200,
             fine_tuning_steps=30)  # fmt: skip


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train, predict, score. Returns figures, rows of every case, and notes."""
    runtime.configure()
    size = QUICK if quick else FULL
    work = out / "segmentation"
    shutil.rmtree(work, ignore_errors=True)
    store = ModelStore(work / "models")
    training = _cohort(work / "training", _phantom(size.training_patients, 2.0, TRAINING_SEED))
    test = _cohort(work / "test", _phantom(size.test_patients, 2.0, TEST_SEED))
    fine_training = _cohort(work / "training-1mm", training_cohort(size.fine_training_patients, TRAINING_SEED))
    fine_test = _cohort(work / "test-1mm", _phantom(size.fine_test_patients, 1.0, TEST_SEED))
    fine = FastTrainingParameters(steps=size.fine_steps, validation_share=0.0)
    coarse = FastTrainingParameters(spacing=2.0, patch=48, steps=size.fast_steps, validation_share=0.0)
    orders: list[tuple[str, str, FastTrainingParameters | NnunetTrainingParameters, list[Case], list[Case]]] = [
        ("fast", "fast", coarse, training, test),
        ("nnunet", "nnunet", NnunetTrainingParameters(epochs=size.nnunet_epochs), training, test),
        ("fast_1mm", "fast", fine, fine_training, fine_test),
    ]
    rows: list[dict[str, Any]] = []
    figures: dict[str, float] = {}
    for name, kind, parameters, known, unknown in orders:
        figures[f"training_seconds_{name}"] = _train(kind, known, parameters, store, name)
        scores = _score(store, name, unknown, RATER, f"phantom, {name}")
        rows += scores
        figures |= _summary(scores, f"phantom_{name}")
    notes = [
        f"Phantom at 2 mm: {len(training)} patients to train on, {len(test)} others to test on; at 1 mm (fast_1mm) "
        f"{len(fine_training)} and {len(fine_test)}; reference {RATER}.",
        "Any overlap of at least one voxel finds a lesion; lesions below 3 mm³ are left out on both sides.",
    ]
    real = _real_cases(data) if data else []
    if not real:
        where = f"in {data}" if data else "given (--data)"
        return {
            "figures": figures,
            "rows": rows,
            "notes": [*notes, f"No real patients with FLAIR and lesions {where}."],
        }
    scores = _score(store, "fast_1mm", real, "reference", "real, phantom alone")
    rows += scores
    figures |= _summary(scores, "real")
    if len(real) > 1:
        scores = _leave_one_out(real, fine_training, fine, size.fine_tuning_steps, store)
        rows += scores
        figures |= _summary(scores, "real_with_one")
    notes.append(f"Real: {', '.join(case.id for case in real)}; other folders of {data} have no FLAIR.")
    return {"figures": figures, "rows": rows, "notes": notes}


def _phantom(patients: int, spacing: float, seed: int) -> PhantomParameters:
    """The four centres."""
    return PhantomParameters(patients=patients, spacing=spacing, seed=seed)


def _cohort(folder: Path, parameters: PhantomParameters) -> list[Case]:
    return list(write_cohort(folder, parameters, Printer(f"phantom {folder.name}")))


def _real_cases(data: Path) -> list[Case]:
    folders = sorted(path.parent for path in data.glob("patient*/FLAIR.nii.gz"))
    return [
        Case(folder.name, {"FLAIR": folder / "FLAIR.nii.gz"}, {"reference": folder / "lesions.nii.gz"})
        for folder in folders
        if (folder / "lesions.nii.gz").is_file()
    ]


def _train(
    kind: str,
    cases: Sequence[Case],
    parameters: FastTrainingParameters | NnunetTrainingParameters,
    store: ModelStore,
    name: str,
) -> float:
    """Train on the consensus. Returns wall-clock seconds."""
    started = time.perf_counter()
    train(kind, cases, RATER, parameters, store, name, runtime.device(), Printer(f"training {name}"))
    return time.perf_counter() - started


def _leave_one_out(
    real: Sequence[Case], training: Sequence[Case], fine: FastTrainingParameters, steps: int, store: ModelStore
) -> list[dict[str, Any]]:
    """Score each real patient after fine-tuning on the next one and one phantom scan in equal shares."""
    parameters = fine.model_copy(update={"start": "fast_1mm", "steps": steps, "lr": fine.lr / 3})
    rows = []
    for index, case in enumerate(real):
        other = real[(index + 1) % len(real)]
        known = Case(other.id, other.images, {RATER: other.masks["reference"]})
        name = f"fast_1mm-{other.id}"
        if name not in store.names():
            _train("fast", [known, training[0]], parameters, store, name)
        rows += _score(store, name, [case], "reference", f"real, phantom + {other.id}")
    return rows


def _score(store: ModelStore, name: str, cases: Sequence[Case], rater: str, setting: str) -> list[dict[str, Any]]:
    """One row for each case, on the grid of its image."""
    model = store.load(name, runtime.device())
    assert isinstance(model, Segmenter)
    rows = []
    for case in cases:
        started = time.perf_counter()
        images = {channel: case.image(channel) for channel in model.info.channels}
        found = model.predict(images).labelmap
        seconds = time.perf_counter() - started
        scores = evaluate(found, resample_like(case.mask(rater), found, order=0))
        rows.append(
            {
                "setting": setting,
                "case": case.id,
                "dice": scores.dice,
                "f1": scores.lesions.f1,
                "precision": scores.lesions.precision,
                "recall": scores.lesions.recall,
                "lesions": scores.lesions.reference,
                "relative volume error": scores.relative_volume_error,
                "HD95 (mm)": scores.hd95,
                "seconds": seconds,
            }
        )
        print(f"{setting}: {case.id} Dice {scores.dice:.3f}, F1 {scores.lesions.f1:.3f}", flush=True)
    return rows


def _summary(rows: Sequence[dict[str, Any]], suffix: str) -> dict[str, float]:
    """Mean, standard deviation (from two cases on) and number of cases, and Dice and F1 of every real patient."""
    figures: dict[str, float] = {f"n_{suffix}": len(rows)}
    for key in ("dice", "f1"):
        values = [row[key] for row in rows]
        figures[f"{key}_{suffix}"] = mean(values)
        if len(values) > 1:
            figures[f"sd_{key}_{suffix}"] = stdev(values)
        if suffix.startswith("real"):
            figures |= {f"{key}_{suffix}_{row['case']}": row[key] for row in rows}
    return figures
