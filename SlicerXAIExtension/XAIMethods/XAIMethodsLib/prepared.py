"""A downloaded result of any method made ready for the scene: all that takes time. For any thread.

Copies of voxels, grey levels and the boxes around segments are made here, not while the window waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from XAILib.methods import words_of
from XAILib.nrrd import Volume
from XAILib.parts import volume_of
from XAILib.result import OverlayInfo, Result
from XAIPanels.errors import LoadError
from XAIPanels.map_colours import saturation
from XAIPanels.volumes import image_data

IMAGE, LABELMAP = "image", "labelmap"
SIGNED = ("saliency", "difference")
"""Kinds of volumes with values of both signs."""
PROBABILITY = "probability"
FIRST_SHOWN = ("saliency", "difference", PROBABILITY, "counterfactual")
"""Which kind is shown over the image at first, the likeliest first."""
DARKEST, BRIGHTEST = 0.1, 99.9
"""Percentiles of an image that become black and white."""
EVERY = 2
"""Of so many voxels along each axis one is looked at for that."""
MOST_LABELS = 12
"""A label map of more values than these becomes one segment: colours could not tell them apart."""


@dataclass(frozen=True)
class Layer:
    """A volume that can be shown.

    Attributes:
        name, kind: of the overlay.
        image: voxels as a vtkImageData of unit spacing.
        affine: (4, 4), voxel index to RAS mm.
        scale: the magnitude that is drawn in the strongest colours; None for grey levels.
        grey: the values that are black and white; of a map None.
    """

    name: str
    kind: str
    image: Any
    affine: np.ndarray
    scale: float | None = None
    grey: tuple[float, float] | None = None


@dataclass(frozen=True)
class Part:
    """A segment to be.

    Attributes:
        labelmap: 0 and 1 (uint8), the box around the ones.
    """

    id: str
    name: str
    labelmap: Volume


@dataclass(frozen=True)
class Prepared:
    """What becomes nodes.

    Attributes:
        document: the JSON of the result.
        job: id of the server's job.
        image: the explained image, where the result brings one.
        layers, parts: what the result holds.
        grid: shape and affine of the label maps before they were cut; None without any.
    """

    document: Mapping[str, Any]
    job: str
    image: Layer | None
    layers: tuple[Layer, ...]
    parts: tuple[Part, ...]
    grid: tuple[tuple[int, ...], np.ndarray] | None = None


def prepare(result: Result) -> Prepared:
    """Unpack and check the volumes of a result.

    Raises:
        LoadError: a volume holds what is no number.
        ServerError: a part cannot be read, naming it.
    """
    infos = result.overlays()
    images = [info for info in infos if info.kind == IMAGE]
    layers = [info for info in infos if info.kind not in (IMAGE, LABELMAP)]
    parts: list[Part] = []
    grid = None
    for info in infos:
        if info.kind == LABELMAP:
            labels = volume_of(result, info.name)
            grid = grid or (labels.array.shape, labels.affine)
            parts += parts_of(info.name, labels)
    return Prepared(
        document=dict(result.document),
        job=result.job,
        image=_layer(result, images[0]) if images else None,
        layers=tuple(_layer(result, info) for info in (*layers, *images[1:])),
        parts=tuple(parts),
        grid=grid,
    )


def parts_of(name: str, labels: Volume) -> list[Part]:
    """A segment for each label of a map; one for all where there are too many; none where there is none."""
    array = np.rint(labels.array)
    values = np.unique(array[array >= 1]).astype(np.int64).tolist()
    if not values:
        return []
    if len(values) == 1 or len(values) > MOST_LABELS:
        return [Part(name, words_of(name), _box(array >= 1, labels.affine))]
    return [
        Part(f"{name}_{value}", f"{words_of(name)} {value}", _box(array == value, labels.affine)) for value in values
    ]


def _box(inside: np.ndarray, affine: np.ndarray) -> Volume:
    """The box around what is inside, as 0 and 1."""
    low, high = np.zeros(3, int), np.zeros(3, int)
    for axis in range(3):
        along = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        low[axis], high[axis] = along[0], along[-1] + 1
    cut = inside[tuple(slice(start, end) for start, end in zip(low, high))]
    moved = np.array(affine, float)
    moved[:3, 3] += moved[:3, :3] @ low
    return Volume(np.asfortranarray(cut.astype(np.uint8)), moved)


def _layer(result: Result, info: OverlayInfo) -> Layer:
    volume = _finite(result, info)
    scale = saturation(volume.array) if info.kind in SIGNED else 1.0 if info.kind == PROBABILITY else None
    seen = volume.array[::EVERY, ::EVERY, ::EVERY]
    black, white = np.percentile(seen, (DARKEST, BRIGHTEST)).tolist() if scale is None else (0.0, 0.0)
    grey = (black, white) if scale is None else None
    return Layer(info.name, info.kind, image_data(volume.array), np.array(volume.affine, float), scale, grey)


def _finite(result: Result, info: OverlayInfo) -> Volume:
    volume = volume_of(result, info.name)
    if not np.isfinite(volume.array).all():
        msg = _("“{name}” of the result has voxels that are not numbers.").format(name=words_of(info.name))
        raise LoadError(msg)
    return volume
