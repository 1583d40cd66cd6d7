"""Benchmark `saliency_speed`: input × gradient maps of every class, beside captum called once for each class.

DenseNet121 (MONAI's, three channels, random weights, some batch-norm statistics), images of 320², batch 1, in eval
mode. The two take turns on the same image; figures are medians of the turns. Ratios are of CPU seconds of one thread,
on which other programs have little influence; `wall_ratio_*` is by the clock. `share_of_limit_c*` is the bare cost of
one forward and C backward passes of the network as it comes, over ours; `share_of_limit` is the smaller of them, and
more than 1 is possible because our copy needs no gradients of parameters. The peak of memory is that of a process of
its own for each of the two, above what it held before the maps. captum has no relevance propagation for this network
to compare with (its LRP stops with an error), so both compute the same method, and their maps are compared.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from captum.attr import InputXGradient
from monai.networks.nets.densenet import DenseNet121
from torch import Tensor, nn

from slicerxai.saliency.class_maps import class_maps

CLASSES = (5, 14)
CHANNELS = 3
CPU = torch.device("cpu")


def example(classes: int, size: int) -> tuple[nn.Module, Tensor]:
    """The network and an image (1, 3, size, size)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DenseNet121(2, CHANNELS, classes).eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.bias, 0, 0.1)
                nn.init.uniform_(module.weight, 0.5, 1.5)
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
        return network, torch.rand(1, CHANNELS, size, size)


def ours(network: nn.Module, image: Tensor) -> Tensor:
    """All maps, (L, C, I, J)."""
    return class_maps(network, image, "input_x_gradient", CPU).maps[0]


def captum(network: nn.Module, image: Tensor, classes: int) -> Tensor:
    """The same from captum, one class after the other."""
    explainer = InputXGradient(network)
    maps = [explainer.attribute(image.clone().requires_grad_(), target=label)[0].detach() for label in range(classes)]
    return torch.stack(maps)


def limit(network: nn.Module, image: Tensor, classes: int) -> None:
    """One forward and as many backward passes as classes, nothing else."""
    x = image.clone().requires_grad_()
    logits = network(x)
    for label in range(classes):
        torch.autograd.grad(logits[0, label], x, retain_graph=label < classes - 1)


def peak_mb(name: str, classes: int, size: int) -> float | None:
    """Peak memory of one computation in a new process, MB above what it held before; None but on Linux."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (name, classes, size))


def _peak(name: str, classes: int, size: int) -> float | None:
    torch.set_num_threads(1)
    network, image = example(classes, size)
    computations(*example(classes, 32), classes)[name]()  # what the libraries hold once they have run
    before = _high_water_kb()
    computations(network, image, classes)[name]()
    after = _high_water_kb()
    return None if before is None or after is None else (after - before) / 1024


def _high_water_kb() -> int | None:
    """Most that this process has held so far."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def computations(network: nn.Module, image: Tensor, classes: int) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    return {
        "slicerxai": lambda: ours(network, image),
        "captum": lambda: captum(network, image, classes),
        "limit": lambda: limit(network, image, classes),
    }


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure(size=128 if quick else 320, turns=3 if quick else 7)
    finally:
        torch.set_num_threads(threads)


def measure(size: int, turns: int, classes: tuple[int, ...] = CLASSES, memory: bool = True) -> dict[str, Any]:
    """All figures for images of `size`²."""
    rows: list[dict[str, Any]] = []
    figures: dict[str, float] = {}
    differences = []
    for count in classes:
        network, image = example(count, size)
        differences.append(float((ours(network, image) - captum(network, image, count)).abs().max()))
        spent = _turns(computations(network, image, count), turns)
        typical = {name: np.median(values, axis=0) for name, values in spent.items()}
        figures[f"ratio_c{count}"] = float(typical["captum"][0] / typical["slicerxai"][0])
        figures[f"wall_ratio_c{count}"] = float(typical["captum"][1] / typical["slicerxai"][1])
        figures[f"share_of_limit_c{count}"] = float(typical["limit"][0] / typical["slicerxai"][0])
        ratios = [c[0] / s[0] for c, s in zip(spent["captum"], spent["slicerxai"], strict=True)]
        figures[f"ratio_c{count}_least"], figures[f"ratio_c{count}_most"] = min(ratios), max(ratios)
        for name, values in spent.items():
            cpu = [value[0] for value in values]
            row = {"classes": count, "who": name, "CPU seconds": median(cpu), "least": min(cpu), "most": max(cpu)}
            row |= {"seconds": median(value[1] for value in values)}
            rows.append(row | {"peak MB": peak_mb(name, count, size) if memory else None})
            if memory and rows[-1]["peak MB"] is not None:
                figures[f"peak_mb_{name}_c{count}"] = rows[-1]["peak MB"]
    figures["share_of_limit"] = min(figures[f"share_of_limit_c{count}"] for count in classes)
    figures["max_abs_difference"] = max(differences)
    notes = [f"Images of {size}², batch 1, {turns} turns, one thread; the spread is over turns."]
    return {"figures": figures, "rows": rows, "notes": notes}


def _turns(functions: dict[str, Callable[[], object]], turns: int) -> dict[str, list[tuple[float, float]]]:
    """CPU and wall-clock seconds of every turn, after one that does not count."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in functions}
    for turn in range(turns + 1):
        for name, function in functions.items():
            started, used = time.perf_counter(), time.process_time()
            function()
            if turn:
                spent[name].append((time.process_time() - used, time.perf_counter() - started))
    return spent
