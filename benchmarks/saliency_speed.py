"""Benchmark `saliency_speed`: input × gradient maps of every class, beside captum called once for each class.

DenseNet121 (MONAI's, three channels, random weights, some batch-norm statistics), images of 320², batch 1, in eval
mode. All take turns on the same image; figures are medians of the turns. Ratios are of CPU seconds of one thread, on
which other programs have little influence; `wall_ratio_*` is by the clock. `ratio` is that of the smaller number of
classes. The limit is one forward and C backward passes of a network whose batch norms are fixed scales already, and
nothing else; `share_of_network_*` is the same of the network as it comes, and may exceed 1. The peak of memory is that
of a process of its own for each, above what it held before the maps. captum has no relevance propagation for this
network to compare with (its LRP stops with an error), so both compute the same method, and their maps are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from captum.attr import InputXGradient
from monai.networks.nets.densenet import DenseNet121
from torch import Tensor, nn

from benchmarks.side_by_side import agreed, alone, alternate, forget_peak, peak, ratios, timing
from slicerxai.models.modular import private
from slicerxai.saliency.class_maps import class_maps
from slicerxai.saliency.frozen import frozen_norms

CLASSES = (5, 14)
CHANNELS = 3
CPU = torch.device("cpu")
TOLERANCE = 1e-5


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


def bare(network: nn.Module, image: Tensor, classes: int) -> None:
    """One forward and as many backward passes as classes, nothing else."""
    x = image.clone().requires_grad_()
    logits = network(x)
    for label in range(classes):
        torch.autograd.grad(logits[0, label], x, retain_graph=label < classes - 1)


def peak_mb(name: str, classes: int, size: int) -> float:
    """Peak memory of one computation in a new process, MB above what it held before."""
    return alone(_peak, name, classes, size) / 1024**2


def _peak(name: str, classes: int, size: int) -> int:
    torch.set_num_threads(1)
    compute = computations(*example(classes, size), classes)[name]
    computations(*example(classes, 32), classes)[name]()  # what the libraries hold once they have run
    held = forget_peak()
    compute()
    return peak() - held


def computations(network: nn.Module, image: Tensor, classes: int) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    frozen = frozen_norms(private(network))
    return {
        "slicerxai": lambda: ours(network, image),
        "captum": lambda: captum(network, image, classes),
        "limit": lambda: bare(frozen, image, classes),
        "network as it comes": lambda: bare(network, image, classes),
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
        difference = float((ours(network, image) - captum(network, image, count)).abs().max())
        differences.append(agreed(difference, TOLERANCE, f"maps of {count} classes"))
        spent = alternate(computations(network, image, count), turns)
        times = {name: timing(found) for name, found in spent.items()}
        found = ratios(times["slicerxai"], times["captum"], times["limit"], "cpu_seconds")
        figures |= {f"{key}_c{count}": value for key, value in found.items()}
        figures[f"wall_ratio_c{count}"] = ratios(times["slicerxai"], times["captum"])["ratio"]
        as_it_comes = times["network as it comes"].cpu_seconds
        figures[f"share_of_network_c{count}"] = as_it_comes / times["slicerxai"].cpu_seconds
        each = [c.cpu_seconds / s.cpu_seconds for c, s in zip(spent["captum"], spent["slicerxai"], strict=True)]
        figures[f"ratio_c{count}_least"], figures[f"ratio_c{count}_most"] = min(each), max(each)
        for name, took in times.items():
            cpu = [turn.cpu_seconds for turn in spent[name]]
            row = {"classes": count, "who": name, "CPU seconds": took.cpu_seconds, "least": min(cpu), "most": max(cpu)}
            rows.append(row | {"seconds": took.seconds})
            if memory:
                rows[-1]["peak MB"] = figures[f"peak_mb_{name.replace(' ', '_')}_c{count}"] = peak_mb(name, count, size)
    figures |= {key: figures[f"{key}_c{classes[0]}"] for key in ("ours", "peer", "limit", "ratio")}
    figures["share_of_limit"] = min(figures[f"share_of_limit_c{count}"] for count in classes)
    figures["max_abs_difference"] = max(differences)
    notes = [f"Images of {size}², batch 1, {turns} turns, one thread; the spread is over turns."]
    return {"figures": figures, "rows": rows, "notes": notes}
