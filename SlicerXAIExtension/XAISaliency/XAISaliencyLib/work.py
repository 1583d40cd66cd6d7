"""What is done for one explanation while the panel stays usable. Touches neither MRML nor Qt: it runs in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

from XAILib.client import Client, OnProgress
from XAILib.errors import Stopped
from XAILib.run import run_explanation

from .export import Snapshot, write
from .prepared import Prepared, prepare
from .words import METHOD


def explain(
    client: Client,
    image: Snapshot | str,
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
) -> Prepared:
    """Send an image, or name one of the server, wait for its explanation and make it ready for the scene.

    Args:
        image: what was taken of the scene, or the id of a server's study.

    Raises:
        SceneError: the image cannot be sent, or the result not be shown, in words.
        ServerError, Stopped: see `run_explanation`.
    """
    with TemporaryDirectory(prefix="xai-") as folder:
        source: dict[str, Any] = {"image": image}
        if isinstance(image, Snapshot):
            progress(0.0, "Preparing the image", None)
            source = {"files": [write(image, Path(folder))]}
            if stop.is_set():
                raise Stopped
        result = run_explanation(client, METHOD, source, model, parameters, stop, progress)
    progress(1.0, "Loading the result", None)
    return prepare(result)
