"""Training of a generator: steps of random slices and noise, checkpoints, and a finished folder."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from slicerxai import __version__
from slicerxai.data.case import Case
from slicerxai.errors import Cancelled, ConflictError, InputError
from slicerxai.interventions.generator.conditions import Condition
from slicerxai.interventions.generator.network import TRAINING_TIMES, ConditionalUNet, forward_process
from slicerxai.interventions.generator.parameters import GeneratorParameters
from slicerxai.interventions.generator.store import write_generator
from slicerxai.interventions.generator.training_slices import TrainingSlices, read_slices
from slicerxai.models.fast_training import fast_bfloat16, schedule
from slicerxai.models.training_case import case_digests
from slicerxai.progress import Progress, part, silent

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_SECONDS = 30
UNKNOWN_POSITION = 0.1
"""Share of slices whose position is withheld, so that single slices can be changed too."""

LIBRARIES = ("torch", "diffusers", "monai", "numpy", "scipy")


def train_generator(
    cases: Sequence[Case],
    rater: str,
    parameters: GeneratorParameters,
    folder: Path,
    name: str,
    device: torch.device,
    progress: Progress = silent,
    *,
    work: Path | None = None,
    resume: bool = False,
) -> None:
    """Train on the slices of a cohort and write a folder that `GeneratorStore.load` reads.

    Args:
        cases: with every channel and, for lesion loads, the rater's mask; for centres, "centre" in their metadata.
        rater: whose masks give the lesion load; ignored for centres.
        folder: existing, empty; filled when training has ended.
        work: existing folder for checkpoints, every 30 s; None keeps none.
        resume: go on from the checkpoint in `work`, to the same steps.

    Raises:
        InputError: unusable cases.
        ConflictError: no checkpoint, or one of other cases, another rater or other parameters.
        Cancelled: through `progress`; a checkpoint has been kept then.
    """
    started = datetime.now(UTC)
    if not cases:
        msg = "no case to train on; at least one is needed"
        raise InputError(msg)
    loads = parameters.condition == "lesion_load"
    nameless = [case.id for case in cases if "centre" not in case.metadata]
    if nameless and not loads:
        msg = f"case {nameless[0]!r} has no 'centre' in its metadata; the condition 'centre' needs it of every case"
        raise InputError(msg)
    identity: dict[str, Any] = {
        "parameters": parameters.model_dump(mode="json"),
        "rater": rater if loads else None,
        "cases": case_digests(cases, parameters.channels, rater if loads else None),
    }
    slices, condition = read_slices(cases, rater, parameters, part(progress, 0, 0.05))
    run = _Run(parameters, condition, slices, device, work, identity)
    if resume:
        run.restore(name)
    run.steps(part(progress, 0.05, 1))
    provenance = identity | {
        "slices": len(slices.pixels),
        "loss": round(run.loss, 5),
        "package_version": __version__,
        "versions": {library: version(library) for library in LIBRARIES},
        "device": str(device),
        "precision": "bfloat16" if run.bfloat16 else "float32",
        "threads": torch.get_num_threads(),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "training_seconds": round(run.seconds, 1),
        "training_cpu_seconds": round(run.cpu_seconds, 1),
    }
    write_generator(folder, name, run.average, parameters.config, condition, provenance)
    progress(1.0, f"trained {parameters.steps} steps, loss {run.loss:.4f}")


class _Run:
    """State of one training: network, its running average, optimiser and the number of finished steps."""

    def __init__(
        self,
        parameters: GeneratorParameters,
        condition: Condition,
        slices: TrainingSlices,
        device: torch.device,
        work: Path | None,
        identity: dict[str, Any],
    ) -> None:
        self.parameters, self.slices, self.device, self.work = parameters, slices, device, work
        self.identity = json.dumps(identity, sort_keys=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(parameters.seed)
            self.network = ConditionalUNet(parameters.config, condition.features).to(device)
            self.average = ConditionalUNet(parameters.config, condition.features).to(device)
        self.average.load_state_dict(self.network.state_dict())
        self.average.requires_grad_(requires_grad=False).eval()
        self.optimiser = torch.optim.AdamW(self.network.parameters(), parameters.learning_rate, weight_decay=1e-2)
        self.process = forward_process()
        self.bfloat16 = parameters.precision == "bfloat16" or (parameters.precision == "auto" and fast_bfloat16(device))
        self.done = 0
        self.loss = float("nan")
        self.seconds = self.cpu_seconds = 0.0

    def steps(self, progress: Progress) -> None:
        """The remaining steps; keeps a checkpoint every 30 s and when cancelled."""
        wall, cpu, saved = time.perf_counter(), time.process_time(), time.perf_counter()
        total = self.parameters.steps
        try:
            while self.done < total:
                progress(self.done / total, f"step {self.done + 1} of {total}, loss {self.loss:.4f}")
                loss = self._step()
                self.loss = loss if self.done == 1 else 0.98 * self.loss + 0.02 * loss
                now = time.perf_counter()
                self.seconds += now - wall
                self.cpu_seconds += time.process_time() - cpu
                wall, cpu = now, time.process_time()
                if now - saved > CHECKPOINT_SECONDS:
                    self._save()
                    saved = now
        except Cancelled:
            self._save()
            raise

    def _step(self) -> float:
        """One optimiser step. Its randomness depends on the seed and the step alone, so it can be resumed."""
        parameters = self.parameters
        generator = Generator().manual_seed(parameters.seed * 1_000_003 + self.done)
        pixels, condition, position, weights = self.slices.batch(generator, parameters.batch)
        noise = torch.randn(pixels.shape, generator=generator)
        time_steps = stratified_times(parameters.batch, generator)
        condition = _withheld(condition, parameters.unconditional, generator)
        position = _withheld(position, UNKNOWN_POSITION, generator)
        noisy = self.process.add_noise(pixels, noise, time_steps)
        velocity = self.process.get_velocity(pixels, noise, time_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = parameters.learning_rate * schedule(self.done, parameters.steps)
        self.network.train()
        device = self.device
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bfloat16):
            found = self.network(noisy.to(device), time_steps.to(device), condition.to(device), position.to(device))
        loss = (weights.to(device) * (found.float() - velocity.to(device)) ** 2).mean()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.done += 1
        self._averaged()
        return float(loss.detach())

    def _averaged(self) -> None:
        """Running average of the weights, shorter at the start (Karras et al., CVPR 2024, use the same idea)."""
        decay = min(self.parameters.average, self.done / (self.done + 10))
        with torch.no_grad():
            for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)

    def _save(self) -> None:
        if self.work is None:
            return
        state = {
            "identity": self.identity,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "done": self.done,
            "loss": self.loss,
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
        }
        temporary = self.work / f"{CHECKPOINT}.tmp"
        torch.save(state, temporary)
        temporary.replace(self.work / CHECKPOINT)

    def restore(self, name: str) -> None:
        """Continue from the checkpoint. Raises `ConflictError` when there is none or it is of another training."""
        path = self.work / CHECKPOINT if self.work else None
        if path is None or not path.is_file():
            msg = f"no interrupted training of generator {name!r} to resume; train it without resuming"
            raise ConflictError(msg)
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["identity"] != self.identity:
            msg = f"the interrupted training of generator {name!r} had other cases, rater or parameters; train it anew"
            raise ConflictError(msg)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done, self.loss = state["done"], state["loss"]
        self.seconds, self.cpu_seconds = state["seconds"], state["cpu_seconds"]


def stratified_times(count: int, generator: Generator) -> Tensor:
    """Times (B,) in [0, TRAINING_TIMES): one at random from each of `count` equal parts, in random order, so that the
    loss of a batch varies less (Kingma et al., NeurIPS 2021)."""
    places = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (places * TRAINING_TIMES).long().clamp(max=TRAINING_TIMES - 1)[torch.randperm(count, generator=generator)]


def _withheld(features: Tensor, share: float, generator: Generator) -> Tensor:
    """The features with zeros, "unknown", in random rows."""
    kept = torch.rand(len(features), 1, generator=generator) >= share
    return features * kept
