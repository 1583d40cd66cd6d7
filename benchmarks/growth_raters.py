"""Benchmark `growth_raters`: a model's agreement with the raters of a case against the number of raters.

A phantom-like image of 96³ with lesions, masks that differ a little, one thread, a process of its own for each number.
The image is segmented once, whatever the number.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth import grown, spent
from benchmarks.growth_volume import RADIUS, store_network, write_image
from benchmarks.side_by_side import alone

RATERS = (1, 2, 4, 8, 16, 32)
QUICK = (1, 2, 4)
EDGE = 96


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    return grown("raters", "raters", [alone(spent, count, scores, 1) for count in (QUICK if quick else RATERS)])


def scores(raters: int) -> Callable[[], object]:
    """Agreement with so many raters; the files are made before, and removed after."""
    import torch

    from slicerxai.data.case import Case
    from slicerxai.data.io import write_volume
    from slicerxai.data.volume import Volume
    from slicerxai.models.protocols import segmenter
    from slicerxai.models.store import ModelStore
    from slicerxai.shift.evaluate import score_raters

    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="growth-raters-"))
    store_network(folder)
    write_image(folder, EDGE)
    model = segmenter(ModelStore(folder / "models").load("bright", torch.device("cpu")), "bright")
    reach = np.arange(EDGE) - EDGE // 2
    distance = np.sqrt(reach[:, None, None] ** 2 + reach[None, :, None] ** 2 + reach**2)
    masks = {f"{number}": folder / f"mask{number}.nii" for number in range(raters)}
    for number, path in enumerate(masks.values()):
        write_volume(path, Volume((distance < RADIUS + number % 4 - 1).astype(np.uint8), np.eye(4)))
    case = Case("case", {"FLAIR": folder / f"{EDGE}.nii"}, masks, {})

    def compute() -> None:
        try:
            score_raters(model, [case], list(masks), folder / "cache")
        finally:
            shutil.rmtree(folder)

    return compute
