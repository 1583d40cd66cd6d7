"""Every module of the extension, opened with all its tabs, and what its widgets say. Needs the test double."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets
from slicer_double.scripted import load_module

EXTENSION = Path(__file__).resolve().parents[3] / "SlicerXAIExtension"
INTERACTIVE = (
    QtWidgets.QAbstractButton,
    QtWidgets.QComboBox,
    QtWidgets.QAbstractSpinBox,
    QtWidgets.QAbstractSlider,
    QtWidgets.QLineEdit,
    QtWidgets.QTextEdit,
    QtWidgets.QPlainTextEdit,
    QtWidgets.QAbstractItemView,
    QtWidgets.QTabBar,
)
SAID = ("toolTip", "text", "title", "placeholderText", "accessibleName", "accessibleDescription")


def module_files() -> list[Path]:
    """Those of the modules that Slicer lists."""
    return sorted(path for path in EXTENSION.glob("*/XAI*.py") if path.stem == path.parent.name)


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """A module and the widget with its panel, whose tabs have all been chosen once."""
    for folder in (EXTENSION, *(place for place in EXTENSION.iterdir() if place.is_dir())):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    module = load_module(path)
    try:
        root = module.enter().parent
        for bar in root.findChildren(QtWidgets.QTabBar):
            for index in reversed(range(bar.count)):  # a panel is made when its tab is chosen
                bar.setCurrentIndex(index)
        slicer.app.processEvents()
        yield module, root
    finally:
        module.exit()
        module.unload()


def interactive(root: Any) -> Iterator[Any]:
    """The widgets that people use, without the parts that Qt, CTK and MRML's widgets are made of."""
    for widget in root.findChildren(QtWidgets.QWidget):
        named = widget.objectName and not widget.objectName.startswith("qt_")
        part = isinstance(widget, (QtWidgets.QScrollBar, QtWidgets.QHeaderView)) or isinstance(
            widget.parent(), QtWidgets.QTabBar
        )
        composed = type(widget).__name__ in {"ctkSliderWidget", "qMRMLNodeComboBox"}
        if composed or (isinstance(widget, INTERACTIVE) and named and not part):
            yield widget


def spoken_name(widget: Any) -> str:
    """What a screen reader says of a widget."""
    return widget.accessibleName or (widget.text if isinstance(widget, QtWidgets.QAbstractButton) else "")


def focus_order(root: Any) -> list[Any]:
    """The visible widgets of a panel that Tab reaches, in its order, from the first on."""
    chain, current = [], root
    while True:
        current = current.nextInFocusChain()
        if current is root or current is None or len(chain) > 5000:
            return chain
        reached = current.focusPolicy & QtCore.Qt.FocusPolicy.TabFocus
        header = type(current.parent()).__name__ == "ctkCollapsibleButton" and not current.objectName  # of the double
        if (
            reached
            and not header
            and root.isAncestorOf(current)
            and current.isVisible()
            and isinstance(current, INTERACTIVE)
        ):
            chain.append(current)


def texts_of(widget: Any) -> Iterator[tuple[str, str]]:
    """What a widget says, as kind and text; not what people wrote into it."""
    written = isinstance(widget, (QtWidgets.QLineEdit, QtWidgets.QTextEdit))
    meta = widget.metaObject()
    for index in range(meta.propertyCount()):
        name = meta.property(index).name()
        if name in SAID and not (written and name == "text"):
            value = meta.property(index).read(widget)
            if isinstance(value, str) and value:
                yield name, value
    if isinstance(widget, QtWidgets.QComboBox):
        yield from (("item", widget.itemText(index)) for index in range(widget.count))
    if isinstance(widget, QtWidgets.QTabBar):
        for index in range(widget.count):
            yield from (("tab", widget.tabText(index)), ("tab hint", widget.tabToolTip(index)))
    if isinstance(widget, QtWidgets.QTableWidget):
        for header in (widget.horizontalHeaderItem(column) for column in range(widget.columnCount)):
            if header is not None:
                yield from (("header", header.text()), ("header hint", header.toolTip()))
