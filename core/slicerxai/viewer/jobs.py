"""The job tray of the page: what runs, waits, is finished or failed. Its model is the extension's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from XAILib.client import OnProgress
from XAILib.errors import ServerError, Stopped
from XAILib.stopping import Stop
from XAILib.tray import Tray
from XAILib.tray_entry import FINISHED, Entry
from XAIPanels.errors import SceneError
from XAIPanels.job_tray_node import JobTrayNode
from XAIPanels.words import duration, sentence, time_left

from slicerxai.viewer.application import Application
from slicerxai.viewer.connection import Connection
from slicerxai.viewer.loop_tasks import LoopTasks
from slicerxai.viewer.messages import Messages

LOOK_MS = 250
"""How often the page looks whether the tray has changed."""
ASK_MS = 1000
"""How often the server is asked for jobs that nobody here waits for."""
REPORT = "report"
"""Begin of the addresses of reports, in the page."""

Work = Callable[[Stop, OnProgress], Any]


class Jobs:
    """Runs work for the sections and shows all of it.

    Attributes:
        tray: the model.
        openers: by method, called with the id of a finished job's entry to show its result again.
    """

    def __init__(self, state: Any, application: Application, tasks: LoopTasks, connection: Connection) -> None:
        self.tray = Tray(connection.client_for)
        self.openers: dict[str, Callable[[str], None]] = {}
        self._state = state
        self._scene = application.scene
        self._tasks = tasks
        self._connection = connection
        self._version = -1
        self._asking = False
        self._said = Messages(state, "jobs")
        state.update({"jobs": [], "jobs_can_undo": False})
        self._timers = [tasks.timer(LOOK_MS, self._look), tasks.timer(ASK_MS, self._ask)]

    def start(self) -> None:
        """Look after the tray from now on."""
        for timer in self._timers:
            timer.start()

    @property
    def node(self) -> JobTrayNode:
        """What the scene keeps of the tray: which image and result belongs to which job."""
        return JobTrayNode(self._scene)

    def restore(self) -> None:
        """A scene was opened: its jobs come to those that are there."""
        self.tray.from_text(self.node.text)
        for entry in self.tray.entries:
            volume = self.node.image(entry.id)
            if volume is not None and not entry.image:
                self.tray.update(entry.id, image=str(volume.GetName()))
        self._look()

    def report_of(self, result: Any) -> str:
        """Where the page finds the report of a result; empty where there is none."""
        entries = (entry for entry in self.tray.entries if self.node.result(entry.id) is result)
        found = next(entries, None)
        return f"{REPORT}/{found.id}" if found is not None and found.job else ""

    def close(self) -> None:
        """Nobody looks any more; what a server has goes on there."""
        for timer in self._timers:
            timer.stop()
        self.tray.close()

    def run(self, entry: Entry, work: Work, done: Callable[[Any], None], messages: Messages, stopped: str) -> None:
        """Do work in a thread, shown in the tray and by `messages`.

        Args:
            done: called with what the work returned.
            stopped: what to say when it was cancelled.
        """

        def failed(error: BaseException) -> None:
            if isinstance(error, Stopped):
                messages.say(stopped)
            elif isinstance(error, (ServerError, SceneError)):
                messages.fail(str(error))
                self._connection.lost(error)
            else:
                messages.fail(f"Unexpected fault: {error!r}. Please report it.")

        messages.progress(0.0, "starting", None)
        self._tasks.start(
            lambda stop, progress: self.tray.run(entry, work, stop, progress), done, failed, messages.progress
        )

    def cancel(self, identifier: str) -> None:
        """Stop a job, here and on the server."""
        self._tasks.start(lambda stop, progress: self.tray.cancel(identifier), lambda _: None, self._failed)

    def retry(self, identifier: str) -> None:
        """Ask the server again."""
        self._tasks.start(lambda stop, progress: self.tray.retry(identifier), lambda _: None, self._failed)

    def remove(self, identifier: str) -> None:
        self.tray.remove(identifier)
        self._look()

    def clear(self) -> None:
        """Take off everything that has ended."""
        self.tray.clear()
        self._look()

    def undo(self) -> None:
        """Bring back what was removed last."""
        self.tray.undo()
        self._look()

    def open(self, identifier: str) -> None:
        """Show the result of a finished job."""
        entry = self.tray.entry(identifier)
        if entry is not None and entry.state == FINISHED and entry.method in self.openers:
            self.openers[entry.method](identifier)

    def _failed(self, error: BaseException) -> None:
        self._said.fail(str(error))
        self._connection.lost(error)

    def _look(self) -> None:
        if self.tray.version != self._version:
            self._version = self.tray.version
            self.node.text = self.tray.to_text()
            rows = [self._row(entry) for entry in self.tray.entries]
            self._state.update({"jobs": rows, "jobs_can_undo": self.tray.can_undo})

    def _ask(self) -> None:
        if self._asking or not self.tray.unattended:
            return
        self._asking = True

        def asked(_: Any) -> None:
            self._asking = False

        self._tasks.start(lambda stop, progress: self.tray.poll(), asked, asked)

    def _row(self, entry: Entry) -> dict[str, Any]:
        """What the page shows of an entry."""
        left = time_left(entry.eta) if entry.active else ""
        words = " – ".join(filter(None, (sentence(entry.message), left)))
        seconds = (entry.ended or time.time()) - entry.created
        return {
            "id": entry.id,
            "title": entry.title,
            "image": entry.image,
            "state": entry.state,
            "active": entry.active,
            "percent": round(100 * entry.fraction),
            "words": words if entry.active or entry.message else f"in {duration(seconds)}",
            "openable": entry.state == FINISHED and entry.method in self.openers,
            "report": _report(entry),
        }


def _report(entry: Entry) -> str:
    """Of the page; see `Reports`."""
    return f"{REPORT}/{entry.id}" if entry.job and entry.state == FINISHED else ""
