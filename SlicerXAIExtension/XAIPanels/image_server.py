"""What a panel that explains one image at a time asks a server."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Event

from slicer.i18n import tr as _
from XAILib.client import Client

from .server_section import Server
from .words import counted


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
    found_models = counted(models, _("{number} model"), _("{number} models"))
    return f"{found_models}, {counted(studies, _('{number} study'), _('{number} studies'))}"
