"""Train a model of any kind into a model store."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slicerxai.errors import InputError
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from slicerxai.data.case import Case
    from slicerxai.models.protocols import ModelInfo
    from slicerxai.models.store import ModelStore

TrainingParameters = FastTrainingParameters | NnunetTrainingParameters | ClassifierTrainingParameters

PARAMETERS: dict[str, type[TrainingParameters]] = {
    "fast": FastTrainingParameters,
    "nnunet": NnunetTrainingParameters,
    "classifier": ClassifierTrainingParameters,
}
"""Parameter model of each kind of model."""

SEGMENTERS = ("fast", "nnunet")
"""The kinds that learn a rater's masks and whose training can be resumed."""


def train(
    kind: str,
    cases: Sequence[Case],
    rater: str | None,
    parameters: TrainingParameters,
    store: ModelStore,
    name: str,
    device: torch.device,
    progress: Progress = silent,
    *,
    resume: bool = False,
) -> ModelInfo:
    """Train a model; it appears in the store under its name when it is complete.

    Args:
        kind: "fast" or "nnunet" for segmenters, "classifier".
        rater: whose masks a segmenter learns; None for a classifier, which learns from the cases' metadata.
        parameters: of the class that `PARAMETERS` names for the kind.
        resume: go on with a segmenter's interrupted training of this name, same cases and parameters.

    Raises:
        NotFoundError: no model of the name to start from.
        InputError: unknown kind, parameters of another kind, bad name, unusable cases; no rater for a segmenter, or a
            rater or `resume` for a classifier.
        ConflictError: nothing to resume, or it was another training.
        Cancelled: through `progress`; the checkpoint stays and can be resumed.
    """
    if kind not in PARAMETERS:
        msg = f"unknown kind of model {kind!r}; known: {', '.join(PARAMETERS)}"
        raise InputError(msg)
    if (rater is None) == (kind in SEGMENTERS) or (resume and kind not in SEGMENTERS):
        msg = (
            f"kind {kind!r} got rater {rater!r} and resume {resume}; segmenters ({', '.join(SEGMENTERS)}) need a "
            "rater, a classifier takes neither"
        )
        raise InputError(msg)
    with store.create(name) as folder:
        if isinstance(parameters, FastTrainingParameters) and rater is not None and kind == "fast":
            from slicerxai.models.fast_training import train_fast

            work = _work_folder(store, name, resume)
            start = store.folder(parameters.start) if parameters.start else None
            train_fast(cases, rater, parameters, folder, name, device, progress, start=start, work=work, resume=resume)
            shutil.rmtree(work)
        elif isinstance(parameters, NnunetTrainingParameters) and rater is not None and kind == "nnunet":
            from slicerxai.models.nnunet_training import train_nnunet

            train_nnunet(cases, rater, parameters, folder, name, device, progress, resume=resume)
        elif isinstance(parameters, ClassifierTrainingParameters) and kind == "classifier":
            from slicerxai.models.classifier_training import train_classifier

            train_classifier(cases, parameters, folder, name, device, progress)
        else:
            msg = f"kind {kind!r} takes {PARAMETERS[kind].__name__}, got {type(parameters).__name__}"
            raise InputError(msg)
    return store.load(name, device).info


def _work_folder(store: ModelStore, name: str, resume: bool) -> Path:
    """Where checkpoints of an unfinished training are kept, beside the models; emptied unless it is to be resumed."""
    work = store.root / f".training-{name}"
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
    return work
