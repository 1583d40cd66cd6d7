"""A downloaded result made ready for the scene: all that takes time and needs neither MRML nor Qt. For any thread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from XAILib.change import largest
from XAILib.nrrd import Volume
from XAILib.parts import labelmap_of, volume_of
from XAILib.result import Result
from XAIPanels.errors import LoadError

from .tables import curve, effects, outputs, properties

STEP, PREDICTION = re.compile(r"step_(\d+)"), re.compile(r"prediction_(\d+)")
"""Names of the volumes of each step; those of a model's further channels end in the channel and are not shown."""
EXPERT = "expert_mask"
Point = tuple[float, float, float]
Array = Any
"""`numpy.ndarray`; Slicer versions differ in what NumPy's own types say."""


@dataclass(frozen=True)
class Walk:
    """Images along one property, all on one grid.

    Attributes:
        values: of the property, ascending. units: of the values. title: of the property.
        frames: the image at each of them.
        predictions: lesions that are predicted there (0 and 1, uint8), cut out of the grid; None where there are none.
            Empty for a model that predicts none at all.
        neutral: number of the step at which the image is as it is, from 0; None when it is not among them.
        place: R, A, S in mm of where the walk changes most.
    """

    values: tuple[float, ...]
    units: str
    title: str
    frames: tuple[Volume, ...]
    predictions: tuple[Volume | None, ...]
    neutral: int | None
    place: Point | None


@dataclass(frozen=True)
class Prepared:
    """What becomes nodes.

    Attributes:
        document: the JSON of the result.
        job: id of the server's job.
        image: the explained image; None when the result brings none.
        walk: None for a ranking.
        expert: the expert's mask (0 and 1, uint8); None without one.
    """

    document: Mapping[str, Any]
    job: str
    image: Volume | None
    walk: Walk | None
    expert: Volume | None


def prepare(result: Result) -> Prepared:
    """Unpack and check the volumes of a result.

    Raises:
        LoadError: it holds no effect of a property, or images that do not belong together.
        ServerError: a part cannot be read, naming it.
    """
    document = dict(result.document)
    if not effects(document) or not outputs(document):
        reasons = " ".join(str(check["reason"]) for check in document["checks"])
        msg = _("No property was measured. {value}").format(value=reasons or _("Is it the result of another method?"))
        raise LoadError(msg)
    kinds = {one.name: one.kind for one in result.overlays()}
    images = [name for name, kind in kinds.items() if kind == "image"]
    return Prepared(
        document=document,
        job=result.job,
        image=volume_of(result, images[0]) if images else None,
        walk=_walk(result, document, kinds),
        expert=cut(labelmap_of(result, EXPERT)) if EXPERT in kinds else None,
    )


def cut(labels: Volume) -> Volume | None:
    """The smallest part of a label map that holds all that is not 0; None when nothing is."""
    inside = labels.array != 0
    spans = []
    for axis in range(3):
        found = np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {axis})))
        if not len(found):
            return None
        spans.append((int(found[0]), int(found[-1]) + 1))
    affine = np.array(labels.affine, float)
    affine[:3, 3] += affine[:3, :3] @ [first for first, _unused in spans]
    return Volume(np.asfortranarray(labels.array[tuple(slice(*span) for span in spans)]), affine)


def _walk(result: Result, document: Mapping[str, Any], kinds: Mapping[str, str]) -> Walk | None:
    numbers = _numbered(STEP, kinds)
    names = properties(document)
    if not numbers or len(names) != 1:
        return None
    course = curve(document, names[0], effects(document)[0].output)
    if course is None or numbers != list(range(1, len(course.values) + 1)):
        msg = _("The result has {count} images for {value} steps; ask again.").format(
            count=len(numbers), value=len(course.values) if course else 0
        )
        raise LoadError(msg)
    frames = tuple(volume_of(result, f"step_{number}") for number in numbers)
    for number, frame in zip(numbers, frames):
        _check(frame, frames[0], _("image of step {number}").format(number=number))
    masks: list[Volume] = []
    if _numbered(PREDICTION, kinds) == numbers:
        masks = [labelmap_of(result, f"prediction_{number}") for number in numbers]
        for number, mask in zip(numbers, masks):
            _check(mask, frames[0], _("prediction of step {number}").format(number=number))
    return Walk(
        course.values,
        course.effect.units,
        course.effect.title,
        frames,
        tuple(cut(mask) for mask in masks),
        course.neutral,
        _place(frames, masks, course.neutral or 0),
    )


def _numbered(pattern: Any, names: Mapping[str, str]) -> list[int]:
    found = (pattern.fullmatch(name) for name in names)
    return sorted(int(match.group(1)) for match in found if match)


def _check(volume: Volume, first: Volume, name: str) -> None:
    if not np.isfinite(volume.array).all():
        msg = _("The {name} of the result has voxels that are not numbers.").format(name=name)
        raise LoadError(msg)
    if volume.array.shape != first.array.shape or not np.allclose(volume.affine, first.affine):
        msg = _("The {name} of the result does not lie on the grid of the others.").format(name=name)
        raise LoadError(msg)


def _place(frames: tuple[Volume, ...], masks: list[Volume], neutral: int) -> Point | None:
    """Where most of the prediction changes; else where most is predicted; else where the image changes most."""
    if masks:
        changed = np.zeros(masks[0].array.shape, bool)
        for mask in masks:
            changed |= mask.array != masks[neutral].array
        for where in (changed, masks[neutral].array != 0):
            if where.any():
                return _middle(where, masks[0].affine)
    first, last = (frames[step].array.astype(np.float32) for step in (0, -1))
    return largest(last - first, frames[0].affine)


def _middle(where: Array, affine: Array) -> Point:
    """R, A, S in mm of the voxel in the middle of the fullest plane of the third axis."""
    plane = int(where.sum(axis=(0, 1)).argmax())
    inside = np.argwhere(where[..., plane])
    nearest = inside[np.linalg.norm(inside - np.median(inside, axis=0), axis=1).argmin()]
    place = np.asarray(affine, float) @ (*nearest, plane, 1.0)
    return float(place[0]), float(place[1]), float(place[2])
