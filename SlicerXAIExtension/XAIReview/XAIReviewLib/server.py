"""What this panel asks a server when it connects."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from XAILib.catalogue import Method
from XAILib.client import Client
from XAILib.review import METHOD
from XAIPanels.server_section import Server


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
    return f"{models} model{'s' * (models != 1)}"
