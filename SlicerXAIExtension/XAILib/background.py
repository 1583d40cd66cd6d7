"""Work in a thread of its own, whose messages are fetched by whoever may not block. Knows nothing of Qt."""

from __future__ import annotations

import queue
import threading
import traceback
from dataclasses import dataclass
from typing import Any, Callable, Union

from .client import OnProgress
from .i18n import tr as _
from .stopping import Stop


@dataclass(frozen=True)
class Progress:
    """Work goes on: share done in [0, 1], what is done now, seconds left (None while unknown)."""

    fraction: float
    message: str
    eta: float | None


@dataclass(frozen=True)
class Done:
    """The function returned."""

    value: Any


@dataclass(frozen=True)
class Failed:
    """The function raised; `Stopped` after a cancel.

    Attributes:
        error: what it raised.
        details: the traceback, for a log.
    """

    error: BaseException
    details: str

    @property
    def message(self) -> str:
        return str(self.error) or type(self.error).__name__


Message = Union[Progress, Done, Failed]
Function = Callable[[threading.Event, OnProgress], Any]


class Background:
    """One piece of work at a time. Every start ends with exactly one `Done` or `Failed`, unless it is closed."""

    def __init__(self) -> None:
        self._run: _Run | None = None

    @property
    def running(self) -> bool:
        return self._run is not None and self._run.thread.is_alive()

    def start(self, function: Function) -> None:
        """Call `function(stop, progress)` in a daemon thread. Raises `RuntimeError` while another one runs."""
        if self.running:
            msg = _("other work is still running; cancel it and wait for its end first")
            raise RuntimeError(msg)
        self._run = _Run(function)

    def poll(self) -> list[Message]:
        """What happened since the last call, oldest first; of progress only the newest."""
        return [] if self._run is None else self._run.messages()

    def cancel(self) -> None:
        """Ask the work to stop; its end is told by `poll`."""
        if self._run is not None:
            self._run.stop.set()

    def leave(self) -> None:
        """Forget the work; it ends by itself as soon as the server has its job, which goes on there."""
        run, self._run = self._run, None
        if run is not None:
            run.stop.leave()

    def close(self, timeout: float = 2.0) -> bool:
        """Ask it to stop, wait so many seconds at most, and forget it; whether it has ended.

        A thread that is still running ends by itself; nothing of it is heard any more.
        """
        run, self._run = self._run, None
        if run is None:
            return True
        run.stop.set()
        run.thread.join(timeout)
        return not run.thread.is_alive()


class _Run:
    """A function in its thread."""

    def __init__(self, function: Function) -> None:
        self.stop = Stop()
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, args=(function,), name="XAILib background", daemon=True)
        self.thread.start()

    def messages(self) -> list[Message]:
        found: list[Message] = []
        while not self._queue.empty():
            message = self._queue.get()
            if found and isinstance(message, Progress):
                found.pop()
            found.append(message)
        return found

    def _work(self, function: Function) -> None:
        try:
            value = function(self.stop, self._progress)
        except BaseException as error:
            self._queue.put(Failed(error, traceback.format_exc()))
        else:
            self._queue.put(Done(value))

    def _progress(self, fraction: float, message: str, eta: float | None = None) -> None:
        self._queue.put(Progress(fraction, message, eta))
