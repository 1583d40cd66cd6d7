"""A case made ready for the scene: all that takes time and needs neither MRML nor Qt. For any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from XAILib.agreement import cropped
from XAILib.cohorts import Value
from XAILib.nrrd import Volume

Point = tuple[float, float, float]
FIRST = ("FLAIR", "T1", "T2", "PD", "GADO")
"""Modalities in the order in which they are read; others follow by name."""
DARK, BRIGHT = 0.5, 99.5
"""Percentiles of the voxels that are not background between which an image is drawn."""
SAMPLED = 500_000
"""Voxels of which the percentiles are taken."""


@dataclass(frozen=True)
class Image:
    """Voxels, and the window and level in which they are drawn."""

    volume: Volume
    window: float
    level: float


@dataclass(frozen=True)
class Origin:
    """Where a case comes from.

    Attributes:
        kind: "server", "folder" or "sample".
        cohort: its name.
    """

    kind: str
    cohort: str
    case: str


@dataclass(frozen=True)
class PreparedCase:
    """What becomes nodes.

    Attributes:
        images: by modality, in the order in which they are shown.
        masks: by rater, consensus last; 0 and 1 (uint8), cut to what is drawn.
        place: R, A, S in mm, in the axial slice where most is drawn; None when nothing is.
        problems: what is wrong with the files, in words.
    """

    origin: Origin
    images: Mapping[str, Image]
    masks: Mapping[str, Volume]
    metadata: Mapping[str, Value]
    place: Point | None
    problems: tuple[str, ...] = ()


def prepared(
    origin: Origin, images: Mapping[str, Volume], masks: Mapping[str, Volume], metadata: Mapping[str, Value]
) -> PreparedCase:
    """A case of its volumes; masks are 0 for background."""
    drawn = {rater: drawing(masks[rater]) for rater in sorted(masks, key=rater_order)}
    return PreparedCase(
        origin,
        {name: _image(images[name]) for name in sorted(images, key=modality_order)},
        drawn,
        dict(metadata),
        place_of(list(drawn.values())),
        tuple(problems(images, masks)),
    )


def drawing(mask: Volume) -> Volume:
    """What is drawn of a mask, as 0 and 1."""
    return cropped(Volume((np.asarray(mask.array) != 0).astype(np.uint8), mask.affine))


def modality_order(name: str) -> tuple[int, str]:
    """Sorts modalities."""
    return (FIRST.index(name) if name in FIRST else len(FIRST), name)


def rater_order(name: str) -> tuple[int, int, str]:
    """Sorts raters: numbers, names, then what nobody drew by hand; the consensus is last and drawn over all others."""
    derived = {"truth": 1, "consensus": 2}
    return (derived.get(name, 0), int(name) if name.isdigit() else 10**6, name)


def place_of(masks: list[Volume]) -> Point | None:
    """The drawn voxel nearest to the middle of what is drawn, in the slice of a mask with most of it."""
    best, place = 0, None
    for mask in masks:
        areas = np.count_nonzero(mask.array, axis=(0, 1))
        k = int(areas.argmax())
        if areas[k] > best:
            marked = np.argwhere(mask.array[:, :, k])
            nearest = marked[np.linalg.norm(marked - marked.mean(axis=0), axis=1).argmin()]
            best, place = int(areas[k]), mask.affine @ [*nearest, k, 1]
    return None if place is None else (float(place[0]), float(place[1]), float(place[2]))


def problems(images: Mapping[str, Volume], masks: Mapping[str, Volume]) -> list[str]:
    """What a reader of the case should know of its volumes."""
    found = []
    reference = images[min(images, key=modality_order)] if images else None
    for name in sorted(images, key=modality_order):
        if not np.isfinite(images[name].array).all():
            found.append(_("{name} has voxels that are not numbers").format(name=name))
        if reference is not None and not _same_grid(images[name], reference):
            found.append(_("{name} lies on a grid of its own").format(name=name))
    for rater in sorted(masks, key=rater_order):
        if reference is not None and not _same_grid(masks[rater], reference):
            found.append(_("the mask of {rater} lies on a grid of its own").format(rater=_named(rater)))
        if not np.any(masks[rater].array):
            found.append(_("the mask of {rater} is empty").format(rater=_named(rater)))
    if not masks:
        found.append(_("no mask"))
    return found


def _image(volume: Volume) -> Image:
    """With a window of its own: the display node would look for one on the main thread."""
    voxels = np.asarray(volume.array).ravel(order="K")
    voxels = voxels[:: max(1, voxels.size // SAMPLED)]
    bright = voxels[np.isfinite(voxels) & (voxels != 0)]
    low, high = np.percentile(bright, (DARK, BRIGHT)).tolist() if bright.size else (0.0, 1.0)
    low = min(0.0, low) if low >= 0 else low
    return Image(volume, max(high - low, 1e-6), (high + low) / 2)


def _same_grid(first: Any, second: Any) -> bool:
    return first.array.shape == second.array.shape and bool(np.allclose(first.affine, second.affine, atol=1e-2))


def _named(rater: str) -> str:
    return _("rater {rater}").format(rater=rater) if rater.isdigit() else rater
