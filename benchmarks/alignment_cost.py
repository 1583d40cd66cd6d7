"""Benchmark `alignment_cost`: what the gradient of causal alignment costs, in seconds and memory.

1. Both gradients on a small converged problem in double precision: their cosine and difference. This comes first.
2. Implicit against unrolled gradient of eq. 3: the same network, images and number of inner steps (100, none stopped
   early), each in a process of its own. Memory is how far the process's peak rises above what it held before. The limit
   is the search alone, which both begin with.
3. A training step with alignment (inner search with early stop, implicit gradient) beside a plain one, and an epoch.

The network is the seven-layer CNN of the benchmarks after a short training on images whose label is a bright corner and
the texture of a blob. CPU seconds of one thread, medians of alternating turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parameters_to_vector

from benchmarks.side_by_side import agreed, alone, forget_peak, peak
from slicerxai.alignment.alignment_loss import off_mask
from slicerxai.alignment.counterfactual import counterfactual
from slicerxai.alignment.counterfactual_parameters import LinearSolve, SolverParameters
from slicerxai.alignment.implicit import implicit
from slicerxai.alignment.losses import RowLoss, label_loss
from slicerxai.alignment.networks import seven_layer_cnn
from slicerxai.alignment.unrolled import unrolled

STEPS = 100
SIZE, WIDTH = 64, 8
BATCH, EPOCH = 32, 1024
BOX = 2.0
TRAINING, TRAINED_TOGETHER = 200, 2
"""Few images at once: memory that training has freed must not hide what is measured later."""
MEGABYTE = 1024**2
TOLERANCE = 1e-3
"""Of the gradients' difference, relative to the gradient."""


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    turns, batch = (1, 4) if quick else (3, 16)
    agreement = alone(_agreement)
    agreed(agreement["gradient_difference"], TOLERANCE, "gradients, relative to their length")
    kinds: dict[str, Callable[[int], dict[str, float]]] = {"implicit": _implicit_cost, "unrolled": _unrolled_cost}
    measured: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(turns):
        for kind, measure in kinds.items():
            measured[kind].append(alone(measure, batch))
    typical = {kind: {key: median(m[key] for m in found) for key in found[0]} for kind, found in measured.items()}
    steps = [alone(_training_cost, 0) for _ in range(turns)]
    step = {key: median(m[key] for m in steps) for key in steps[0]}
    batches = EPOCH / BATCH
    figures = {
        "ours": typical["implicit"]["CPU seconds"],
        "peer": typical["unrolled"]["CPU seconds"],
        "limit": typical["implicit"]["CPU seconds of the search"],
        "ratio": typical["unrolled"]["CPU seconds"] / typical["implicit"]["CPU seconds"],
        "share_of_limit": typical["implicit"]["CPU seconds of the search"] / typical["implicit"]["CPU seconds"],
        "time_ratio": typical["unrolled"]["CPU seconds"] / typical["implicit"]["CPU seconds"],
        "memory_ratio": typical["unrolled"]["peak MB"] / typical["implicit"]["peak MB"],
        **agreement,
        "step_ratio_published": step["published"] / step["plain"],
        "step_ratio_converged": step["converged"] / step["plain"],
        "epoch_seconds_plain": step["plain"] * batches,
        "epoch_seconds_published": step["published"] * batches,
        "epoch_seconds_converged": step["converged"] * batches,
    }
    rows: list[dict[str, Any]] = [{"gradient": kind, **found} for kind, found in typical.items()]
    rows += [{"training step": kind, "CPU seconds": step[kind]} for kind in ("plain", "published", "converged")]
    notes = [
        f"{STEPS} inner steps, {batch} images of {SIZE} × {SIZE}, medians of {turns} turns, one thread.",
        "Unrolled gradients converge later than the images do, on ill-conditioned problems not within the steps that "
        "the images need; the agreement is that of a well-conditioned one.",
        f"Training steps take {BATCH} images. published: at most 20 inner steps; converged: until the residual is "
        f"1e-3 (at most {STEPS} steps). An epoch has {EPOCH} images.",
    ]
    return {"figures": figures, "rows": rows, "notes": notes}


def _implicit_cost(batch: int) -> dict[str, float]:
    return _cost(batch, _implicit_gradient)


def _unrolled_cost(batch: int) -> dict[str, float]:
    return _cost(batch, _unrolled_gradient)


def _cost(batch: int, gradient: Callable[[Task, SolverParameters], Tensor]) -> dict[str, float]:
    torch.set_num_threads(1)
    task = Task(batch)
    gradient(Task(1, size=16), _solver(2, 0))  # libraries set themselves up in the first call
    held = forget_peak()
    started = time.process_time()
    gradient(task, _solver(STEPS, 0))
    seconds, most = time.process_time() - started, peak()
    started = time.process_time()
    counterfactual(task.loss, task.images, _solver(STEPS, 0))
    search = time.process_time() - started
    return {"CPU seconds": seconds, "CPU seconds of the search": search, "peak MB": (most - held) / MEGABYTE}


