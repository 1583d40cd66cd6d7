"""What is done while the panel stays usable. Touches neither MRML nor Qt: it runs in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import Any

from slicer.i18n import tr as _
from XAILib.client import Client, OnProgress
from XAILib.run import run_explanation
from XAIPanels.export import Snapshot
from XAIPanels.sending import explained

from .prepared import Prepared, prepare


def explain(
    client: Client,
    method: str,
    image: Snapshot | str,
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
) -> Prepared:
    """What a method says of an image, ready for the scene. Raises as `explained`."""
    return explained(client, method, image, model, parameters, stop, progress, prepare)


def explain_cohort(
    client: Client,
    method: str,
    cohort: str,
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
) -> Prepared:
    """What a method says of a cohort, ready for the scene.

    Raises:
        SceneError: the result cannot be shown, in words.
        ServerError, Stopped: see `run_explanation`.
    """
    result = run_explanation(client, method, {"cohort": cohort}, model, parameters, stop, progress)
    progress(1.0, _("Loading the result"), None)
    return prepare(result)
