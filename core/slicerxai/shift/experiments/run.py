"""Run an experiment: train, compare, find the truth where it is known, report. Whatever is finished is never redone."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from slicerxai.data.cohort import Cohort
from slicerxai.data.readers import read_cohort
from slicerxai.errors import InputError
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.models.protocols import Segmenter
from slicerxai.parameters import validate_parameters
from slicerxai.progress import Progress, each, part, silent
from slicerxai.shift.experiments.comparison import compare
from slicerxai.shift.experiments.folder import ExperimentFolder, Identity, case_digest
from slicerxai.shift.experiments.parameters import ExperimentParameters
from slicerxai.shift.experiments.plan import Plan, make_plan
from slicerxai.shift.experiments.report import write_report
from slicerxai.shift.experiments.training import TrainingParameters, train_model
from slicerxai.shift.experiments.truth import PhantomTruth, phantom_parameters
from slicerxai.shift.options import Options

if TYPE_CHECKING:
    import torch

TRAINERS: dict[str, type[FastTrainingParameters] | type[NnunetTrainingParameters]] = {
    "fast": FastTrainingParameters,
    "nnunet": NnunetTrainingParameters,
}


def run_experiment(
    source: Path,
    out: Path,
    parameters: ExperimentParameters,
    options: Options,
    device: torch.device,
    progress: Progress = silent,
) -> ExperimentFolder:
    """Run an experiment, or go on with one that was interrupted.

    Args:
        source: folder or table of the cohort.
        out: a new or empty folder, or that of the same experiment.
        parameters: of either experiment.
        options: how each drop is attributed; the estimator is overridden by `parameters.analyses`.

    Returns:
        The folder with everything in it.

    Raises:
        InputError: an unusable cohort, parameter or folder.
        ConflictError: another experiment was begun in the folder, or another run is at work there.
        Cancelled: through `progress`; call again to go on.
    """
    training = validate_parameters(TRAINERS[parameters.trainer], parameters.training, f"training {parameters.trainer}")
    cohort = read_cohort(source)
    plan = make_plan(cohort, parameters, training.channels)
    folder = ExperimentFolder(out)
    with folder.held():
        about = _identity(cohort, plan, parameters, training, options)
        folder.claim(about)
        folder.log(f"run of experiment {plan.kind}: {len(plan.models)} models, {len(plan.pairs)} pairs")
        _train(cohort, plan, parameters, training, folder, device, part(progress, 0.0, 0.7))
        test = Cohort(cohort.name, tuple(cohort[name] for name in plan.test))
        digest = about.digest
        _compare(test, plan, parameters, options, folder, digest, device, part(progress, 0.7, 0.95))
        _find_truth(source, test, plan, folder, device, part(progress, 0.95, 0.99))
        write_report(folder)
        folder.log("finished")
    progress(1.0, "done")
    return folder


def _identity(
    cohort: Cohort,
    plan: Plan,
    parameters: ExperimentParameters,
    training: TrainingParameters,
    options: Options,
) -> Identity:
    used = sorted({*plan.test, *(case for model in plan.models for case in model.cases)})
    models = {
        "kind": plan.kind,
        "cohort": cohort.name,
        "cases": {name: case_digest(cohort[name], training.channels) for name in used},
        "trainer": parameters.trainer,
        "training": training.model_dump(mode="json"),
        "learn": {model.name: {"rater": model.rater, "cases": list(model.cases)} for model in plan.models},
        "test": list(plan.test),
    }
    comparison = parameters.model_dump(mode="json", exclude={"trainer", "training"}) | {
        "raters": list(plan.raters),
        "left_out": list(plan.left_out),
        "attribution": asdict(options),
    }
    return Identity(models, json.loads(json.dumps(comparison)))


def _train(
    cohort: Cohort,
    plan: Plan,
    parameters: ExperimentParameters,
    training: TrainingParameters,
    folder: ExperimentFolder,
    device: torch.device,
    progress: Progress,
) -> None:
    for model, step in each(progress, plan.models):
        train_model(model, cohort, parameters.trainer, training, folder, device, _named(step, model.name))


def _compare(
    test: Cohort,
    plan: Plan,
    parameters: ExperimentParameters,
    options: Options,
    folder: ExperimentFolder,
    digest: str,
    device: torch.device,
    progress: Progress,
) -> None:
    for pair, step in each(progress, plan.pairs):
        segmenter = _segmenter(folder, pair.model, device)
        compare(pair, segmenter, test, parameters, options, folder, digest, _named(step, f"pair {pair.name}"))


def _find_truth(
    source: Path, test: Cohort, plan: Plan, folder: ExperimentFolder, device: torch.device, progress: Progress
) -> None:
    """Across centres; across raters the pairs themselves hold it."""
    phantom = phantom_parameters(source)
    if plan.kind != "centres" or phantom is None:
        return
    source_centres, target_centres = (
        tuple(sorted({str(case.metadata["centre"]) for case in test.select(side)}))
        for side in (plan.pairs[0].source, plan.pairs[0].target)
    )
    segmenter = _segmenter(folder, plan.models[0].name, device)
    PhantomTruth(phantom, (source_centres, target_centres), plan.raters).measure(test, segmenter, folder, progress)
    folder.log(f"truth: {len(test)} cases in the scanners of the other side")


def _segmenter(folder: ExperimentFolder, name: str, device: torch.device) -> Segmenter:
    model = folder.store.load(name, device)
    if not isinstance(model, Segmenter):
        msg = f"model {name!r} in {folder.path} is no segmenter; remove it to train it again"
        raise InputError(msg)
    return model


def _named(progress: Progress, name: str) -> Progress:
    def inner(fraction: float, message: str) -> None:
        progress(fraction, f"{name}: {message}")

    return inner
