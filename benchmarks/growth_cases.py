"""Benchmark `growth_cases`: a model scored on a cohort, and a drop attributed, against the number of cases.

Scoring: images of 40³ and one mask each, a small network with random weights; cases are read one after the other, so
memory should stay that of one. Attribution: two mechanisms with three features, the robust estimator. One thread, a
process of its own for each number.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth import grown, spent
from benchmarks.side_by_side import alone

SCORED, ATTRIBUTED = (8, 16, 32, 64, 128), (50, 100, 200, 400, 800)
QUICK_SCORED, QUICK_ATTRIBUTED = (8, 16, 32), (50, 100, 200)
EDGE = 40


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    scored, attributed = (QUICK_SCORED, QUICK_ATTRIBUTED) if quick else (SCORED, ATTRIBUTED)
    result = grown("cases", "cases scored", [alone(spent, count, scores, SCORED[0]) for count in scored])
    points = [alone(spent, count, attribution, ATTRIBUTED[0]) for count in attributed]
    more = grown("cases_attributed", "cases attributed", points)
    result["figures"] |= more["figures"]
    result["rows"] += more["rows"]
    return result


def scores(cases: int) -> Callable[[], object]:
    """Metrics and features of so many cases; the files are made before, and removed after."""
    import torch

    from slicerxai.data.case import Case
    from slicerxai.data.cohort import Cohort, Environment
    from slicerxai.data.io import write_volume
    from slicerxai.data.volume import Volume
    from slicerxai.models.fast import LABELS, FastConfig, FastSegmenter
    from slicerxai.models.protocols import ModelInfo
    from slicerxai.models.unet import FastUNet
    from slicerxai.shift.evaluate import evaluate_cohort

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = FastConfig(spacing=2.0, patch_size=(32, 32, 32), features=(4, 8))
    info = ModelInfo("small", "fast", ("FLAIR",), LABELS, "0" * 64, {})
    model = FastSegmenter(info, FastUNet(1, 2, config.features), config, torch.device("cpu"))
    folder, random = Path(tempfile.mkdtemp(prefix="growth-cases-")), np.random.default_rng(0)
    reach = np.arange(EDGE) - EDGE / 2
    distance = np.sqrt(reach[:, None, None] ** 2 + reach[None, :, None] ** 2 + reach**2)
    lesion = (distance < 4).astype(np.uint8)
    mask = Volume(lesion, np.diag([2.0, 2.0, 2.0, 1.0]))
    members = []
    for number in range(cases):
        head = np.where(distance < EDGE / 2 - 2, random.normal(300, 30, mask.shape), 0) + 200 * lesion
        image, drawn = folder / f"{number}.nii", folder / f"{number}-mask.nii"
        write_volume(image, mask.with_array(head.astype(np.float32)))
        write_volume(drawn, mask)
        members.append(Case(f"{number}", {"FLAIR": image}, {"1": drawn}, {}))

    def compute() -> None:
        try:
            evaluate_cohort(model, Cohort("many", tuple(members)), Environment(rater="1"), folder / "cache")
        finally:
            shutil.rmtree(folder)

    return compute


def attribution(cases: int) -> Callable[[], object]:
    """A drop between two sites with half of the cases each."""
    from threadpoolctl import threadpool_limits

    from slicerxai.shift.attribution import attribute
    from slicerxai.shift.graph import Mechanism, MechanismGraph
    from slicerxai.shift.samples import Pair, Samples

    threadpool_limits(1)
    random = np.random.default_rng(0)

    def site(shift: float, prefix: str) -> Samples:
        variables = {name: random.normal(shift, 1, (cases // 2, 3)) for name in ("X", "Y")}
        names = np.array([f"{prefix}{number}" for number in range(cases // 2)])
        return Samples(variables, random.random(cases // 2), names)

    graph = MechanismGraph((Mechanism("acquisition", "X"), Mechanism("annotation", "Y", ("X",))))
    return partial(attribute, Pair(site(0.0, "s"), site(0.2, "t")), graph)
