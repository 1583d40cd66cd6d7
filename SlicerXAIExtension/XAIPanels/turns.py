"""What takes long on the main thread, step by step: one in each turn of the window's loop. Knows no Qt and no MRML."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from .task_list import TaskList

Steps = Generator[Any, None, Any]
"""Does something up to each `yield`; the window answers in between. Closed before its end, it goes no further."""
T = TypeVar("T")


def taken_at_once(steps: Generator[Any, None, T]) -> T:
    """Take all steps without a turn in between; returns what the generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Turns:
    """Takes the steps of one generator at a time."""

    def __init__(self, tasks: TaskList) -> None:
        self._steps: Steps | None = None
        self._ended: Callable[[Any], None] = _nothing
        self._timer = tasks.timer(0, self._take_one)

    @property
    def active(self) -> bool:
        """Whether there are steps left."""
        return self._steps is not None

    def take(self, steps: Steps, ended: Callable[[Any], None]) -> None:
        """Take all steps, from the next turn on; `ended` gets what the generator returns."""
        self.drop()
        self._steps, self._ended = steps, ended
        self._timer.start()

    def drop(self) -> None:
        """Take no more of them."""
        self._timer.stop()
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()

    def _take_one(self) -> None:
        steps = self._steps
        if steps is None:
            self._timer.stop()
            return
        try:
            next(steps)
        except StopIteration as end:
            self._forget()
            self._ended(end.value)
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        self._timer.stop()
        self._steps = None


def _nothing(_: Any) -> None:
    """Nobody waits."""
