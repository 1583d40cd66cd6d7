"""Train the models of an experiment; one that is there is taken, one that was interrupted goes on."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from slicerxai.data.cohort import Cohort
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.models.store import ModelStore
from slicerxai.progress import Progress
from slicerxai.shift.experiments.folder import ExperimentFolder
from slicerxai.shift.experiments.plan import ModelPlan

if TYPE_CHECKING:
    import torch

TrainingParameters = FastTrainingParameters | NnunetTrainingParameters


def train_model(
    plan: ModelPlan,
    cohort: Cohort,
    kind: str,
    parameters: TrainingParameters,
    folder: ExperimentFolder,
    device: torch.device,
    progress: Progress,
) -> None:
    """Train one model into the experiment's store, unless it is there.

    A training that was killed is resumed from its last checkpoint. A checkpoint that the kill cut off is removed: then
    the one before it is used where there is one, or the training begins anew.
    """
    from slicerxai.models.training import train

    if plan.name in folder.store.names():
        progress(1.0, f"{plan.name} is trained")
        return
    resume = _resumable(folder.store, plan.name, kind)
    folder.log(f"training {plan.name}: {'resumed from its last checkpoint' if resume else 'begun'}")
    started = time.monotonic()
    cases = [cohort[name] for name in plan.cases]
    train(kind, cases, plan.rater, parameters, folder.store, plan.name, device, progress, resume=resume)
    folder.log(f"training {plan.name}: finished, {time.monotonic() - started:.0f} s in this run")


def _resumable(store: ModelStore, name: str, kind: str) -> bool:
    """Whether there is an interrupted training to go on with, once damaged checkpoints are away."""
    if kind == "nnunet":
        from slicerxai.models.nnunet_training import work_folder

        work = work_folder(store.root / name, name)
        _drop_damaged(work, "*.pth")
        return (work / "run.json").is_file()
    from slicerxai.models.fast_training import CHECKPOINT

    work = store.root / f".training-{name}"
    _drop_damaged(work, CHECKPOINT)
    return (work / CHECKPOINT).is_file()


def _drop_damaged(work: Path, pattern: str) -> None:
    """Remove checkpoints that were cut off; they are ZIP archives, whose directory is written last."""
    for path in work.rglob(pattern):
        if not zipfile.is_zipfile(path):
            path.unlink()
