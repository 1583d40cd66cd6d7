"""What this panel asks a server when it connects."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from slicer.i18n import tr as _
from XAILib.catalogue import Method
from XAILib.client import Client
from XAILib.review import METHOD
from XAIPanels.server_section import Server
from XAIPanels.words import counted


@dataclass(frozen=True)
class ReviewServer(Server):
    """A server that has answered."""

    @property
    def quality(self) -> Method | None:
        """The method that this panel asks for; None where the server lacks it."""
        return self.method(METHOD)


def ask(client: Client, stop: Event) -> ReviewServer:
    """In any thread. Raises `ServerError`."""
    return ReviewServer(client, client.catalogue(stop))


def found(server: ReviewServer) -> str:
    """What the server has, in words."""
    models = len(server.catalogue.models)
    return counted(models, _("{number} model"), _("{number} models"))
