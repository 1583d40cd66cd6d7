"""Train a segmenter of either kind into a model store."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

from slicerxai.errors import InputError
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from slicerxai.data.case import Case
    from slicerxai.models.protocols import ModelInfo
    from slicerxai.models.store import ModelStore

PARAMETERS: dict[str, type[FastTrainingParameters] | type[NnunetTrainingParameters]] = {
    "fast": FastTrainingParameters,
    "nnunet": NnunetTrainingParameters,
}
"""Parameter model of each kind of segmenter."""


def train(
    kind: str,
    cases: Sequence[Case],
    rater: str,
    parameters: FastTrainingParameters | NnunetTrainingParameters,
    store: ModelStore,
    name: str,
    device: torch.device,
    progress: Progress = silent,
    *,
    resume: bool = False,
) -> ModelInfo:
    """Train a model; it appears in the store under its name when it is complete.

    Args:
        kind: "fast" or "nnunet".
        parameters: of the class that `PARAMETERS` names for the kind.
        resume: go on with an interrupted training of this name, same cases and parameters.

    Raises:
        NotFoundError: no model of the name to start from.
        InputError: unknown kind, parameters of another kind, bad name, unusable cases.
        ConflictError: nothing to resume, or it was another training.
        Cancelled: through `progress`; the checkpoint stays and can be resumed.
    """
    if kind not in PARAMETERS:
        msg = f"unknown kind of segmenter {kind!r}; known: {', '.join(PARAMETERS)}"
        raise InputError(msg)
    with store.create(name) as folder:
        if isinstance(parameters, FastTrainingParameters) and kind == "fast":
            from slicerxai.models.fast_training import train_fast

            work = _work_folder(store, name, resume)
            start = store.folder(parameters.start) if parameters.start else None
            train_fast(cases, rater, parameters, folder, name, device, progress, start=start, work=work, resume=resume)
            shutil.rmtree(work)
        elif isinstance(parameters, NnunetTrainingParameters) and kind == "nnunet":
            from slicerxai.models.nnunet_training import train_nnunet

            train_nnunet(cases, rater, parameters, folder, name, device, progress, resume=resume)
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
