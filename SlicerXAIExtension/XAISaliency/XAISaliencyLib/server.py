"""What this panel asks a server."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from XAILib.catalogue import Method
from XAILib.client import Client
from XAIPanels.server_section import Server

from .words import METHOD


@dataclass(frozen=True)
class SaliencyServer(Server):
    """A server that has answered.

    Attributes:
        studies: ids of the images that it has.
    """

    studies: tuple[str, ...]

    @property
    def saliency(self) -> Method | None:
        """The method that this panel asks for; None where the server lacks it."""
        return self.method(METHOD)


def ask(client: Client, stop: Event) -> SaliencyServer:
    """In any thread. Raises `ServerError`."""
    return SaliencyServer(client, client.catalogue(stop), client.studies(stop))


def found(server: SaliencyServer) -> str:
    """What the server has, in words."""
    models, studies = len(server.catalogue.models), len(server.studies)
    return f"{models} model{'s' * (models != 1)}, {studies} stud{'y' if studies == 1 else 'ies'}"
