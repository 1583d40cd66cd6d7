"""What a panel that explains one image at a time asks a server."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from XAILib.client import Client

from .server_section import Server


@dataclass(frozen=True)
class ImageServer(Server):
    """A server that has answered.

    Attributes:
        studies: ids of the images that it has.
    """

    studies: tuple[str, ...]


def ask(client: Client, stop: Event) -> ImageServer:
    """In any thread. Raises `ServerError`."""
    return ImageServer(client, client.catalogue(stop), client.studies(stop))


def found(server: ImageServer) -> str:
    """What the server has, in words."""
    models, studies = len(server.catalogue.models), len(server.studies)
    return f"{models} model{'s' * (models != 1)}, {studies} stud{'y' if studies == 1 else 'ies'}"
