"""What is done while the panel stays usable. Touches neither MRML nor Qt: it runs in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

from XAILib.change import share_inside
from XAILib.client import Client, OnProgress
from XAILib.nrrd import Volume
from XAILib.parts import labelmap_of
from XAIPanels.export import Snapshot
from XAIPanels.sending import explained, send_and_explain

from .prepared import Prepared, prepare
from .tables import Lesion, lesions
from .words import METHOD, PREDICTION


@dataclass(frozen=True)
class Predicted:
    """Lesions that a model finds, and where."""

    lesions: tuple[Lesion, ...]
    labelmap: Volume


def explain(
    client: Client,
    image: Snapshot | str,
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
) -> Prepared:
    """Counterfactuals of an image, ready for the scene.

    Raises as `explained`.
    """
    return explained(client, METHOD, image, model, parameters, stop, progress, prepare)


def predict(client: Client, image: Snapshot | str, model: str | None, stop: Event, progress: OnProgress) -> Predicted:
    """The lesions of an image. Raises as `explain`."""
    result = send_and_explain(client, PREDICTION, image, model, {}, stop, progress)
    return Predicted(tuple(lesions(result.document)), labelmap_of(result, PREDICTION))


def shares(changes: Mapping[str, Volume], segment: Volume) -> dict[str, float | None]:
    """Share of each change inside a segment, by the id of its result node."""
    return {
        name: share_inside(change.array, change.affine, segment.array, segment.affine)
        for name, change in changes.items()
    }
