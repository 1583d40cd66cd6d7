"""A result made ready for the scene: all that takes time and needs neither MRML nor Qt. For any thread."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from XAILib.document import damaged
from XAILib.nrrd import Volume
from XAILib.parts import labelmap_of, volume_of
from XAILib.result import Result
from XAIPanels.map_colours import saturation

Point = tuple[float, float, float]

FLAGGED, OTHER = "flagged_lesions", "lesions"
"""Names of the label maps of a segmenter's lesions: flagged ones, and the others."""
GRAPH = "graph"
"""Name of the figure of the distances between the maps."""
PREFIX = "saliency_"
LONGEST = 80
"""Of a map's name: the prefix, and as many characters of the class's."""


@dataclass(frozen=True)
class Image:
    """An image to look at.

    Attributes:
        window: the values that are drawn black and white. Slicer would find some by itself, while the window waits.
    """

    volume: Volume
    window: tuple[float, float]


@dataclass(frozen=True)
class Map:
    """What made a model decide on one class.

    Attributes:
        volume: signed relevance, finite.
        scale: the magnitude that is drawn in the strongest colours.
        place: R, A, S in mm of the strongest voxel, for or against the class; None for a map of zeros.
    """

    volume: Volume
    scale: float
    place: Point | None


@dataclass(frozen=True)
class Prepared:
    """What becomes nodes.

    Attributes:
        document: the JSON of the result.
        job: id of the server's job.
        maps: by class, in the order of the model; empty for a segmenter.
        lesions: 0 and 1 (uint8) by `FLAGGED` and `OTHER`, as far as there are such lesions; empty for a classifier.
        graph: a PNG picture; empty when there is none.
        image: the image itself, when the result brings it.
    """

    document: Mapping[str, Any]
    job: str
    maps: Mapping[str, Map]
    lesions: Mapping[str, Volume]
    graph: bytes
    image: Image | None


def prepare(result: Result) -> Prepared:
    """Unpack and check the volumes of a result. Raises `ServerError` when a part is missing or cannot be read."""
    kinds: dict[str, list[str]] = {}
    for one in result.overlays():
        kinds.setdefault(one.kind, []).append(one.name)
    labels = labels_of(result.document)
    names = named(labels, kinds.get("saliency", []))
    lesions = {name: labelmap_of(result, name) for name in kinds.get("labelmap", []) if name in (FLAGGED, OTHER)}
    images = kinds.get("image", [])
    return Prepared(
        document=dict(result.document),
        job=result.job,
        maps={label: _map(result, names[label]) for label in labels if label in names},
        lesions={name: part for name, part in lesions.items() if part.array.any()},
        graph=result.parts.get(f"{GRAPH}.png", b""),
        image=image_of(volume_of(result, images[0])) if images else None,
    )


def image_of(volume: Volume) -> Image:
    """An image with its window: nearly all values but 0, which is what lies outside the head."""
    part = volume.array[::2, ::2, ::2]
    inside = part[np.isfinite(part) & (part != 0)]
    if not inside.size:
        return Image(volume, (0.0, 1.0))
    low, high = np.percentile(inside, (0.2, 99.8)).tolist()
    low = min(low, 0.0)
    return Image(volume, (low, high if high > low else low + 1.0))


def labels_of(document: Mapping[str, Any]) -> list[str]:
    """The classes of a result, in the order of the model; empty for a segmenter's."""
    table = document["tables"].get("distances")
    return [] if table is None else [str(row[0]) for row in table["rows"]]


def named(labels: list[str], maps: list[str]) -> dict[str, str]:
    """The name of each class's map: the class's own with the characters that names may have, numbered if need be."""
    found = {}
    for number, label in enumerate(labels, 1):
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", label)[:LONGEST]
        names = [name for name in (f"{PREFIX}{plain}", f"{PREFIX}{number}_{plain}") if name in maps]
        if names:
            found[label] = names[0]
    return found


def _map(result: Result, name: str) -> Map:
    volume = volume_of(result, name)
    if not np.isfinite(volume.array).all():
        raise damaged(_("its map “{name}” has voxels that are not numbers").format(name=name))
    array = np.ascontiguousarray(volume.array, dtype=np.float32) if volume.array.dtype.kind != "f" else volume.array
    return Map(Volume(array, volume.affine), saturation(array), place_of(Volume(array, volume.affine)))


def place_of(volume: Volume) -> Point | None:
    """R, A, S in mm of the value farthest from 0; None when all are 0."""
    lowest, highest = int(volume.array.argmin()), int(volume.array.argmax())
    flat = lowest if -volume.array.flat[lowest] > volume.array.flat[highest] else highest
    index = np.unravel_index(flat, volume.array.shape)
    if volume.array[index] == 0:
        return None
    place = volume.affine @ [*index, 1]
    return (float(place[0]), float(place[1]), float(place[2]))
