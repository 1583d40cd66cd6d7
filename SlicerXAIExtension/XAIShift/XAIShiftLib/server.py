"""What this panel asks a server."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from slicer.i18n import tr as _
from XAILib.catalogue import Method
from XAILib.client import Client
from XAILib.cohorts import Cohorts
from XAIPanels.server_section import Server
from XAIPanels.words import counted

from .words import METHOD


@dataclass(frozen=True)
class ShiftServer(Server):
    """A server that has answered.

    Attributes:
        cohorts: empty where the server lacks the method: it may be too old to know cohorts.
    """

    cohorts: Cohorts

    @property
    def shift(self) -> Method | None:
        """The method that this panel asks for; None where the server lacks it."""
        return self.method(METHOD)


def ask(client: Client, stop: Event) -> ShiftServer:
    """In any thread. Raises `ServerError`."""
    catalogue = client.catalogue(stop)
    known = any(method.name == METHOD for method in catalogue.methods)
    return ShiftServer(client, catalogue, client.cohorts(stop) if known else Cohorts({}, {}))


def found(server: ShiftServer) -> str:
    """What the server has, in words."""
    models, cohorts = len(server.catalogue.models), len(server.cohorts.sizes)
    found_models = counted(models, _("{number} model"), _("{number} models"))
    return f"{found_models}, {counted(cohorts, _('{number} cohort'), _('{number} cohorts'))}"
