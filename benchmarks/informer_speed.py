"""Benchmark `informer_speed`: INFORMER's reading of images from start to end, beside test-time augmentation.

DenseNet121 (MONAI's, three channels, random weights), 5 and 14 classes, images of 320² in one batch of 4. INFORMER's
reading is the probabilities, the map of every class (input × gradient) and their distinctiveness; the peer's is the
probabilities and the spread of each logit over ten turned, blurred and shifted copies, as published. `ratio` is that of
the smaller number of classes, in CPU seconds of one thread, medians of turns: the cost of maps grows with the number of
classes, that of copies does not. The limit is one forward pass and a backward pass for each class, and nothing else.

Checked first: both see the same probabilities, and the distinctiveness is that of captum's maps, one class at a time,
with distances by a plain loop.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.saliency_speed import captum, example
from benchmarks.side_by_side import agreed, ratios, side_by_side
from slicerxai.models.modular import private
from slicerxai.monitoring.observe import observe
from slicerxai.monitoring.readings import Readings
from slicerxai.saliency.frozen import frozen_norms

CLASSES = (5, 14)
IMAGES = 4
CPU = torch.device("cpu")
TOLERANCE = 1e-5


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    return measure(size=96 if quick else 320, turns=2 if quick else 5)


def measure(size: int, turns: int, classes: tuple[int, ...] = CLASSES) -> dict[str, Any]:
    """All figures for images of `size`², with one thread: several round otherwise, which turns some units on or off."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measured(size, turns, classes)
    finally:
        torch.set_num_threads(threads)


def _measured(size: int, turns: int, classes: tuple[int, ...]) -> dict[str, Any]:
    figures: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    differences = []
    for count in classes:
        network, _ = example(count, size)
        images = torch.rand(IMAGES, 3, size, size, generator=torch.Generator().manual_seed(1))
        differences.append(agreed(_difference(network, images, count), TOLERANCE, f"readings of {count} classes"))
        times = side_by_side(contenders(network, images, count), turns)
        found = ratios(times["INFORMER"], times["augmentation"], times["limit"], "cpu_seconds")
        figures |= {f"{key}_c{count}": value for key, value in found.items()}
        rows += [
            {"classes": count, "who": who, "CPU seconds": took.cpu_seconds, "seconds": took.seconds}
            for who, took in times.items()
        ]
    figures |= {key: figures[f"{key}_c{classes[0]}"] for key in ("ours", "peer", "limit", "ratio", "share_of_limit")}
    figures["max_abs_difference"] = max(differences)
    notes = [f"{IMAGES} images of {size}², {turns} turns, one thread."]
    return {"figures": figures, "rows": rows, "notes": notes}


def contenders(network: nn.Module, images: Tensor, classes: int) -> dict[str, Callable[[], object]]:
    """What takes turns."""
    frozen = frozen_norms(private(network))
    return {
        "INFORMER": lambda: by_maps(network, images, classes),
        "augmentation": lambda: by_copies(network, images, classes),
        "limit": lambda: bare(frozen, images, classes),
    }


def by_maps(network: nn.Module, images: Tensor, classes: int) -> Readings:
    """INFORMER's reading."""
    return observe(network, images, [0.5] * classes, CPU, saliency="input_x_gradient")


def by_copies(network: nn.Module, images: Tensor, classes: int) -> Readings:
    """Probabilities, and the spread over copies."""
    return observe(network, images, [0.5] * classes, CPU, score="tta")


def bare(network: nn.Module, images: Tensor, classes: int) -> None:
    """One forward and as many backward passes as classes, nothing else."""
    x = images.clone().requires_grad_()
    logits = network(x)
    for label in range(classes):
        torch.autograd.grad(logits[:, label].sum(), x, retain_graph=label < classes - 1)


def _difference(network: nn.Module, images: Tensor, classes: int) -> float:
    ours, theirs = by_maps(network, images, classes), by_copies(network, images, classes)
    plain = [_distinctiveness(captum(network, image[None], classes).flatten(1).double().numpy()) for image in images]
    return max(
        float(np.abs(ours.probabilities - theirs.probabilities).max()),
        float(np.abs(ours.measure - np.stack(plain)).max()),
    )


def _distinctiveness(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Σ over the other classes of the cosine distance of their maps (L, voxels), one pair at a time."""
    lengths = np.linalg.norm(maps, axis=1)
    return np.array(
        [
            sum(1 - one @ other / (length * lengths[k]) for k, other in enumerate(maps) if k != label)
            for label, (one, length) in enumerate(zip(maps, lengths, strict=True))
        ]
    )
