"""Work in the background whose messages arrive on Qt's main thread, where Qt and MRML may be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

from .task_list import Task, TaskList

__all__ = ["Task", "Tasks"]


class Tasks(TaskList):
    """All work of a panel of Slicer."""

    def timer(self, milliseconds: int, function: Callable[[], None], once: bool = False) -> Any:
        timer = qt.QTimer()
        timer.interval = milliseconds
        timer.singleShot = once
        timer.connect("timeout()", function)
        return timer
