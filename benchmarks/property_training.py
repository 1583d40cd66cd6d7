"""Benchmark `property_training`: properties are learned and forgotten in the course of a training.

Protocol. Images, split and patches are those of `property_table`, the network is its DenseNet from random weights, seed
1. In the first half of the epochs half of the benign training images carry a coloured patch; in the second half patches
are on both classes alike, so that they no longer tell anything. After every epoch, and before the first, E|∇ₓF| over
the range is measured on 40 validation images (20 of each class), mean over images, of three properties: the diameter of
a patch (0 to 0.4 of the image's width; realisations that training never draws), brightness (factor 0.8 to 1.25) and
blur (standard deviation 0 to 2 pixels). F is the probability of "malignant"; flips are of the threshold 0.5.

Figures: `patch_before`, `patch_peak` (largest of the first half), `patch_end`; the same of brightness and blur. The
plot is written beside the JSON as `property_training.png`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from benchmarks.property_data import Skin, parts, read
from benchmarks.property_networks import PARAMETERS, Training, build, fit
from slicerxai import runtime
from slicerxai.errors import InputError
from slicerxai.explain.contract import Table
from slicerxai.explain.property_training_figures import COLUMNS, training_figure
from slicerxai.interventions.colour_patches import random_patch, with_patch
from slicerxai.interventions.effect import effect

SIZE, SEED, EPOCHS, QUICK_EPOCHS = 64, 1, 20, 4
IMAGES, QUICK_IMAGES = 20, 4
STEPS: Final = 9
Change = Callable[[Skin, int, float], NDArray[np.float32]]


@dataclass(frozen=True)
class Walk:
    """One property of the images that are studied: values (N,) and realised images (N, B, 3, H, W)."""

    name: str
    title: str
    values: NDArray[np.float64]
    images: torch.Tensor


def patched(skin: Skin, row: int, value: float) -> NDArray[np.float32]:
    """With a patch of this diameter."""
    rng = np.random.default_rng((SEED, row))
    return with_patch(skin.image(row), random_patch(rng, skin.lesions[row]), value)


def brightened(skin: Skin, row: int, value: float) -> NDArray[np.float32]:
    """2^value times as bright."""
    return np.clip(skin.image(row) * np.float32(2**value), 0, 1)


def blurred(skin: Skin, row: int, value: float) -> NDArray[np.float32]:
    """Through a Gaussian of this standard deviation, pixels."""
    found: NDArray[np.float32] = ndimage.gaussian_filter(skin.image(row), (0, value, value))
    return found


PROPERTIES: Final[dict[str, tuple[str, Change, float, float]]] = {
    "patch": ("coloured patch", patched, 0.0, 0.4),
    "brightness": ("brightness", brightened, -0.32, 0.32),
    "blur": ("blur", blurred, 0.0, 2.0),
}


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Train and measure. Returns figures, rows and notes. Raises `InputError` without data of the accepted form."""
    if data is None:
        msg = "property_training needs --data: a folder with images/, masks/ and labels.csv"
        raise InputError(msg)
    runtime.configure()
    device, epochs = runtime.device(), QUICK_EPOCHS if quick else EPOCHS
    skin = read(data, SIZE, out / "property_table")
    split = parts(skin, 0, 1)
    walks = _walks(skin, split.validation, QUICK_IMAGES if quick else IMAGES)
    network = build("densenet", SEED).to(device).eval()
    rows: list[list[Any]] = []

    def watch(epoch: int, network: nn.Module) -> None:
        for walk in walks:
            size, flips = measured(network, walk, device)
            rows.append([walk.name, walk.title, epoch, "malignant", None, size, None, flips])
            print(f"epoch {epoch}: {walk.name} {size:.4f}, flips on {flips} images", flush=True)

    def training(epoch: int) -> Training:
        return "biased" if epoch < epochs // 2 else "balanced"

    watch(0, network)
    parameters = PARAMETERS["densenet"].model_copy(update={"seed": SEED, "epochs": epochs})
    found = fit(network, skin, split, training, parameters, device, each_epoch=watch)
    table = Table(title="Effects over the training", columns=list(COLUMNS), rows=rows)
    figure = training_figure(table, "malignant")
    (out / "property_training.png").write_bytes(figure.png)
    return {
        "figures": _figures(rows, epochs // 2),
        "rows": _rows(rows, [None, *[auc for *_, auc in found.history]]),
        "notes": [
            f"Patches on benign images alone up to epoch {epochs // 2}, on both classes alike after it.",
            f"Plot: {out / 'property_training.png'}.",
        ],
    }


def _walks(skin: Skin, validation: NDArray[np.int_], count: int) -> list[Walk]:
    chosen = [*validation[:count].tolist(), *validation[-count:].tolist()]
    found = []
    for name, (title, change, low, high) in PROPERTIES.items():
        values = np.linspace(low, high, STEPS)
        images = np.stack([[change(skin, row, value) for row in chosen] for value in values.tolist()])
        found.append(Walk(name, title, values, torch.from_numpy(images)))
    return found


@torch.no_grad()
def measured(network: nn.Module, walk: Walk, device: torch.device) -> tuple[float, int]:
    """E|∇ₓF| over the range, mean over the images, and on how many of them the decision flips."""
    outputs = torch.stack([torch.sigmoid(network(batch.to(device))[:, 0]).double().cpu() for batch in walk.images])
    found = effect(walk.values, outputs.numpy(), [0.5] * outputs.shape[1])
    return float(found.over_range.mean()), sum(bool(flips) for flips in found.flips)


def _rows(rows: list[list[Any]], auc: list[float | None]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for name, _, epoch, _, _, size, _, flips in rows:
        row = found.setdefault(epoch, {"epoch": epoch, "validation AUC": auc[epoch]})
        row |= {name: size, f"{name} flips": flips}
    return list(found.values())


def _figures(rows: list[list[Any]], half: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name in PROPERTIES:
        sizes = [float(row[5]) for row in rows if row[0] == name]
        figures |= {f"{name}_before": sizes[0], f"{name}_peak": max(sizes[1 : half + 1]), f"{name}_end": sizes[-1]}
    return figures
