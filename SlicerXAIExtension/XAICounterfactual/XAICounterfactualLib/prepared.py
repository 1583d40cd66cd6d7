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
from XAIPanels.map_colours import saturation

LABELMAPS = ("expert_mask", "lesions", "explained_lesion")
"""Names of the label maps that are drawn as outlines, as far as a result has them."""
FIRST = "counterfactual"
OF_FIRST_CHANNEL = re.compile(r"counterfactual(_\d+)?")
"""Names of the changed images; those of a model's further channels end in the channel."""
Point = tuple[float, float, float]


@dataclass(frozen=True)
class Pair:
    """One counterfactual.

    Attributes:
        image: the changed image.
        change: what was added, in the same units.
        place: R, A, S in mm of the largest change; None when nothing was changed.
    """

    image: Volume
    change: Volume
    place: Point | None


@dataclass(frozen=True)
class Prepared:
    """What becomes nodes.

    Attributes:
        document: the JSON of the result.
        job: id of the server's job.
        pairs: in the order of the gallery.
        scale: the magnitude of change that is drawn in the strongest colours, for all of them.
        labelmaps: 0 and 1 (uint8) by name, of `LABELMAPS`.
        image: the explained image.
    """

    document: Mapping[str, Any]
    job: str
    pairs: tuple[Pair, ...]
    scale: float
    labelmaps: Mapping[str, Volume]
    image: Volume


def prepare(result: Result) -> Prepared:
    """Unpack and check the volumes of a result.

    Raises:
        LoadError: it holds no usable counterfactual.
        ServerError: a part cannot be read, naming it.
    """
    kinds = {one.name: one.kind for one in result.overlays()}
    names = [name for name, kind in kinds.items() if kind == "counterfactual" and OF_FIRST_CHANNEL.fullmatch(name)]
    if not names:
        said = " ".join(str(check["reason"]) for check in result.document["checks"])
        msg = _("No counterfactual was found. {value}").format(value=said or _("Is it the result of another method?"))
        raise LoadError(msg)
    pairs = tuple(_pair(result, name) for name in names)
    images = [name for name, kind in kinds.items() if kind == "image"]
    first = pairs[0]
    return Prepared(
        document=dict(result.document),
        job=result.job,
        pairs=pairs,
        scale=max(saturation(pair.change.array) for pair in pairs),
        labelmaps={name: labelmap_of(result, name) for name in LABELMAPS if name in kinds},
        image=volume_of(result, images[0])
        if images
        else Volume(first.image.array - first.change.array, first.image.affine),
    )


def _pair(result: Result, name: str) -> Pair:
    image, change = volume_of(result, name), volume_of(result, name.replace(FIRST, "difference", 1))
    for volume in (image, change):
        if not np.isfinite(volume.array).all():
            msg = _("The {replace} of the result has voxels that are not numbers.").format(
                replace=name.replace("_", " ")
            )
            raise LoadError(msg)
    if image.array.shape != change.array.shape or not np.allclose(image.affine, change.affine):
        msg = _("The {replace} of the result and its difference do not lie on the same grid.").format(
            replace=name.replace("_", " ")
        )
        raise LoadError(msg)
    return Pair(image, change, largest(change.array, change.affine))
