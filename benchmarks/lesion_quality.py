"""Benchmark `lesion_quality`: which predicted lesions are false? An alarm over lesions beside simpler measures.

Protocol, fixed beforehand: a fast segmenter is trained on one phantom cohort at 2 mm, an alarm over its lesions is
fitted on the patients of a second cohort and judged on those of a third; the seeds of the three were not tried before.
A predicted lesion is false when none of its voxels lies in a reference lesion (both at least 3 mm³), as in lesion-wise
F1. Reported is the area under the ROC curve of finding false lesions among all lesions of the third cohort, for

* low mean probability, and small volume, each alone (nothing is fitted);
* the alarm without maps;
* the alarm with the shape of each lesion's input × gradient map, and with that of its LRP map;

with 95 % intervals from 2000 draws of patients. `gain_*` is the paired difference, with its interval: of the alarm
without maps from mean probability, and of each alarm with maps from the alarm without.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.printer import Printer
from slicerxai import runtime
from slicerxai.data.case import Case
from slicerxai.data.phantom.cohort import write_cohort
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.protocols import Segmenter
from slicerxai.models.store import ModelStore
from slicerxai.models.training import train
from slicerxai.monitoring.evaluation import calibration_error
from slicerxai.monitoring.lesion_alarm import LesionAlarm
from slicerxai.monitoring.lesion_alarm_fit import fit_lesion_alarm
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters, LesionSaliency
from slicerxai.monitoring.lesion_quality import false_lesions, lesion_readings
from slicerxai.monitoring.lesion_readings import LesionReadings, names

RATER = "consensus"
TRAINING_SEED, FITTING_SEED, TEST_SEED = 41, 42, 43
DRAWS = 2000
KINDS: dict[str, LesionSaliency | None] = {"plain": None, "ixg": "input_x_gradient", "lrp": "lrp"}

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Size:
    """Patients of each of the four centres in the three cohorts, and training steps."""

    training: int
    fitting: int
    test: int
    steps: int


FULL, QUICK = Size(6, 6, 8, 700), Size(2, 2, 2, 250)


@dataclass(frozen=True)
class Read:
    """One case: its readings by kind, which of its lesions are false, and seconds of each kind."""

    case: str
    readings: dict[str, LesionReadings]
    false: Flags
    seconds: dict[str, float]


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train, fit, judge. Returns figures, rows and notes."""
    del data
    runtime.configure()
    size, work = QUICK if quick else FULL, out / "lesion_quality"
    shutil.rmtree(work, ignore_errors=True)
    training = _cohort(work / "training", size.training, TRAINING_SEED)
    store = ModelStore(work / "models")
    parameters = FastTrainingParameters(spacing=2.0, patch=48, steps=size.steps, validation_share=0.0)
    train("fast", training, RATER, parameters, store, "fast", runtime.device(), Printer("training"))
    model = store.load("fast", runtime.device())
    assert isinstance(model, Segmenter)
    fitting = [read(model, case) for case in _cohort(work / "fitting", size.fitting, FITTING_SEED)]
    test = [read(model, case) for case in _cohort(work / "test", size.test, TEST_SEED)]
    return compare(fitting, test, model.info.digest)


def read(model: Segmenter, case: Case) -> Read:
    """Predict one case and measure its lesions in every way."""
    images = {channel: case.image(channel) for channel in model.info.channels}
    segmentation = model.predict(images)
    readings, seconds = {}, {}
    for kind, saliency in KINDS.items():
        used = time.process_time()
        readings[kind] = lesion_readings(model, images, segmentation, saliency=saliency)
        seconds[kind] = time.process_time() - used
    false = false_lesions(readings["plain"], case.mask(RATER))
    print(f"{case.id}: {len(false)} lesions, {int(false.sum())} false", flush=True)
    return Read(case.id, readings, false, seconds)


