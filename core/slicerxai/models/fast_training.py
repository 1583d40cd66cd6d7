"""Training of the fast segmenter: steps of random patches, checkpoints, and a finished model folder."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses.dice import DiceCELoss
from torch import Generator, nn

from slicerxai import __version__
from slicerxai.data.case import Case
from slicerxai.data.files import replaced_text
from slicerxai.data.metrics import dice
from slicerxai.errors import Cancelled, ConflictError, InputError
from slicerxai.models.fast import LABELS, WEIGHTS, FastConfig, FastSegmenter
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.protocols import ModelInfo
from slicerxai.models.store import digest
from slicerxai.models.training_case import TrainingCase, case_digests, held_out, load_cases, random_batch, subject
from slicerxai.models.unet import FastUNet
from slicerxai.progress import Progress, part, silent

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_SECONDS = 30
VALIDATIONS = 3
"""Times that the held-out cases are segmented, evenly over the steps; the last one is of the finished model."""

LIBRARIES = ("torch", "monai", "numpy", "scipy")


def train_fast(
    cases: Sequence[Case],
    rater: str,
    parameters: FastTrainingParameters,
    folder: Path,
    name: str,
    device: torch.device,
    progress: Progress = silent,
    *,
    start: Path | None = None,
    work: Path | None = None,
    resume: bool = False,
) -> None:
    """Train on a rater's masks and write a model folder that `FastSegmenter.load` reads.

    Args:
        cases: those of at least one subject with every channel and the rater's mask.
        folder: existing, empty; filled when training has ended.
        start: folder of the model that `parameters.start` names: its weights are the first ones.
        work: folder for checkpoints, every 30 s, existing unless `resume` finds none there; None keeps none.
        resume: go on from the checkpoint in `work`, to the same steps and schedule.

    Raises:
        InputError: unusable cases.
        ConflictError: the checkpoint is of other cases, another rater or other parameters.
        Cancelled: through `progress`; a checkpoint has been kept then.
    """
    started = datetime.now(UTC)
    if not cases:
        msg = "no case to train on; at least one is needed"
        raise InputError(msg)
    digests = case_digests(cases, parameters.channels, rater)
    config = FastConfig(spacing=parameters.spacing, patch_size=(parameters.patch,) * 3, features=parameters.features)
    aside = held_out(cases, parameters.validation_share, parameters.seed)
    loaded = load_cases(cases, parameters.channels, rater, config, part(progress, 0, 0.05))
    validation = [item for item, case in zip(loaded, cases, strict=True) if subject(case) in aside]
    training = [item for item, case in zip(loaded, cases, strict=True) if subject(case) not in aside]
    if not any(len(item.lesions) for item in training):
        msg = f"no lesion voxel of rater {rater!r} in any of the {len(training)} training cases"
        raise InputError(msg)
    identity: dict[str, Any] = {"parameters": parameters.model_dump(mode="json"), "rater": rater, "cases": digests}
    if start is not None:
        identity["start_digest"] = digest(start)
    run = _Run(parameters, config, name, device, training, validation, work, identity)
    if start is not None:
        run.start_from(FastSegmenter.load(start, torch.device("cpu")))
    if resume:
        run.restore()
    run.steps(part(progress, 0.05, 1))
    provenance = identity | {
        "images": case_digests(cases, parameters.channels),
        "package_version": __version__,
        "versions": {library: version(library) for library in LIBRARIES},
        "held_out": sorted(item.id for item in validation),
        "validation_dice": run.validation_dice,
        "device": str(device),
        "precision": "bfloat16" if run.bfloat16 else "float32",
        "threads": torch.get_num_threads(),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "training_seconds": round(run.seconds, 1),
    }
    torch.save({key: value.cpu().contiguous() for key, value in run.network.state_dict().items()}, folder / WEIGHTS)
    description = {
        "name": name,
        "kind": "fast",
        "channels": list(parameters.channels),
        "labels": list(LABELS),
        "config": config.model_dump(mode="json"),
        "provenance": provenance,
    }
    replaced_text(folder / "model.json", json.dumps(description, indent=2) + "\n")
    progress(1.0, f"trained {parameters.steps} steps{run.quality()}")


class _Run:
    """State of one training: network, optimiser and the number of finished steps."""

    def __init__(
        self,
        parameters: FastTrainingParameters,
        config: FastConfig,
        name: str,
        device: torch.device,
        training: Sequence[TrainingCase],
        validation: Sequence[TrainingCase],
        work: Path | None,
        identity: dict[str, Any],
    ) -> None:
        self.parameters, self.config, self.name, self.device = parameters, config, name, device
        self.training, self.validation, self.work, self.identity = training, validation, work, identity
        with torch.random.fork_rng():
            torch.manual_seed(parameters.seed)
            network = FastUNet(len(parameters.channels), len(LABELS), parameters.features)
        self.network = network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(network.parameters(), lr=1.0, weight_decay=parameters.weight_decay)
        self.loss = DiceCELoss(softmax=True, to_onehot_y=True, include_background=False, batch=True)
        self.bfloat16 = parameters.precision == "bfloat16" or (parameters.precision == "auto" and fast_bfloat16(device))
        self.done = 0
        self.seconds = 0.0
        self.validation_dice: float | None = None

    def steps(self, progress: Progress) -> None:
        """All remaining steps, with validation and checkpoints."""
        total = self.parameters.steps
        checks = {round(total * (n + 1) / VALIDATIONS) for n in range(VALIDATIONS)}
        saved = clock = time.monotonic()
        try:
            while self.done < total:
                loss = self._step()
                now = time.monotonic()
                self.seconds, clock = self.seconds + now - clock, now
                progress(self.done / total, f"step {self.done} of {total}, loss {loss:.3f}{self.quality()}")
                if self.done in checks and self.validation:
                    self.validation_dice = self._validate(progress)
                if now - saved > CHECKPOINT_SECONDS:
                    self._save()
                    saved = now
        except Cancelled:
            self._save()
            raise
        self.network.eval()

    def quality(self) -> str:
        """The last validation in words, for messages."""
        return "" if self.validation_dice is None else f", validation Dice {self.validation_dice:.3f}"

    def _step(self) -> float:
        """One optimiser step. Its randomness depends on the seed and the step alone, so it can be resumed."""
        parameters = self.parameters
        generator = Generator().manual_seed(parameters.seed * 1_000_003 + self.done)
        images, masks = random_batch(
            generator,
            self.training,
            parameters.batch,
            parameters.patch,
            parameters.lesion_share,
            parameters.augmentation,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = parameters.lr * schedule(self.done, parameters.steps)
        self.network.train()
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bfloat16):
            logits = self.network(images.to(self.device, memory_format=torch.channels_last_3d))
        loss = self.loss(logits.float(), masks.to(self.device))
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.done += 1
        return float(loss.detach())

    def _validate(self, progress: Progress) -> float:
        """Mean Dice over the held-out cases, on the grids of their images."""
        info = ModelInfo(self.name, "fast", self.parameters.channels, LABELS, "", {})
        copy = FastUNet(len(self.parameters.channels), len(LABELS), self.parameters.features)
        copy.load_state_dict(self.network.state_dict())
        segmenter = FastSegmenter(info, copy, self.config, self.device)
        scores = []
        for item in self.validation:
            watch = _fixed(progress, self.done / self.parameters.steps, f"validating on {item.id}")
            found = np.asarray(segmenter.predict(item.images, watch).labelmap.array) == 1
            scores.append(dice(found, np.asarray(item.truth.array, dtype=np.bool_)))
        return float(np.mean(scores))

    def _save(self) -> None:
        if self.work is None:
            return
        state = {
            "identity": json.dumps(self.identity, sort_keys=True),
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "done": self.done,
            "seconds": self.seconds,
            "validation_dice": self.validation_dice,
        }
        temporary = self.work / f"{CHECKPOINT}.tmp"
        torch.save(state, temporary)
        temporary.replace(self.work / CHECKPOINT)

    def start_from(self, model: FastSegmenter) -> None:
        """Take over a model's weights. Raises `InputError` when it reads other channels or is built otherwise."""
        theirs = model.info.channels, model.config
        if theirs != (self.parameters.channels, self.config):
            msg = (
                f"cannot start from {model.info.name!r}: it has channels {model.info.channels} and {model.config!r}, "
                f"wanted are {self.parameters.channels} and {self.config!r}"
            )
            raise InputError(msg)
        self.network.load_state_dict(model.network.state_dict())

    def restore(self) -> None:
        """Continue from the checkpoint. Raises `ConflictError` when there is none or it is of another training."""
        path = self.work / CHECKPOINT if self.work else None
        if path is None or not path.is_file():
            msg = f"no interrupted training of {self.name!r} to resume; train it without resuming"
            raise ConflictError(msg)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["identity"] != json.dumps(self.identity, sort_keys=True):
            msg = f"the interrupted training of {self.name!r} had other cases, rater or parameters; train it anew"
            raise ConflictError(msg)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done, self.seconds = state["done"], state["seconds"]
        self.validation_dice = state["validation_dice"]


def _fixed(progress: Progress, at: float, prefix: str) -> Progress:
    """Progress of side work, during which the whole stands still."""

    def inner(fraction: float, message: str) -> None:
        progress(at, f"{prefix}: {message}")

    return inner


def schedule(step: int, steps: int) -> float:
    """Share of the peak learning rate: linear warm-up over the first twentieth, then half a cosine to zero."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the processor has bfloat16 arithmetic of its own."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu._is_amx_tile_supported()