class Task:
    """A trained network, images that it is to decide otherwise, and masks of their blobs."""

    def __init__(self, batch: int, *, size: int = SIZE, training: int = TRAINING, double: bool = False) -> None:
        self.network = seven_layer_cnn(1, 1, (size, size), width=WIDTH, activation="softplus")
        generator = torch.Generator().manual_seed(0)
        optimizer = torch.optim.Adam(self.network.parameters(), 2e-3)
        for _ in range(training):
            images, labels = _images(TRAINED_TOGETHER, size, generator)
            _train(self.network, optimizer, functional.binary_cross_entropy_with_logits(self.network(images), labels))
        optimizer.zero_grad()
        self.images, self.labels = _images(batch, size, generator)
        self.mask = torch.zeros(1, 1, size, size)
        self.mask[..., size // 3 : 2 * size // 3, size // 3 : 2 * size // 3] = 1
        if double:
            self.network.double()
            self.images, self.mask = self.images.double(), self.mask.double()
        self.loss = self.turned()

    def turned(self) -> RowLoss:
        """The loss of deciding otherwise."""
        return label_loss(self.network, 1 - self.labels, torch.ones_like(self.labels, dtype=torch.bool))

    def gradient(self, images: Tensor) -> Tensor:
        """Of eq. 3 in all weights."""
        value = off_mask(images - self.images, self.mask).mean()
        return parameters_to_vector([g.contiguous() for g in torch.autograd.grad(value, [*self.network.parameters()])])


def _solver(steps: int, tolerance: float) -> SolverParameters:
    return SolverParameters(alpha=0.1, steps=steps, tolerance=tolerance, low=-BOX, high=BOX)


def _implicit_gradient(task: Task, solver: SolverParameters) -> Tensor:
    found = counterfactual(task.loss, task.images, solver)
    return task.gradient(implicit(task.network, task.loss, found, LinearSolve()))


def _unrolled_gradient(task: Task, solver: SolverParameters) -> Tensor:
    return task.gradient(unrolled(task.loss, task.images, solver))


def _agreement() -> dict[str, float]:
    """Both gradients where the search has converged, of a problem that is conditioned well enough for unrolling."""
    torch.set_num_threads(1)
    task = Task(2, size=16, training=60, double=True)
    solver = _solver(600, 1e-9).model_copy(update={"alpha": 0.3})
    found = counterfactual(task.loss, task.images, solver)
    one = task.gradient(implicit(task.network, task.loss, found, LinearSolve(tolerance=1e-10, iterations=400)))
    other = _unrolled_gradient(task, solver.model_copy(update={"steps": int(found.iterations.max())}))
    return {
        "gradient_cosine": float(functional.cosine_similarity(one, other, dim=0)),
        "gradient_difference": float((one - other).norm() / one.norm()),
        "max_abs_difference": float((one - other).abs().max()),
        "gradient_inner_residual": float(found.residual.max()),
    }


def _training_cost(_: int) -> dict[str, float]:
    """CPU seconds of a training step without and with alignment."""
    torch.set_num_threads(1)
    task = Task(BATCH)
    optimizer = torch.optim.Adam(task.network.parameters(), 1e-4)
    solvers = {"plain": None, "published": _solver(20, 1e-3), "converged": _solver(STEPS, 1e-3)}
    spent: dict[str, list[float]] = {kind: [] for kind in solvers}
    for _turn in range(4):
        for kind, solver in solvers.items():
            started = time.process_time()
            loss = functional.binary_cross_entropy_with_logits(task.network(task.images), task.labels)
            if solver is not None:
                found = counterfactual(task.loss, task.images, solver)
                moved = implicit(task.network, task.loss, found, LinearSolve()) - task.images
                loss = loss + off_mask(moved, task.mask).mean()
            _train(task.network, optimizer, loss)
            spent[kind].append(time.process_time() - started)
    return {kind: median(seconds[1:]) for kind, seconds in spent.items()}


def _train(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()


def _images(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (count, 1, size, size) and labels (count, 1): a mark in the corner and the contrast of a texture."""
    labels = torch.randint(0, 2, (count, 1), generator=generator).float()
    images = 0.3 * torch.randn(count, 1, size, size, generator=generator)
    sign = (2 * labels - 1).view(-1, 1, 1, 1)
    images[..., 1:4, 1:4] += sign
    third = size // 3
    texture = torch.randn(count, 1, third, third, generator=generator)
    images[..., third : 2 * third, third : 2 * third] += 0.5 * texture * (1 + 0.5 * sign)
    return images.clamp(-BOX, BOX), labels
