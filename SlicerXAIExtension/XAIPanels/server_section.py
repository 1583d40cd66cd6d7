"""The section of the server: address, token, and the state of the connection in words. All panels share it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from threading import Event
from typing import Any, Generic, TypeVar

import qt
import slicer
from slicer.i18n import tr as _
from XAILib.catalogue import Catalogue, Method
from XAILib.client import Client
from XAILib.errors import ServerError

from .choosing import with_keys
from .job_tray_home import home, use_tasks
from .tasks import Task, Tasks
from .words import BAD, GOOD, coloured

DEFAULT_URL = "http://127.0.0.1:8000"
SETTING = "ExplainableAI/serverUrl"
"""The panels share the address."""
use_tasks(Tasks)
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
        self._follows = False
        self._connection = home().connection
        self._connection.join(self)
        written = self._connection.url
        ui.urlEdit.text = slicer.util.settingsValue(SETTING, DEFAULT_URL) if written is None else written
        ui.tokenEdit.text = self._connection.token
        ui.urlEdit.connect("textChanged(QString)", self._edited)
        ui.tokenEdit.connect("textChanged(QString)", self._edited)
        ui.urlEdit.connect("returnPressed()", self.connect_server)
        ui.tokenEdit.connect("returnPressed()", self.connect_server)
        ui.connectButton.connect("clicked()", self.connect_server)
        self._say(_("Not connected."))

    @property
    def url(self) -> str:
        return str(self.ui.urlEdit.text).strip()

    def propose(self, url: str) -> None:
        """Take an address that came with a scene, unless this computer has a server of its own already.

        Otherwise a scene from elsewhere could redirect images, and the token, to another server. A panel that is opened
        while others are connected connects too.
        """
        if url and not slicer.util.settingsValue(SETTING, "") and self._connection.url is None:
            self.ui.urlEdit.text = url
        if self.server is None and self._connection.client is not None:
            self.follow_connected()

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
        self._say(_("Connecting to {url} …").format(url=self.url))
        self._task = self._tasks.start(lambda stop, progress: self._ask(client, stop), self._connected, self._failed)
        self._changed()

    def lost(self, error: ServerError) -> None:
        """Somebody else got an error; one after which a connection is none any more ends it."""
        if error.kind in LOST:
            self._failed(error)

    def close(self) -> None:
        """The panel goes; the connection stays for the others."""
        self._connection.part(self)

    def follow_text(self, url: str, token: str) -> None:
        """Another address or token was written in another panel."""
        for edit, text in ((self.ui.urlEdit, url), (self.ui.tokenEdit, token)):
            edit.blockSignals(True)
            edit.text = text
            edit.blockSignals(False)
        self._disconnect()

    def follow_connected(self) -> None:
        """Another panel has connected: connect too."""
        if not self.connecting:
            self._follows = True
            self.connect_server()

    def follow_lost(self, error: ServerError) -> None:
        """Another panel has lost the connection."""
        if self.server is not None:
            self._show_failure(error)

    def forget_plans(self) -> None:
        """Whatever was to happen after connecting shall not happen any more."""
        self._then = self._otherwise = None

    def refresh(self) -> None:
        """Enable what can be used."""
        usable = bool(self.url) and not self.connecting
        self.ui.connectButton.enabled = usable
        self.ui.connectButton.text = _("&Connect") if self.server is None else _("Re&connect")
        if self.connecting:
            self.ui.connectButton.toolTip = _("The server has been asked; waiting for its answer.")
        elif usable:
            hint = _("Ask the server which models and data it has; all panels are connected with this one.")
            self.ui.connectButton.toolTip = with_keys(self.ui.connectButton, hint)
        else:
            self.ui.connectButton.toolTip = _("Type the address of the server first.")

    def _edited(self, _text: str) -> None:
        """What is connected is not what is written any more."""
        self._connection.edited(self, self.url, self.ui.tokenEdit.text)
        self._disconnect()

    def _disconnect(self) -> None:
        self._follows = False
        if self._task is not None:
            self._tasks.drop(self._task)
            self._task = None
            self._give_up()
        self.server = None
        self._say(_("Not connected."))
        self._changed()

    def _connected(self, server: S) -> None:
        self._task = None
        self.server = server
        follows, self._follows = self._follows, False
        qt.QSettings().setValue(SETTING, self.url)
        self.ui.serverSection.text = _("Server – connected to {name}").format(name=self.url.split("://")[-1])
        self.ui.serverSection.collapsed = True
        known = _("{coloured} (version {version})").format(
            coloured=coloured(_("Connected"), GOOD), version=escape(server.catalogue.version)
        )
        self.ui.serverState.text = f"{known}: {escape(self._found(server))}."
        then = self._then
        self.forget_plans()
        self._changed()
        if not follows:
            self._connection.connected(self, server.client, self.url, self.ui.tokenEdit.text)
        if then is not None:
            then()

    def _failed(self, error: BaseException) -> None:
        self._task, self._follows = None, False
        self._show_failure(error)
        if not isinstance(error, ServerError):
            raise error
        if error.kind in LOST:
            self._connection.lost(self, error)

    def _show_failure(self, error: BaseException) -> None:
        self.server = None
        message = str(error) if isinstance(error, ServerError) else _("Unexpected fault: {error!r}").format(error=error)
        self.ui.serverSection.text = _("Server – not connected")
        self.ui.serverSection.collapsed = False
        self.ui.serverState.text = f"{coloured(_('Not connected'), BAD)}: {escape(message)}"
        self._give_up()
        self._changed()

    def _give_up(self) -> None:
        otherwise = self._otherwise
        self.forget_plans()
        if otherwise is not None:
            otherwise()

    def _say(self, text: str) -> None:
        self.ui.serverSection.text = _("Server")
        self.ui.serverState.text = escape(text)
