"""Benchmark `saliency_volume`: input × gradient of a segmenter's prediction, beside captum on the whole volume.

The fast segmenter's network at its default size (random weights), patches of 64³ with an overlap of a quarter. What is
explained is the mean log-odds of lesion of the blended prediction over a region: over boxes all through the volume,
and over one of them. This package runs the patches that touch the region one after the other. captum is given the same
number as a function of the volume, that is the sliding window itself. All compute one map, which is compared first.

The limit is one forward and one backward pass of each patch that touches the region, and nothing else. `ratio` and
`share_of_limit` are of the whole volume, `ratio_lesion` and `share_of_limit_lesion` of the one box: CPU seconds of one
thread, medians of turns. `memory_ratio` is that of the peaks of memory (whole volume), each in a process of its own,
above what it held before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from captum.attr import InputXGradient
from torch import Tensor, nn

from benchmarks.side_by_side import agreed, alone, forget_peak, peak, ratios, side_by_side
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.sliding_window import importance_map, patch_grid
from slicerxai.models.unet import FastUNet
from slicerxai.saliency.input_x_gradient import input_x_gradient
from slicerxai.saliency.target import Target, segmentation_target

Region = Literal["whole", "lesion"]
PATCH, OVERLAP = (64, 64, 64), 0.25
SHAPE, QUICK_SHAPE, SMALLEST = (160, 160, 112), (112, 112, 64), (64, 64, 64)
BOX, STEP = 6, 32
"""Edge of a box of the region, and their distance, voxels."""
CPU = torch.device("cpu")
TOLERANCE = 1e-5
"""Of the largest value of the map."""


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure(QUICK_SHAPE if quick else SHAPE, turns=1 if quick else 3)
    finally:
        torch.set_num_threads(threads)


def measure(shape: tuple[int, ...], turns: int, memory: bool = True) -> dict[str, Any]:
    """All figures for a volume of this shape."""
    network, volume = example(shape)
    figures: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    difference = 0.0
    for region in ("lesion", "whole"):
        target = target_of(network, volume, region)
        difference = max(difference, _difference(target, volume, region))
        times = side_by_side(contenders(network, volume, region), turns)
        found = ratios(times["slicerxai"], times["captum"], times["limit"], "cpu_seconds")
        figures |= {f"{key}_{region}": value for key, value in found.items()}
        for who, took in times.items():
            row = {"region": region, "who": who, "CPU seconds": took.cpu_seconds, "seconds": took.seconds}
            row["patches"] = len(patch_grid(shape, PATCH, OVERLAP)) if who == "captum" else len(target.windows)
            if memory:
                row["peak MB"] = figures[f"peak_mb_{who}_{region}"] = alone(_peak, who, shape, region) / 1024**2
            rows.append(row)
    figures |= {key: figures[f"{key}_whole"] for key in ("ours", "peer", "limit", "ratio", "share_of_limit")}
    if memory:
        figures["memory_ratio"] = figures["peak_mb_captum_whole"] / figures["peak_mb_slicerxai_whole"]
    figures["max_abs_difference"] = difference
    sides = " × ".join(map(str, shape))
    notes = [f"A volume of {sides} voxels, {turns} turns, one thread. The difference is relative to the map's maximum."]
    return {"figures": figures, "rows": rows, "notes": notes}


def example(shape: tuple[int, ...]) -> tuple[nn.Module, Tensor]:
    """The network, and a volume (1, *shape) that is zero nowhere, so that every patch counts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = FastUNet(1, 2, FastTrainingParameters().features).eval().requires_grad_(requires_grad=False)
        return network, torch.rand(1, *shape) + 0.1


def region_of(shape: tuple[int, ...], region: Region) -> Tensor:
    """Boxes all through the volume, or the one at its centre."""
    inside = torch.zeros(shape, dtype=torch.bool)
    if region == "lesion":
        inside[tuple(slice(n // 2 - BOX // 2, n // 2 + BOX // 2) for n in shape)] = True
        return inside
    axes = [torch.arange(n) % STEP < BOX for n in shape]
    return axes[0][:, None, None] & axes[1][None, :, None] & axes[2][None, None, :]


def target_of(network: nn.Module, volume: Tensor, region: Region) -> Target:
    """What is explained, as this package describes it."""
    return segmentation_target(network, volume, region_of(volume.shape[1:], region), 1, 2, PATCH, OVERLAP, CPU)


def ours(network: nn.Module, volume: Tensor, region: Region) -> Tensor:
    """The map, (1, *shape)."""
    return input_x_gradient(target_of(network, volume, region)).relevance


def captum(network: nn.Module, volume: Tensor, region: Region) -> Tensor:
    """The same from captum, which is given the sliding window as a function of the volume."""
    patches, weight = patch_grid(volume.shape[1:], PATCH, OVERLAP), importance_map(PATCH)
    inside = region_of(volume.shape[1:], region)

    def log_odds(volumes: Tensor) -> Tensor:
        total, weights = volumes.new_zeros(2, *volumes.shape[2:]), volumes.new_zeros(volumes.shape[2:])
        for patch in patches:
            logits = network(volumes[(slice(None), slice(None), *patch)])[0]
            total[(slice(None), *patch)] += logits * weight
            weights[patch] += weight
        blended = total / weights
        return (blended[1] - blended[0])[inside].mean()[None]

    return InputXGradient(log_odds).attribute(volume[None].clone().requires_grad_())[0].detach()


def bare(target: Target) -> None:
    """One forward and one backward pass of each patch."""
    for index in range(len(target.windows)):
        x = target.crop(target.tensor, [index]).requires_grad_()
        logits = target.network(x)
        torch.autograd.grad(logits, x, target.weights([index], logits))


def contenders(network: nn.Module, volume: Tensor, region: Region) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    target = target_of(network, volume, region)
    return {
        "slicerxai": lambda: ours(network, volume, region),
        "captum": lambda: captum(network, volume, region),
        "limit": lambda: bare(target),
    }


def _difference(target: Target, volume: Tensor, region: Region) -> float:
    found, theirs = input_x_gradient(target).relevance, captum(target.network, volume, region)
    largest = float((found - theirs).abs().max() / theirs.abs().max())
    return agreed(largest, TOLERANCE, f"maps of the {region}, relative to the largest value")


def _peak(who: str, shape: tuple[int, ...], region: Region) -> int:
    torch.set_num_threads(1)
    compute = contenders(*example(shape), region)[who]
    contenders(*example(SMALLEST), "lesion")[who]()  # what the libraries hold once they have run
    held = forget_peak()
    compute()
    return peak() - held
