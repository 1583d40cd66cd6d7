"""What this panel asks a server."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from slicer.i18n import tr as _
from XAILib.client import Client
from XAILib.cohorts import Cohorts
from XAILib.errors import ServerError
from XAIPanels.server_section import Server


@dataclass(frozen=True)
class CohortServer(Server):
    """A server that has answered.

    Attributes:
        cohorts: empty where the server is too old to know any.
    """

    cohorts: Cohorts


def ask(client: Client, stop: Event) -> CohortServer:
    """In any thread. Raises `ServerError`."""
    catalogue = client.catalogue(stop)
    try:
        cohorts = client.cohorts(stop)
    except ServerError as error:
        if error.status != 404:
            raise
        cohorts = Cohorts({}, {})
    return CohortServer(client, catalogue, cohorts)


def found(server: CohortServer) -> str:
    """What the server has, in words."""
    count = len(server.cohorts.sizes)
    return _("1 cohort") if count == 1 else _("{count} cohorts").format(count=count)
