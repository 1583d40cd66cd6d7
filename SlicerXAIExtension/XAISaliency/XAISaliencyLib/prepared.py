"""A downloaded result made ready for the scene: all that takes time and needs neither MRML nor Qt. For any thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from slicer.i18n import tr as _
from XAILib.nrrd import Volume
from XAILib.parts import labelmap_of, volume_of
from XAILib.result import Result
from XAIPanels.errors import LoadError
from XAIPanels.map_colours import saturation

LESIONS_ID = "lesions"
EXPLAINED_ID = "explained_lesion"


@dataclass(frozen=True)
class Prepared:
    """What becomes nodes.

    Attributes:
        document: the JSON of the result.
        job: id of the server's job.
        saliency: the signed map, finite.
        scale: the magnitude that is drawn in the strongest colours.
        labelmaps: 0 and 1 (uint8) by name, `LESIONS_ID` and `EXPLAINED_ID` as far as the result has them.
        images: the explained image, by its modality; empty when the result brings none.
    """

    document: Mapping[str, Any]
    job: str
    saliency: Volume
    scale: float
    labelmaps: Mapping[str, Volume]
    images: Mapping[str, Volume]


def prepare(result: Result) -> Prepared:
    """Unpack and check the volumes of a result.

    Raises:
        LoadError: it holds no usable map.
        ServerError: a part cannot be read, naming it.
    """
    names = {kind: [one.name for one in result.overlays() if one.kind == kind] for kind in ("saliency", "image")}
    labels = [one.name for one in result.overlays() if one.kind == "labelmap"]
    if not names["saliency"]:
        msg = _("The result holds no saliency map; is it the result of another method?")
        raise LoadError(msg)
    saliency = volume_of(result, "saliency" if "saliency" in names["saliency"] else names["saliency"][0])
    if not np.isfinite(saliency.array).all():
        msg = _("The saliency map of the result has voxels that are not numbers.")
        raise LoadError(msg)
    return Prepared(
        document=dict(result.document),
        job=result.job,
        saliency=saliency,
        scale=saturation(saliency.array),
        labelmaps={name: labelmap_of(result, name) for name in (LESIONS_ID, EXPLAINED_ID) if name in labels},
        images={name: volume_of(result, name) for name in names["image"][:1]},
    )
