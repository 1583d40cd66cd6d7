"""State of an unfinished fit on the disk."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slicerxai.errors import InputError


@dataclass
class FitState:
    """What a fit needs to go on as if it had not stopped.

    Attributes:
        identity: of parameters, images and first weights: another fit's checkpoint is refused.
        epochs: finished ones.
        network, optimiser: their states now.
        best: state of the network in its best epoch.
        quality: mean AUC and negative loss on the validation images then.
        epoch: that epoch, from 1.
        logits: (N, L) of the validation images then.
        history: of each epoch: training loss, validation loss, mean validation AUC.
        records: of each epoch: off-mask share, linear residual, support.
    """

    identity: str
    epochs: int = 0
    network: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    quality: tuple[float, float] = (float("-inf"), float("-inf"))
    epoch: int = 0
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    history: list[tuple[float, float, float]] = field(default_factory=list)
    records: list[tuple[float, float, float]] = field(default_factory=list)


def save(state: FitState, path: Path) -> None:
    """Write it whole: under a temporary name first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    content = {name: getattr(state, name) for name in asdict(FitState(""))}
    torch.save(content, temporary)
    temporary.replace(path)


def load(path: Path, identity: str) -> FitState:
    """Read it; a new state when there is no file.

    Raises:
        InputError: a damaged file, or that of another fit.
    """
    if not path.exists():
        return FitState(identity)
    try:
        state = FitState(**torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, EOFError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        msg = f"checkpoint {path} is damaged ({type(error).__name__}: {reason}); remove it to begin again"
        raise InputError(msg) from error
    if state.identity != identity:
        msg = f"checkpoint {path} is of a fit with other parameters, images or first weights; remove it to begin again"
        raise InputError(msg)
    return state


def identity_of(texts: list[str], tensors: list[Tensor]) -> str:
    """SHA-256 of texts and tensors."""
    found = hashlib.sha256("\0".join(texts).encode())
    for tensor in tensors:
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
