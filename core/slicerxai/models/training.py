"""Train a segmenter of either kind into a model store."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slicerxai.errors import InputError
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    import torch

    from slicerxai.data.case import Case
    from slicerxai.models.protocols import ModelInfo
    from slicerxai.models.store import ModelStore

KINDS = ("fast", "nnunet")


def train(
    kind: str,
    cases: Sequence[Case],
    rater: str,
    parameters: Any,
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
        parameters: `FastTrainingParameters` or `NnunetTrainingParameters`, to match.
        resume: go on with an interrupted training of this name, same cases and parameters.

    Raises:
        InputError: unknown kind, parameters of another kind, unusable cases.
        ConflictError: nothing to resume, or it was another training.
        Cancelled: through `progress`; the checkpoint stays and can be resumed.
    """
    if kind not in KINDS:
        msg = f"unknown kind of segmenter {kind!r}; known: {', '.join(KINDS)}"
        raise InputError(msg)
    with store.create(name) as folder:
        work = store.root / f".training-{name}"
        if not resume:
            shutil.rmtree(work, ignore_errors=True)
        work.mkdir(exist_ok=True)
        if kind == "fast":
            from slicerxai.models.fast_training import train_fast

            if not isinstance(parameters, FastTrainingParameters):
                msg = f"a fast segmenter is trained with FastTrainingParameters, got {type(parameters).__name__}"
                raise InputError(msg)
            train_fast(cases, rater, parameters, folder, name, device, progress, work=work, resume=resume)
        else:
            from slicerxai.models.nnunet_training import train_nnunet

            train_nnunet(cases, rater, parameters, folder, name, device, progress, work=work, resume=resume)
    shutil.rmtree(work, ignore_errors=True)
    return store.load(name, device).info
