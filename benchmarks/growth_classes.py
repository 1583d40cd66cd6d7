"""Benchmark `growth_classes`: the maps of all classes of a classifier against the number of classes.

DenseNet121 with random weights, one image of 96² in three channels, relevance propagation, one thread, a process of its
own for each number. There is one pass forward for all classes, so time tends to that of a way back for each, and memory
grows by the maps alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.growth import grown, spent
from benchmarks.saliency_speed import CPU, example
from benchmarks.side_by_side import alone

COUNTS = (2, 4, 8, 16, 32, 64)
QUICK = (2, 4, 8)
SIZE = 96


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    counts = QUICK if quick else COUNTS
    return grown("classes", "classes", [alone(spent, count, maps, COUNTS[0]) for count in counts])


def maps(classes: int) -> Callable[[], object]:
    """The maps of so many classes."""
    from slicerxai.saliency.class_maps import class_maps

    torch.set_num_threads(1)
    network, image = example(classes, SIZE)
    return partial(class_maps, network, image, "lrp", CPU)
