"""What all panels share: the connection and the job tray. There is one while any panel is open. Knows nothing of Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _
from XAILib.errors import ServerError
from XAILib.tray import Tray
from XAILib.tray_entry import Entry

from .connection import Connection
from .job_tray_node import JobTrayNode
from .task_list import TaskList

LOOK_MS = 250
ASK_EVERY = 4
"""Times that the tray is looked at before the server is asked again."""
BUSY = _("Its module is busy with another job; put that in the background, or wait for it.")
NO_MODULE = _("No module of this Slicer shows results of “{title}”.")
NOT_CONNECTED = _("Connect to {server} to fetch this result.")
MODULES = {
    "saliency": "XAISaliency",
    "quality": "XAISaliency",
    "counterfactual": "XAICounterfactual",
    "property": "XAICounterfactual",
    "shift": "XAIShift",
}
"""The module that shows the results of a method."""
ANY_METHOD = "XAIMethods"
"""The module for all others."""


@dataclass(frozen=True)
class About:
    """What the tray says of a job, and does with it.

    Attributes:
        method, title: of the server, and for people.
        image: its name, for people.
        volume: the node that is asked about, or None.
        again: asks once more; returns nothing.
        module: the one that asked, where it is not the one that is found by the method.
    """

    method: str
    title: str
    image: str
    volume: Any = None
    again: Callable[[], None] | None = None
    module: str = ""

    def entry(self, server: str) -> Entry:
        """A new line of the tray."""
        return Entry(self.method, self.title, self.image, server=server)


class Attending(Protocol):
    """A panel that waits for a job."""

    def cancel(self) -> None: ...

    def leave(self) -> None: ...


class Home:
    """Follows the jobs that nobody waits for, and keeps them in the scene.

    Args:
        tasks: for work in the background; gives the timers.

    Attributes:
        said: what became of the last thing that was asked of the tray; empty when it succeeded.
    """

    def __init__(self, tasks: TaskList) -> None:
        self.connection = Connection()
        self.tray = Tray(self.connection.client_for)
        self.said = ""
        self._members: list[Any] = []
        self._again: dict[str, Callable[[], None]] = {}
        self._modules: dict[str, str] = {}
        self._attending: dict[str, Attending] = {}
        self._tasks = tasks
        self._asking = False
        self._seen = -1
        self._looks = 0
        self._node = JobTrayNode(slicer.mrmlScene)
        self.tray.from_text(self._node.text)
        self._timer = tasks.timer(LOOK_MS, self.look)

    # --- who is there ------------------------------------------------------------------------------------------------

    def join(self, member: Any) -> None:
        """A panel is open; its `follow_jobs` is called whenever the tray has changed."""
        self._members.append(member)
        self._timer.start()
        self._name_images()
        member.follow_jobs()

    def part(self, member: Any) -> bool:
        """A panel was closed. Returns whether it was the last one: then everything ends here."""
        self._members = [one for one in self._members if one is not member]
        if self._members:
            return False
        self._timer.stop()
        self.tray.close()
        self._keep()
        self._tasks.close()
        return True

    # --- the scene ---------------------------------------------------------------------------------------------------

    def scene_replaced(self) -> None:
        """The scene was closed, or another one loaded: jobs go on, those of the new scene come too."""
        self._node = JobTrayNode(slicer.mrmlScene)
        self._again.clear()
        self.tray.from_text(self._node.text)
        self._name_images()
        self._keep()
        self.look()

    def _name_images(self) -> None:
        """Names are not saved with the jobs; the volumes of the scene have them."""
        for entry in self.tray.entries:
            volume = self._node.image(entry.id)
            if volume is not None and not entry.image:
                self.tray.update(entry.id, image=str(volume.GetName()))

    def _keep(self) -> None:
        self._node.text = self.tray.to_text()

    # --- jobs --------------------------------------------------------------------------------------------------------

    def remember(self, entry: Entry, about: About) -> None:
        """Keep what a job was asked of, and how to ask again."""
        if about.volume is not None:
            self._node.refer_image(entry.id, about.volume)
        if about.again is not None:
            self._again[entry.id] = about.again
        if about.module:
            self._modules[entry.id] = about.module

    def opened(self, entry: Entry, node: Any) -> None:
        """Keep the node that a job was opened as."""
        self._node.refer_result(entry.id, node)

    def attends(self, entry: Entry, job: Attending | None) -> None:
        """Somebody waits for a job now; None when nobody does any more."""
        if job is not None:
            self._attending[entry.id] = job
        else:
            self._attending.pop(entry.id, None)

    def forget(self, entries: Iterable[str]) -> None:
        """A panel was closed; nothing of it can be asked again there."""
        for entry in entries:
            self._again.pop(entry, None)
            self._attending.pop(entry, None)

    def image(self, entry: Entry) -> Any:
        """The volume that a job was asked of; None when it is not in the scene."""
        return self._node.image(entry.id)

    def look(self) -> None:
        """Show and keep what has changed; ask the server from time to time."""
        self._looks += 1
        if self.tray.version != self._seen:
            self._seen = self.tray.version
            self._keep()
            for member in list(self._members):
                member.follow_jobs()
        if self._looks % ASK_EVERY == 0 and not self._asking and self.tray.unattended:
            self._asking = True
            self._tasks.start(lambda _stop, _progress: self.tray.poll(), self._asked, self._not_asked)

    def say(self, text: str) -> None:
        """A sentence below the tray."""
        self.said = text
        for member in self._members:
            member.follow_jobs()

    def attended(self, entry: Entry) -> bool:
        """Whether a panel waits for a job."""
        return entry.id in self._attending

    def cancel(self, entry: Entry) -> None:
        """Stop a job, here and on the server."""
        attending = self._attending.get(entry.id)
        if attending is not None:
            attending.cancel()
        else:
            self._do(lambda: self.tray.cancel(entry.id))

    def leave(self, entry: Entry) -> None:
        """No panel waits for a job any more; it goes on."""
        attending = self._attending.get(entry.id)
        if attending is not None:
            attending.leave()
        self.look()

    def retry(self, entry: Entry) -> None:
        """Ask again: in its module where that is possible, else the server."""
        again = self._again.get(entry.id)
        if again is None:
            self._do(lambda: self.tray.retry(entry.id))
            return
        if go_to(entry.method, self._modules.get(entry.id, "")) is not None:
            self.tray.remove(entry.id)
            again()
            self.look()

    def open(self, entry: Entry) -> None:
        """Go to the module of a result and show it there; what is not in the scene is fetched."""
        node = self._node.result(entry.id)
        panel = go_to(entry.method, self._modules.get(entry.id, "") or module_of(node))
        if panel is None or not hasattr(panel, "open_job"):
            self.say(NO_MODULE.format(title=entry.title))
            return
        if node is not None:
            panel.show(node)
            self.say("")
        elif self.tray.reached(entry) is None:
            self.say(NOT_CONNECTED.format(server=entry.server))
        elif panel.job.running:
            self.say(BUSY)
        else:
            self.say("")
            panel.open_job(entry, self._node.image(entry.id))

    def _do(self, work: Callable[[], None]) -> None:
        self.say("")
        self._tasks.start(lambda _stop, _progress: work(), lambda _done: self.look(), self._failed)

    def _failed(self, error: BaseException) -> None:
        self.say(str(error))
        self.look()
        if not isinstance(error, ServerError):
            raise error

    def _asked(self, _unused: Any) -> None:
        self._asking = False
        self.look()

    def _not_asked(self, error: BaseException) -> None:
        self._asking = False
        raise error


_homes: list[Home] = []
_tasks: list[Callable[[], TaskList]] = []


def use_tasks(make: Callable[[], TaskList]) -> None:
    """How the application, Slicer or a page in a browser, waits for work in the background; to be called first."""
    _tasks[:] = [make]


def home() -> Home:
    """The one of this application; made by whoever asks first."""
    if not _homes:
        _homes.append(Home(_tasks[0]()))
    return _homes[0]


def leave_home(member: Any) -> None:
    """A panel was closed; with the last one, everything that is shared ends."""
    if home().part(member):
        _homes.clear()


def module_of(node: Any) -> str:
    """The module for any method where a result node is its own; else empty."""
    own = node is not None and node.GetAttribute("ModuleName") == f"{ANY_METHOD}Result"
    return ANY_METHOD if own else ""


def go_to(method: str, module: str = "") -> Any:
    """Show the module, and its tab, for the results of a method, and return the panel; None where there is none.

    Args:
        module: instead of the one that is found by the method.
    """
    name = module or MODULES.get(method, ANY_METHOD)
    if getattr(slicer.modules, name.lower(), None) is None:
        return None
    slicer.util.selectModule(name)
    widget = getattr(slicer.modules, f"{name}Widget", None)
    panel: Any = widget.panel if widget is not None else None
    return panel.panel_of(method) if hasattr(panel, "panel_of") else panel
