"""`qt.QUiLoader`: loads .ui files made for Slicer, with the stand-ins and with connections that carry MRML objects."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from .pythonqt import custom_widgets


class QUiLoader(QtUiTools.QUiLoader):
    """A class that it does not know is an error, not an empty QWidget as in Qt."""

    def __init__(self) -> None:
        super().__init__()
        for widget_class in custom_widgets.values():
            self.registerCustomWidget(widget_class)

    def load(self, device: Any, parent: Any = None) -> QtWidgets.QWidget:
        """Load from an open QFile; raises NotImplementedError for a widget class that the double lacks."""
        root = ElementTree.fromstring(device.readAll().data())
        known = {*self.availableWidgets(), *custom_widgets}
        unknown = {widget.get("class", "") for widget in root.iter("widget")} - known
        if unknown:
            raise NotImplementedError(f"the test double has no widget class {', '.join(sorted(unknown))}")
        connections = self._take_mrml_connections(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parent)
        for sender, signal, receiver, slot in connections:
            _named(widget, sender).connect(signal, getattr(_named(widget, receiver), slot.split("(")[0]))
        return widget

    @staticmethod
    def _take_mrml_connections(root: ElementTree.Element) -> list[tuple[str, str, str, str]]:
        """Qt cannot connect signals that carry Python objects by their C++ signature: that is done afterwards."""
        taken = []
        for parent in root.iter("connections"):
            for connection in [c for c in parent if "vtkMRML" in (c.findtext("signal") or "")]:
                sender, signal, receiver, slot = (
                    connection.findtext(tag) or "" for tag in ("sender", "signal", "receiver", "slot")
                )
                taken.append((sender, signal, receiver, slot))
                parent.remove(connection)
        return taken


def _named(root: QtWidgets.QWidget, name: str) -> Any:
    found = root if root.objectName == name else root.findChild(QtWidgets.QWidget, name)
    if found is None:
        raise RuntimeError(f"the .ui file connects {name!r}, which it does not contain")
    return found
