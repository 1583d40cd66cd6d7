"""One image sent and explained while the panel stays usable. Touches neither MRML nor Qt: it runs in a thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, TypeVar

from slicer.i18n import tr as _
from XAILib.client import Client, OnProgress
from XAILib.errors import Stopped
from XAILib.result import Result
from XAILib.run import run_explanation

from .export import Snapshot, write

T = TypeVar("T")


def send_and_explain(
    client: Client,
    method: str,
    image: Snapshot | str,
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
) -> Result:
    """Send an image, or name one of the server, and wait for its explanation.

    Args:
        image: what was taken of the scene, or the id of a server's study.

    Raises:
        SceneError: the image cannot be sent, in words.
        ServerError, Stopped: see `run_explanation`.
    """
    with TemporaryDirectory(prefix="xai-") as folder:
        source: dict[str, Any] = {"image": image}
        if isinstance(image, Snapshot):
            progress(0.0, _("Preparing the image"), None)
            source = {"files": [write(image, Path(folder))]}
            if stop.is_set():
                raise Stopped
        return run_explanation(client, method, source, model, parameters, stop, progress)


def explained(
    client: Client,
    method: str,
    image: Snapshot | str,
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
    prepare: Callable[[Result], T],
) -> T:
    """The explanation of an image, prepared for the scene.

    Raises:
        SceneError: the image cannot be sent, or the result not be shown, in words.
        ServerError, Stopped: see `run_explanation`.
    """
    result = send_and_explain(client, method, image, model, parameters, stop, progress)
    progress(1.0, _("Loading the result"), None)
    return prepare(result)


def fetched(client: Client, job: str, stop: Event, progress: OnProgress, prepare: Callable[[Result], T]) -> T:
    """The result of a job that is done, prepared for the scene. Raises as `explained`."""
    result = client.result(job, stop, progress)
    progress(1.0, _("Loading the result"), None)
    return prepare(result)
