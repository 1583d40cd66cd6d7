"""The section of the server: address, token, and the state of the connection in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from threading import Event
from typing import Any, Generic, TypeVar

import qt
import slicer
from XAILib.catalogue import Catalogue, Method
from XAILib.client import Client
from XAILib.errors import ServerError

from .tasks import Task, Tasks
from .words import BAD, GOOD, coloured

DEFAULT_URL = "http://127.0.0.1:8000"
SETTING = "ExplainableAI/serverUrl"
"""The panels share the address."""
LOST = frozenset({"unreachable", "timeout", "tls", "unauthorised"})
"""Kinds of errors after which a connection is no connection any more."""


@dataclass(frozen=True)
class Server:
    """A server that has answered; each panel's own subclass knows what else that panel asked."""

    client: Client
    catalogue: Catalogue

    def method(self, name: str) -> Method | None:
        """A method of this server; None where it lacks it."""
        return next((method for method in self.catalogue.methods if method.name == name), None)


S = TypeVar("S", bound=Server)


class ServerSection(Generic[S]):
    """Connects in the background.

    Args:
        ask: called in a thread as `ask(client, stop)` for what the panel needs to know of a server.
        found: says in words what such a server has.
        changed: called whenever the connection came, went or failed.

    Attributes:
        server: the connected one, or None.
    """

    def __init__(
        self,
        ui: Any,
        tasks: Tasks,
        ask: Callable[[Client, Event], S],
        found: Callable[[S], str],
        changed: Callable[[], None],
    ) -> None:
        self.ui = ui
        self.server: S | None = None
        self._tasks = tasks
        self._ask = ask
        self._found = found
        self._changed = changed
        self._task: Task | None = None
        self._then: Callable[[], None] | None = None
        self._otherwise: Callable[[], None] | None = None
        ui.urlEdit.text = slicer.util.settingsValue(SETTING, DEFAULT_URL)
        ui.urlEdit.connect("textChanged(QString)", self._edited)
        ui.tokenEdit.connect("textChanged(QString)", self._edited)
        ui.urlEdit.connect("returnPressed()", self.connect_server)
        ui.tokenEdit.connect("returnPressed()", self.connect_server)
        ui.connectButton.connect("clicked()", self.connect_server)
        self._say("Not connected.")

    @property
    def url(self) -> str:
        return str(self.ui.urlEdit.text).strip()

    def propose(self, url: str) -> None:
        """Take an address that came with a scene, unless this computer has a server of its own already.

        Otherwise a scene from elsewhere could redirect images, and the token, to another server.
        """
        if url and not slicer.util.settingsValue(SETTING, ""):
            self.ui.urlEdit.text = url

    @property
    def connecting(self) -> bool:
        return self._task is not None

    def connect_server(
        self, then: Callable[[], None] | None = None, otherwise: Callable[[], None] | None = None
    ) -> None:
        """Ask the server what it has; `then` is called once it has answered, `otherwise` when that failed."""
        if self.connecting:
            return
        self.server = None
        self._then, self._otherwise = then, otherwise
        try:
            client = Client(self.url, self.ui.tokenEdit.text)
        except ServerError as error:
            self._failed(error)
            return
        self._say(f"Connecting to {self.url} …")
        self._task = self._tasks.start(lambda stop, progress: self._ask(client, stop), self._connected, self._failed)
        self._changed()

    def lost(self, error: ServerError) -> None:
        """Somebody else got an error; one after which a connection is none any more ends it."""
        if error.kind in LOST:
            self.server = None
            self._failed(error)

    def forget_plans(self) -> None:
        """Whatever was to happen after connecting shall not happen any more."""
        self._then = self._otherwise = None

    def refresh(self) -> None:
        """Enable what can be used."""
        usable = bool(self.url) and not self.connecting
        self.ui.connectButton.enabled = usable
        self.ui.connectButton.text = "&Connect" if self.server is None else "Re&connect"
        if self.connecting:
            self.ui.connectButton.toolTip = "The server has been asked; waiting for its answer."
        elif usable:
            self.ui.connectButton.toolTip = "Ask the server which models and data it has."
        else:
            self.ui.connectButton.toolTip = "Type the address of the server first."

    def _edited(self, _text: str) -> None:
        """What is connected is not what is written any more."""
        if self._task is not None:
            self._tasks.drop(self._task)
            self._task = None
            self._give_up()
        self.server = None
        self._say("Not connected.")
        self._changed()

    def _connected(self, server: S) -> None:
        self._task = None
        self.server = server
        qt.QSettings().setValue(SETTING, self.url)
        self.ui.serverSection.text = f"Server – connected to {self.url.split('://')[-1]}"
        self.ui.serverSection.collapsed = True
        known = f"{coloured('Connected', GOOD)} (version {escape(server.catalogue.version)})"
        self.ui.serverState.text = f"{known}: {escape(self._found(server))}."
        then = self._then
        self.forget_plans()
        self._changed()
        if then is not None:
            then()

    def _failed(self, error: BaseException) -> None:
        self._task = None
        message = str(error) if isinstance(error, ServerError) else f"Unexpected fault: {error!r}"
        self.ui.serverSection.text = "Server – not connected"
        self.ui.serverSection.collapsed = False
        self.ui.serverState.text = f"{coloured('Not connected', BAD)}: {escape(message)}"
        self._give_up()
        self._changed()
        if not isinstance(error, ServerError):
            raise error

    def _give_up(self) -> None:
        otherwise = self._otherwise
        self.forget_plans()
        if otherwise is not None:
            otherwise()

    def _say(self, text: str) -> None:
        self.ui.serverSection.text = "Server"
        self.ui.serverState.text = escape(text)
