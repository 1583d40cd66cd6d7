"""What this panel asks a server when it connects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

from XAILib import training
from XAILib.client import Client
from XAIPanels import image_server
from XAIPanels.image_server import ImageServer

from .words import TASK


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
