"""Every problem of a cohort at once, found by reading every file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.data.io import Inspection, inspect_volume, is_orthogonal
from slicerxai.data.resample import largest_shift
from slicerxai.data.volume_source import Fault
from slicerxai.progress import Progress, silent

Kind = (
    Fault
    | Literal[
        "missing modality",
        "missing mask",
        "duplicate id",
        "shape mismatch",
        "affine mismatch",
        "non-orthogonal",
        "non-binary mask",
        "empty image",
        "empty mask",
    ]
)

SAME_PLACE_MM = 0.1
"""Displacement of a corner voxel above which two grids differ; well above the rounding of single-precision headers."""


Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        case: id of the case.
        file: the file at fault; None where a file is lacking or the case itself is at fault.
        kind: for programs; the kinds of `slicerxai.data.io.Fault` for a file that cannot be used at all.
        message: for people.
        severity: a warning does not keep the case from being used.
    """

    case: str
    file: Path | None
    kind: Kind
    message: str
    severity: Severity = "error"


def validate(cohort: Cohort, progress: Progress = silent) -> list[Problem]:
    """Read every image and mask and list all that is wrong; nothing that a file contains is raised.

    Found are: missing modalities (and, as warnings, masks) that more than half of the cases have, duplicate ids, files
    that are missing, unreadable, not 3D, of an unusable voxel type, too large, with NaN or infinite voxels or a
    singular affine, axes that are not at right angles, masks on another grid than the case's first image (as a warning,
    other images on another grid: models resample those), masks with values other than 0 and 1, images of one single
    value and, as a warning, masks without any voxel.

    Returns:
        Problems in the order of the cases; empty for a sound cohort.
    """
    problems = list(_duplicates(cohort))
    modalities = _usual([case.images for case in cohort])
    raters = _usual([case.masks for case in cohort])
    for index, case in enumerate(cohort):
        progress(index / len(cohort), f"checking {case.id}")
        problems += _lacking(case, modalities, raters)
        problems += _check_files(case)
    progress(1.0, f"{len(cohort)} cases checked")
    return problems


def _duplicates(cohort: Cohort) -> Iterator[Problem]:
    for name, count in Counter(case.id for case in cohort).items():
        if count > 1:
            yield Problem(name, None, "duplicate id", f"{count} cases have the id {name!r}")


def _usual(files: list[Mapping[str, Path]]) -> list[str]:
    """Keys that more than half of the cases have, sorted."""
    counts = Counter(key for mapping in files for key in mapping)
    return sorted(key for key, count in counts.items() if 2 * count > len(files))


def _lacking(case: Case, modalities: list[str], raters: list[str]) -> Iterator[Problem]:
    if not case.images:
        yield Problem(case.id, None, "missing modality", "has no image at all")
    for key in modalities:
        if key not in case.images and case.images:
            message = f"has no {key}, as most cases have; it has {', '.join(sorted(case.images))}"
            yield Problem(case.id, None, "missing modality", message)
    for key in raters:
        if key not in case.masks:
            yield Problem(case.id, None, "missing mask", f"has no mask of rater {key!r}, as most cases have", "warning")


def _check_files(case: Case) -> Iterator[Problem]:
    """The first readable image, FLAIR if there is one, is the reference for the grids of the others."""
    reference: tuple[str, Inspection] | None = None
    for key in sorted(case.images, key=lambda name: (name != "FLAIR", name)):
        path = case.images[key]
        found = inspect_volume(path)
        yield from _check_file(case, path, found)
        if found.array is not None and np.isfinite(found.array).all() and found.array.min() == found.array.max():
            message = f"{path}: every voxel has the value {found.array.flat[0]}"
            yield Problem(case.id, path, "empty image", message)
        if reference is not None:
            yield from _check_grid(case, path, found, *reference, severity="warning")
        elif _placed(found):
            reference = (key, Inspection(found.shape, found.affine, None, ()))
    for key in sorted(case.masks):
        path = case.masks[key]
        found = inspect_volume(path)
        yield from _check_file(case, path, found)
        yield from _check_mask(case, path, found)
        if reference is not None:
            yield from _check_grid(case, path, found, *reference, severity="error")


def _placed(found: Inspection) -> bool:
    """Whether shape and affine can be compared."""
    return (
        found.shape is not None
        and len(found.shape) == 3
        and all(fault.fault not in {"affine", "dimensions"} for fault in found.faults)
    )


def _check_file(case: Case, path: Path, found: Inspection) -> Iterator[Problem]:
    for fault in found.faults:
        yield Problem(case.id, path, fault.fault, str(fault))
    singular = any(fault.fault == "affine" for fault in found.faults)
    if found.affine is not None and not singular and not is_orthogonal(found.affine):
        message = f"{path}: the voxel axes are not at right angles, affine {found.affine.tolist()}"
        yield Problem(case.id, path, "non-orthogonal", message)


def _check_mask(case: Case, path: Path, found: Inspection) -> Iterator[Problem]:
    if found.array is None:
        return
    values = np.unique(found.array[np.isfinite(found.array)])
    other = values[(values != 0) & (values != 1)]
    if other.size:
        shown = ", ".join(f"{value:g}" for value in other[:5]) + (", …" if other.size > 5 else "")
        yield Problem(case.id, path, "non-binary mask", f"{path}: has values other than 0 and 1: {shown}")
    if not values.any():
        yield Problem(case.id, path, "empty mask", f"{path}: marks no voxel", "warning")


def _check_grid(
    case: Case, path: Path, found: Inspection, name: str, reference: Inspection, severity: Severity
) -> Iterator[Problem]:
    if not _placed(found) or found.shape is None or found.affine is None or reference.affine is None:
        return
    if found.shape != reference.shape:
        message = f"{path}: shape {found.shape} differs from that of {name}, {reference.shape}"
        yield Problem(case.id, path, "shape mismatch", message, severity)
    shift = largest_shift(found.affine, reference.affine, found.shape)
    if shift > SAME_PLACE_MM:
        message = f"{path}: a voxel lies up to {shift:.1f} mm from where the affine of {name} puts it"
        yield Problem(case.id, path, "affine mismatch", message, severity)
