"""The bar of the server: address, token, and the state of the connection in words. One for the whole page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

from XAILib.catalogue import Catalogue
from XAILib.client import Client
from XAILib.cohorts import Cohorts
from XAILib.errors import ServerError

from slicerxai.viewer.loop_tasks import LoopTasks
from slicerxai.viewer.messages import Messages

LOST = frozenset({"unreachable", "timeout", "tls", "unauthorised"})
"""Kinds of errors after which a connection is no connection any more."""
UNCONNECTED = "Connect to a server first."


@dataclass(frozen=True)
class Connected:
    """A server that has answered.

    Attributes:
        studies: ids of the images that it has.
        cohorts: None for a server that has none to tell of, or does not let this user see them.
    """

    client: Client
    catalogue: Catalogue
    studies: tuple[str, ...]
    cohorts: Cohorts | None

    def channels(self, model: str | None) -> tuple[str, ...]:
        """Modalities that a model needs; empty while unknown."""
        return next((found.channels for found in self.catalogue.models if found.name == model), ())


class Connection:
    """Connects in the background.

    Attributes:
        server: the connected one, or None.
        listeners: called whenever the connection came, went or failed.
    """

    def __init__(self, state: Any, tasks: LoopTasks, url: str) -> None:
        self.server: Connected | None = None
        self.listeners: list[Callable[[], None]] = []
        self._state = state
        self._tasks = tasks
        self._said = Messages(state, "server")
        state.update({"server_url": url, "server_token": "", "connected": False, "connecting": False})
        self._said.say("Not connected.")

    @property
    def url(self) -> str:
        return str(self._state.server_url).strip()

    def client_for(self, url: str) -> Client | None:
        """The client of the connected server, when this is its address."""
        return self.server.client if self.server is not None and self.server.client.url == url.rstrip("/") else None

    def connect(self) -> None:
        """Ask the server what it has."""
        if self._state.connecting:
            return
        self.server = None
        try:
            client = Client(self.url, str(self._state.server_token or ""))
        except ServerError as error:
            self._failed(error)
            return
        self._said.say(f"Connecting to {self.url} …")
        self._state.update({"connected": False, "connecting": True})
        self._tasks.start(lambda stop, progress: ask(client, stop), self._connected, self._failed)

    def lost(self, error: BaseException) -> None:
        """Somebody else got an error; one after which a connection is none any more ends it."""
        if isinstance(error, ServerError) and error.kind in LOST:
            self.server = None
            self._failed(error)

    def _connected(self, server: Connected) -> None:
        self.server = server
        models, studies = len(server.catalogue.models), len(server.studies)
        self._said.succeed(
            f"Connected (version {server.catalogue.version}): {models} model{'s' * (models != 1)}, "
            f"{studies} stud{'y' if studies == 1 else 'ies'}."
        )
        self._tell(connected=True)

    def _failed(self, error: BaseException) -> None:
        known = isinstance(error, ServerError)
        self._said.fail(f"Not connected: {error}" if known else f"Not connected. Unexpected fault: {error!r}")
        self._tell(connected=False)

    def _tell(self, connected: bool) -> None:
        self._state.update({"connected": connected, "connecting": False})
        for listener in self.listeners:
            listener()


def ask(client: Client, stop: Event) -> Connected:
    """What the page needs to know of a server; in any thread. Raises `ServerError`."""
    catalogue, studies = client.catalogue(stop), client.studies(stop)
    try:
        cohorts = client.cohorts(stop)
    except ServerError as error:
        if error.kind not in ("refused", "unauthorised"):
            raise
        cohorts = None
    return Connected(client, catalogue, studies, cohorts)
