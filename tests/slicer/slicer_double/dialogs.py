"""Dialogs would block an offscreen run: they are recorded on `slicer.app.recorded` and answered from `answers`."""

from __future__ import annotations

from typing import Any

import slicer.util
from PySide6 import QtGui, QtWidgets

from .application import Message


def _message_box(text: str, parent: Any = None, **options: Any) -> Any:
    """In place of `slicer.util.messageBox`, which every …Display function of `slicer.util` ends in."""
    recorded = slicer.app.recorded
    buttons = options.get("standardButtons", QtWidgets.QMessageBox.StandardButton.Ok)
    recorded.messages.append(Message(text, options.get("windowTitle", ""), options.get("icon"), buttons))
    if recorded.answers:
        return recorded.answers.popleft()
    kinds = QtWidgets.QMessageBox.StandardButton
    return next(kind for kind in (kinds.Ok, kinds.Yes, kinds.Close) if kind & buttons)


def _answer(name: str) -> Any:
    def ask(*_arguments: Any, **_options: Any) -> Any:
        if not slicer.app.recorded.answers:
            raise AssertionError(f"{name} would wait for the user; put the answer into slicer.app.recorded.answers")
        return slicer.app.recorded.answers.popleft()

    return ask


def record_instead_of_showing() -> None:
    """Replace everything that opens a modal window or another program."""
    slicer.util.messageBox = _message_box
    for cls in (QtWidgets.QDialog, QtWidgets.QMessageBox, QtWidgets.QFileDialog, QtWidgets.QMenu):
        for name in ("exec", "exec_"):
            setattr(cls, name, _answer(f"{cls.__name__}.{name}"))
    statics = {
        QtWidgets.QMessageBox: ("question", "information", "warning", "critical"),
        QtWidgets.QFileDialog: ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"),
        QtWidgets.QInputDialog: ("getText", "getInt", "getDouble", "getItem"),
    }
    for cls, names in statics.items():
        for name in names:
            setattr(cls, name, staticmethod(_answer(f"{cls.__name__}.{name}")))

    def open_url(url: Any) -> bool:
        slicer.app.recorded.opened_urls.append(url.toString())
        return True

    QtGui.QDesktopServices.openUrl = staticmethod(open_url)