def compare(fitting: Sequence[Read], test: Sequence[Read], digest: str) -> dict[str, Any]:
    """Fit on some patients, judge the others."""
    wrong = np.concatenate([one.false for one in test])
    patient = np.repeat(np.arange(len(test)), [len(one.false) for one in test])
    scores = {
        "probability": -_column(test, "mean probability"),
        "volume": -_column(test, "log volume"),
    }
    alarms: dict[str, LesionAlarm] = {}
    for kind, saliency in KINDS.items():
        alarms[kind] = fit_lesion_alarm(
            [one.readings[kind] for one in fitting],
            [one.false for one in fitting],
            digest,
            LesionAlarmParameters(saliency=saliency),
            cases=[one.case for one in fitting],
        )
        scores[kind] = np.concatenate([alarms[kind].judge(one.readings[kind]).suspicion for one in test])
    draws = _draws(patient, len(test))
    areas = {name: area(score, wrong, draws) for name, score in scores.items()}
    figures: dict[str, float] = {"lesions": len(wrong), "false": float(wrong.mean()), "patients": len(test)}
    for name, values in areas.items():
        figures |= _with_interval(f"auroc_{name}", values)
    for name, other in (("plain", "probability"), ("ixg", "plain"), ("lrp", "plain")):
        figures |= _with_interval(f"gain_{name}", areas[name] - areas[other])
    rows = [_row(name, areas[name], alarms.get(name), test, wrong) for name in scores]
    notes = [
        f"{len(test)} test patients with {len(wrong)} predicted lesions, {int(wrong.sum())} false; the alarm was "
        f"fitted on {len(fitting)} other patients with {sum(len(one.false) for one in fitting)} lesions.",
        "Weights (features of unit spread): "
        + "; ".join(f"{kind} {_weights(alarm)}" for kind, alarm in alarms.items())
        + ".",
    ]
    return {"figures": figures, "rows": rows, "notes": notes}


def area(score: Array, wrong: Flags, draws: Sequence[NDArray[np.intp]]) -> Array:
    """Area under the ROC curve: of all lesions first, then of each draw that has lesions of both kinds."""
    found = []
    for rows in (np.arange(len(wrong)), *draws):
        false = wrong[rows]
        count = int(false.sum())
        if 0 < count < len(rows):
            ranks = rankdata(score[rows])[false].sum()
            found.append((ranks - count * (count + 1) / 2) / (count * (len(rows) - count)))
    return np.array(found)


def _draws(patient: NDArray[np.intp], count: int) -> list[NDArray[np.intp]]:
    """Lesions of as many patients drawn with replacement."""
    rng, rows = np.random.default_rng(0), [np.flatnonzero(patient == one) for one in range(count)]
    return [np.concatenate([rows[one] for one in rng.integers(0, count, count)]) for _ in range(DRAWS)]


def _with_interval(name: str, values: Array) -> dict[str, float]:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return {name: float(values[0]), f"{name}_low": float(low), f"{name}_high": float(high)}


def _row(name: str, values: Array, alarm: LesionAlarm | None, test: Sequence[Read], wrong: Flags) -> dict[str, Any]:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    row = {"measure": name, "AUROC": float(values[0]), "from": float(low), "to": float(high)}
    if alarm is None:
        return row
    judged = [alarm.judge(one.readings[name]) for one in test]
    flags = np.concatenate([one.flagged for one in judged])
    chance = np.concatenate([one.suspicion for one in judged])
    return row | {
        "flagged": float(flags.mean()),
        "false among flagged": float(wrong[flags].mean()) if flags.any() else None,
        "found of the false": float(flags[wrong].mean()),
        "calibration error": calibration_error(chance, wrong),
        "CPU seconds a case": median(one.seconds[name] for one in test),
    }


def _column(cases: Sequence[Read], name: str) -> Array:
    return np.concatenate([one.readings["plain"].column(name) for one in cases])


def _weights(alarm: LesionAlarm) -> str:
    named = zip(names(alarm.parameters.saliency), alarm.model.weights, strict=True)
    return ", ".join(f"{name} {weight:+.2f}" for name, weight in named)


def _cohort(folder: Path, patients: int, seed: int) -> list[Case]:
    parameters = PhantomParameters(patients=patients, spacing=2.0, seed=seed)
    return list(write_cohort(folder, parameters, Printer(f"phantom {folder.name}")))
