"""Benchmark `cohort_reading`: a cohort's cases one by one, beside loading everything by nibabel first.

A phantom cohort with two modalities and seven raters is asked for the mean FLAIR intensity inside each consensus
mask. Ours finds the cases, selects those of two centres and reads the two volumes of each that are needed, checked. The
naive way finds the files by their names, loads all that there is as floats, keeps it, and then computes the same for
the same centres. The limit is unpacking the files that are needed. Memory is the peak of a process of its own for each,
above what it held before.

Checked first: both give the same means; `max_abs_difference` is their largest difference.
"""

from __future__ import annotations

import functools
import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.printer import Printer
from benchmarks.side_by_side import agreed, peak_memory, ratios, side_by_side
from slicerxai.data.cohort import Cohort, Environment, OneOf
from slicerxai.data.phantom.cohort import write_cohort
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.readers import read_cohort

CENTRES = ("01", "07")
MODALITY, RATER = "FLAIR", "consensus"
TOLERANCE = 1e-9


def selected(folder: Path) -> Cohort:
    """The cases of the two centres."""
    return read_cohort(folder).select(Environment(where={"centre": OneOf(values=CENTRES)}, rater=RATER))


def ours(folder: Path) -> dict[str, float]:
    """Mean intensity inside the mask, by case."""
    means = {}
    for case in selected(folder):
        inside = case.mask(RATER).array != 0
        means[case.id] = float(case.image(MODALITY).array[inside].mean(dtype=np.float64))
    return means


def naive(folder: Path, images: dict[str, Path], masks: dict[str, Path]) -> dict[str, float]:
    """The same with everything loaded first; images and masks say which files are the cases'."""
    loaded = {path: nib.load(path).get_fdata() for path in sorted(folder.rglob("*.nii.gz"))}  # type: ignore[attr-defined]
    return {case: float(loaded[path][loaded[masks[case]] != 0].mean()) for case, path in images.items()}


def unpacked(files: list[Path]) -> None:
    """Unpacks files and forgets them."""
    for path in files:
        gzip.decompress(path.read_bytes())


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data
    parameters = PhantomParameters(patients=1 if quick else 3, spacing=2.0 if quick else 1.0)
    folder = out / "cohort_reading" / f"{parameters.spacing:g}mm"
    write_cohort(folder, parameters, Printer("phantom"))
    cases = list(selected(folder))
    images = {case.id: case.images[MODALITY] for case in cases}
    masks = {case.id: case.masks[RATER] for case in cases}
    mine, theirs = ours(folder), naive(folder, images, masks)
    if mine.keys() != theirs.keys():
        msg = f"read {sorted(mine)}, expected {sorted(theirs)}"
        raise RuntimeError(msg)
    difference = agreed(max(abs(mine[case] - theirs[case]) for case in mine), TOLERANCE, "means")
    ways = {"slicerxai": functools.partial(ours, folder), "naive": functools.partial(naive, folder, images, masks)}
    files = [*images.values(), *masks.values()]
    times = side_by_side(ways | {"limit": functools.partial(unpacked, files)}, turns=3 if quick else 7)
    memory = {name: peak_memory(compute) for name, compute in ways.items()}
    figures = ratios(times["slicerxai"], times["naive"], times["limit"]) | {
        "max_abs_difference": difference,
        "memory_ratio": memory["naive"] / memory["slicerxai"],
        "peak_mb": memory["slicerxai"] / 1e6,
        "naive_peak_mb": memory["naive"] / 1e6,
        "cases": len(cases),
    }
    rows = [
        {"who": name, "seconds": t.seconds, "lower quartile": t.low, "upper quartile": t.high, "CPU": t.cpu_seconds}
        | {"peak MB": memory[name] / 1e6 if name in memory else None}
        for name, t in times.items()
    ]
    notes = [f"{parameters.count} cases of {len(list(folder.rglob('*.nii.gz'))) // parameters.count} files each."]
    return {"figures": figures, "rows": rows, "notes": notes}
