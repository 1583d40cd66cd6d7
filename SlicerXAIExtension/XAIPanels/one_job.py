"""A panel's one job at a time: progress, stopping, and what came of it in words. The job tray knows it too."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from slicer.i18n import tr as _
from XAILib.errors import ServerError, Stopped
from XAILib.tray_entry import Entry

from .errors import SceneError
from .job_state import JobState
from .job_tray_home import About, home
from .task_list import Task, TaskList
from .turns import Turns

IN_BACKGROUND = _("It goes on in the background; “Jobs” below shows how far it is, and opens what comes of it.")


class OneJob:
    """Runs work and says how it is.

    Args:
        lost: called with every error of the server.
        changed: called whenever the job has begun, is to stop, or has ended.
        cancelled: what to say when it was stopped, unless `cancel` says something else.
    """

    def __init__(
        self,
        tasks: TaskList,
        state: JobState,
        lost: Callable[[ServerError], None],
        changed: Callable[[], None],
        cancelled: str,
    ) -> None:
        self._tasks = tasks
        self._state = state
        self._lost = lost
        self._changed = changed
        self._cancelled = cancelled
        self._task: Task | None = None
        self._turns = Turns(tasks)
        self._entry: Entry | None = None
        self._begun: list[str] = []
        self._ended_because = ""

    @property
    def running(self) -> bool:
        """Whether it is computed, or what came of it is being put into the scene."""
        return self._task is not None or self._turns.active

    @property
    def stopping(self) -> bool:
        """It was asked to stop, and has not ended yet."""
        return self.running and bool(self._ended_because)

    def start(self, work: Callable[..., Any], done: Callable[[Any], Any], about: About | None = None) -> None:
        """Run `work(stop, progress)`; `done` gets its result unless it was stopped meanwhile.

        Args:
            done: returns the node that the result became, or None; as a generator, step by step, see `turns`.
            about: what the job tray says of it; without it the tray does not have it, and it ends with the panel.
        """
        self._ended_because = ""
        self._entry = None
        if about is not None:
            work = self._in_the_tray(work, about)
        self._state.progress(0.0, "starting", None)
        self._task = self._tasks.start(work, lambda result: self._done(done, result), self._failed, self._progress)
        self._changed()

    def cancel(self, because: str = "") -> None:
        """Stop it, here and on the server; too late for one whose result is being put into the scene."""
        if self._task is None:
            return
        self._ended_because = because or self._cancelled
        self._state.progress(0.0, "cancelling", None)
        self._task.cancel()
        self._changed()

    def leave(self, because: str = IN_BACKGROUND, otherwise: str = "") -> None:
        """Wait for it no longer; it goes on in the tray. One that the tray does not have is cancelled.

        Args:
            because, otherwise: what to say when it goes on, and when it is cancelled.
        """
        self.drop(because)
        if self._task is None:
            return
        if self._entry is None or self.stopping:
            self.cancel(otherwise)
            return
        task, self._task = self._task, None
        self._tasks.leave(task)
        self._attend(False)
        self._state.say(because)
        self._changed()

    def drop(self, because: str) -> None:
        """Put no more of what came into the scene, and say why."""
        if self._turns.active:
            self._turns.drop()
            self._state.say(because)
            self._changed()

    def close(self) -> None:
        """The panel goes, and soon its tasks; a job that the tray has goes on."""
        self._turns.drop()
        task, self._task = self._task, None
        if task is not None and self._entry is not None and not self._ended_because:
            self._tasks.leave(task)
        if self._begun:
            home().forget(self._begun)

    def _in_the_tray(self, work: Callable[..., Any], about: About) -> Callable[..., Any]:
        shared = home()
        client = shared.connection.client
        entry = self._entry = about.entry(client.url if client is not None else "")
        self._begun.append(entry.id)
        shared.tray.add(entry)
        shared.remember(entry, about)
        self._attend(True)
        shared.look()
        return lambda stop, progress: shared.tray.run(entry, work, stop, progress)

    def _attend(self, waits: bool) -> None:
        """Tell the tray whether this panel waits for its job."""
        if self._entry is not None:
            home().attends(self._entry, self if waits else None)

    def _progress(self, fraction: float, message: str, eta: float | None) -> None:
        if self.running and not self.stopping:
            self._state.progress(fraction, message, eta)

    def _done(self, done: Callable[[Any], Any], result: Any) -> None:
        self._task = None
        self._attend(False)
        entry = self._entry
        if self._ended_because:  # it was finished just before it could be stopped: what the user wanted counts
            self._state.say(self._ended_because)
            self._changed()
            return
        found = done(result)
        if isinstance(found, Generator):
            self._turns.take(found, lambda node: self._shown(entry, node))
        else:
            self._shown(entry, found)

    def _shown(self, entry: Entry | None, node: Any) -> None:
        if entry is not None and node is not None:
            home().opened(entry, node)
        self._changed()

    def _failed(self, error: BaseException) -> None:
        self._task = None
        self._attend(False)
        if isinstance(error, Stopped):
            self._state.say(self._ended_because or self._cancelled)
        elif isinstance(error, ServerError):
            self._state.fail(str(error))
            self._lost(error)
        elif isinstance(error, SceneError):
            self._state.fail(str(error))
        else:
            self._state.fail(_("unexpected fault: {error!r}. Please report it.").format(error=error))
        self._changed()
        if not isinstance(error, (Stopped, ServerError, SceneError)):
            raise error
