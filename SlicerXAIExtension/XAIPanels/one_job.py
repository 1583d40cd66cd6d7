"""A panel's one job at a time: progress, stopping, and what came of it in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from XAILib.errors import ServerError, Stopped

from .errors import SceneError
from .job_state import JobState
from .tasks import Task, Tasks


class OneJob:
    """Runs work and says how it is.

    Args:
        lost: called with every error of the server.
        changed: called whenever the job has begun, is to stop, or has ended.
        cancelled: what to say when it was stopped, unless `cancel` says something else.
    """

    def __init__(
        self,
        tasks: Tasks,
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
        self._ended_because = ""

    @property
    def running(self) -> bool:
        return self._task is not None

    @property
    def stopping(self) -> bool:
        """It was asked to stop, and has not ended yet."""
        return self.running and bool(self._ended_because)

    def start(self, work: Callable[..., Any], done: Callable[[Any], None]) -> None:
        """Run `work(stop, progress)`; `done` gets its result unless it was stopped meanwhile."""
        self._ended_because = ""
        self._state.progress(0.0, "starting", None)
        self._task = self._tasks.start(work, lambda result: self._done(done, result), self._failed, self._progress)
        self._changed()

    def cancel(self, because: str = "") -> None:
        """Stop it, here and on the server."""
        if self._task is None:
            return
        self._ended_because = because or self._cancelled
        self._state.progress(0.0, "cancelling", None)
        self._task.cancel()
        self._changed()

    def close(self) -> None:
        """The panel goes; its tasks are closed elsewhere."""
        self._task = None

    def _progress(self, fraction: float, message: str, eta: float | None) -> None:
        if self.running and not self.stopping:
            self._state.progress(fraction, message, eta)

    def _done(self, done: Callable[[Any], None], result: Any) -> None:
        self._task = None
        if self._ended_because:  # it was finished just before it could be stopped: what the user wanted counts
            self._state.say(self._ended_because)
        else:
            done(result)
        self._changed()

    def _failed(self, error: BaseException) -> None:
        self._task = None
        if isinstance(error, Stopped):
            self._state.say(self._ended_because or self._cancelled)
        elif isinstance(error, ServerError):
            self._state.fail(str(error))
            self._lost(error)
        elif isinstance(error, SceneError):
            self._state.fail(str(error))
        else:
            self._state.fail(f"unexpected fault: {error!r}. Please report it.")
        self._changed()
        if not isinstance(error, (Stopped, ServerError, SceneError)):
            raise error
