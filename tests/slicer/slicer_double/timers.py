"""Which timers run; `QTimer.singleShot` is a static function and, read from an object, a property."""

from __future__ import annotations

import weakref
from typing import Any

import shiboken6
from PySide6 import QtCore, QtWidgets

_created: weakref.WeakSet[QtCore.QTimer] = weakref.WeakSet()
_original_init = QtCore.QTimer.__init__
pending: dict[int, tuple[QtCore.QTimer, str]] = {}


def _single_shot(milliseconds: int, target: Any) -> None:
    if not callable(target):
        raise TypeError("singleShot takes milliseconds and a callable")
    timer = QtCore.QTimer()
    timer.setSingleShot(True)

    def fire() -> None:
        pending.pop(id(timer), None)
        target()

    timer.timeout.connect(fire)
    pending[id(timer)] = timer, f"QTimer.singleShot({milliseconds}, {getattr(target, '__qualname__', target)})"
    timer.start(milliseconds)


class _SingleShot:
    def __get__(self, timer: Any, owner: type) -> Any:
        return _single_shot if timer is None else timer.isSingleShot()

    def __set__(self, timer: Any, value: bool) -> None:
        timer.setSingleShot(value)


def _init(self: QtCore.QTimer, *arguments: Any, **options: Any) -> None:
    _original_init(self, *arguments, **options)
    _created.add(self)


def watch_timers() -> None:
    """From now on `active_timers` and `take_pending` know what was started from Python."""
    QtCore.QTimer.__init__ = _init
    QtCore.QTimer.singleShot = _SingleShot()


def active_timers() -> list[QtCore.QTimer]:
    """Running timers made in Python, and those that belong to a window."""
    timers = {id(timer): timer for timer in _created}
    for window in QtWidgets.QApplication.topLevelWidgets():
        timers |= {id(timer): timer for timer in window.findChildren(QtCore.QTimer)}
    return [timer for timer in timers.values() if shiboken6.isValid(timer) and timer.isActive()]


def take_pending() -> list[str]:
    """Cancel the single shots that have not fired and say what they were."""
    left = list(pending.values())
    pending.clear()
    for timer, _ in left:
        timer.stop()
    return [text for _, text in left]
