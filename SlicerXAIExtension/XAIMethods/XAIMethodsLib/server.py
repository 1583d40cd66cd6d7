"""What this panel asks a server when it connects."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from XAILib.catalogue import COHORT
from XAILib.client import Client
from XAILib.cohorts import Cohorts
from XAIPanels import image_server
from XAIPanels.image_server import ImageServer


@dataclass(frozen=True)
class MethodsServer(ImageServer):
    """A server that has answered.

    Attributes:
        cohorts: empty where no method explains one: it may be too old to know cohorts.
    """

    cohorts: Cohorts


def ask(client: Client, stop: Event) -> MethodsServer:
    """In any thread. Raises `ServerError`."""
    known = image_server.ask(client, stop)
    needed = any(method.subject == COHORT for method in known.catalogue.methods)
    cohorts = client.cohorts(stop) if needed else Cohorts({}, {})
    return MethodsServer(client, known.catalogue, known.studies, cohorts)
