"""What is done while the panel stays usable. Touches neither MRML nor Qt: it runs in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

from XAILib import training
from XAILib.change import share_inside
from XAILib.client import Client, OnProgress
from XAILib.nrrd import Volume
from XAILib.parts import labelmap_of
from XAIPanels import image_server
from XAIPanels.export import Snapshot
from XAIPanels.image_server import ImageServer
from XAIPanels.sending import send_and_explain

from .prepared import Prepared, prepare
from .tables import Lesion, lesions
from .words import METHOD, PREDICTION, TASK


@dataclass(frozen=True)
class CounterfactualServer(ImageServer):
    """A server that has answered.

    Attributes:
        options: of the training, with their defaults; None where the server lacks it.
        running: a training that is going on.
    """

    options: Mapping[str, Any] | None
    running: training.Training | None


def ask(client: Client, stop: Event) -> CounterfactualServer:
    """In any thread. Raises `ServerError`."""
    known = image_server.ask(client, stop)
    newest = training.newest(client, stop)
    running = newest if newest is not None and newest.active and newest.task == TASK else None
    return CounterfactualServer(client, known.catalogue, known.studies, training.tasks(client, stop).get(TASK), running)


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

    Raises:
        SceneError: the image cannot be sent, or the result not be shown, in words.
        ServerError, Stopped: see `run_explanation`.
    """
    result = send_and_explain(client, METHOD, image, model, parameters, stop, progress)
    progress(1.0, "Loading the result", None)
    return prepare(result)


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
