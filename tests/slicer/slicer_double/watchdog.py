"""Pumps events and measures how long the main thread lets them wait."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets


def pump(application: QtWidgets.QApplication) -> None:
    """Process the events that wait, deferred deletions included."""
    application.processEvents()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
