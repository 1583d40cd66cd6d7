"""Work in the background whose messages are fetched where Qt and MRML may be used. Knows neither of them.

Slicer's panels ask with Qt's timers (`tasks`), a page in a browser with those of its event loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from XAILib.background import Background, Done, Failed, Progress

POLL_MS = 100
END_SECONDS = 0.05
"""How long the window may wait for a thread whose last message was heard."""

OnProgress = Callable[[float, str, Any], None]


class Timer(Protocol):
    """Calls a function later; as a QTimer does, `start` while it runs begins anew."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass
class Task:
    """One piece of work and who wants to hear of it."""

    done: Callable[[Any], None]
    failed: Callable[[BaseException], None]
    progress: OnProgress | None = None
    background: Background = field(default_factory=Background)

    def cancel(self) -> None:
        """Ask it to stop; `failed` hears of it when it has."""
        self.background.cancel()


class TaskList(ABC):
    """All work of a panel; the timer runs only while there is some."""

    def __init__(self) -> None:
        self._running: list[Task] = []
        self._timer = self.timer(POLL_MS, self._poll)

    @abstractmethod
    def timer(self, milliseconds: int, function: Callable[[], None], once: bool = False) -> Timer:
        """A timer that is not started yet; on the main thread.

        Args:
            once: call the function once after each start, not again and again.
        """

    def start(
        self,
        function: Callable[..., Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        progress: OnProgress | None = None,
    ) -> Task:
        """Run `function(stop, progress)` in a thread; exactly one of `done` and `failed` is called at the end."""
        task = Task(done, failed, progress)
        self._running.append(task)
        task.background.start(function)
        self._timer.start()
        return task

    def drop(self, task: Task) -> None:
        """Ask it to stop, and hear nothing of it any more."""
        if task in self._running:
            task.done, task.failed, task.progress = _nothing, _nothing, None
            task.cancel()

    def leave(self, task: Task) -> None:
        """Hear nothing of it any more; what it does on the server goes on there."""
        if task in self._running:
            self._running.remove(task)
            task.background.leave()

    def close(self) -> None:
        """Stop everything; nothing is called afterwards.

        A thread that still waits for the server is left to end by itself; it touches neither Qt nor MRML.
        """
        self._timer.stop()
        running, self._running = self._running, []
        for task in running:
            task.background.close(0)

    def _poll(self) -> None:
        for task in list(self._running):
            for message in task.background.poll():
                self._deliver(task, message)
        if not self._running:
            self._timer.stop()

    def _deliver(self, task: Task, message: Any) -> None:
        if task not in self._running:  # closed by an earlier message
            return
        if isinstance(message, Progress):
            if task.progress is not None:
                task.progress(message.fraction, message.message, message.eta)
            return
        self._running.remove(task)
        task.background.close(END_SECONDS)
        if isinstance(message, Done):
            task.done(message.value)
        elif isinstance(message, Failed):
            task.failed(message.error)


def _nothing(_: Any) -> None:
    """A dropped task interests nobody."""
