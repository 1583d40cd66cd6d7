"""What is done while the panel stays usable. Touches neither MRML nor Qt: it runs in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import Any

from XAILib.client import Client, OnProgress
from XAIPanels.export import Snapshot
from XAIPanels.sending import explained

from .prepared import Prepared, prepare
from .words import METHOD


def measure(
    client: Client,
    image: Snapshot | str,
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Event,
    progress: OnProgress,
) -> Prepared:
    """Effects of properties on an image, ready for the scene.

    Raises as `explained`.
    """
    return explained(client, METHOD, image, model, parameters, stop, progress, prepare)
