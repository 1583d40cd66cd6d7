"""Work in the background whose messages arrive in the page's event loop, where MRML may be used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from trame_server.utils.asynchronous import get_event_loop
from XAIPanels.task_list import TaskList

log = logging.getLogger(__name__)


class LoopTimer:
    """Calls a function in the event loop, and sends what it changed to the page."""

    def __init__(self, state: Any, milliseconds: int, function: Callable[[], None], once: bool) -> None:
        self._state = state
        self._seconds = milliseconds / 1000
        self._function = function
        self._once = once
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, or begin anew."""
        self.stop()
        self._handle = get_event_loop().call_later(self._seconds, self._fire)

    def stop(self) -> None:
        """The function is not called any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        if not self._once:
            self.start()
        try:
            with self._state:
                self._function()
        except Exception:
            log.exception("a function of the page failed")


class LoopTasks(TaskList):
    """All work of a page."""

    def __init__(self, state: Any) -> None:
        self._state = state
        super().__init__()

    def timer(self, milliseconds: int, function: Callable[[], None], once: bool = False) -> LoopTimer:
        return LoopTimer(self._state, milliseconds, function, once)
