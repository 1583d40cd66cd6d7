"""What tests do to panels and views: click, wait, take pictures, compare them with goldens."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from PIL import Image
from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from .watchdog import pump, watchdog

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"
_UPDATE = "SLICER_DOUBLE_UPDATE_GOLDENS"


def click(widget: QtWidgets.QWidget, position: tuple[int, int] | None = None) -> None:
    """Click as a person does: refused on what is hidden or disabled; `position` in the widget, else on its label."""
    assert widget.isVisible(), f"{widget.objectName or widget} is not visible: nobody can click it"
    assert widget.isEnabled(), f"{widget.objectName or widget} is disabled: nobody can click it"
    point = QtCore.QPoint(*position) if position else _label(widget)
    target, point = _deepest(widget, point)
    with watchdog().watching():
        QtTest.QTest.mouseClick(target, QtCore.Qt.MouseButton.LeftButton, pos=point)
    pump()


def click_item(table: QtWidgets.QAbstractItemView, row: int, column: int = 0) -> None:
    """Click a cell of a table, tree or list, scrolled into view first."""
    index = table.model().index(row, column)
    assert index.isValid(), f"no cell ({row}, {column})"
    table.scrollTo(index)
    centre = table.visualRect(index).center()
    click(table.viewport(), (centre.x(), centre.y()))


def type_text(widget: QtWidgets.QWidget, text: str) -> None:
    """Replace what a line edit or spin box holds by typing, and press Enter."""
    assert widget.isVisible(), f"{widget.objectName} is not visible"
    assert widget.isEnabled(), f"{widget.objectName} is disabled"
    with watchdog().watching():
        widget.setFocus()
        widget.selectAll()
        QtTest.QTest.keyClick(widget, QtCore.Qt.Key.Key_Delete)
        QtTest.QTest.keyClicks(widget, text)
        QtTest.QTest.keyClick(widget, QtCore.Qt.Key.Key_Return)
    pump()


def choose(combo: Any, text: str) -> None:
    """Choose the entry `text` of a QComboBox or of a qMRMLNodeComboBox."""
    box = getattr(combo, "_box", combo)
    assert combo.isVisible(), f"{combo.objectName} is not visible"
    assert combo.isEnabled(), f"{combo.objectName} is disabled"
    index = box.findText(text)
    assert index >= 0, f"{text!r} is not among {[box.itemText(i) for i in range(box.count)]}"
    with watchdog().watching():
        box.setCurrentIndex(index)
        box.activated.emit(index)
    pump()


def click_slice(view: Any, ras: Any) -> None:
    """Click the point `ras` (mm) that a slice view (or slice widget) shows: move there, press, release."""
    view = view.sliceView() if hasattr(view, "sliceView") else view
    x, y = view.display_position(ras)
    command = vtk.vtkCommand
    for event in (command.MouseMoveEvent, command.LeftButtonPressEvent, command.LeftButtonReleaseEvent):
        with watchdog().watching():
            view.interact(event, x, y)
    pump()


def wait_until(predicate: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Pump events until `predicate()` is true and return its value; AssertionError after `seconds` of wall time."""
    end = time.monotonic() + seconds
    while not (value := predicate()):
        assert time.monotonic() < end, f"still waiting after {seconds} s"
        pump()
        time.sleep(0.002)
    return value


def grab(widget: QtWidgets.QWidget, path: Path | None = None) -> np.ndarray:
    """Picture of a widget, (height, width, 3) uint8; also written as PNG where a path is given."""
    with watchdog().excused():
        image = widget.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB888)
    rows = np.frombuffer(bytes(image.constBits()), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).copy()
    return _written(pixels, path)


def render(view: Any, path: Path | None = None) -> np.ndarray:
    """Picture of a slice or 3D view (or of the widget that has it), (height, width, 3) uint8, first row on top."""
    for accessor in ("sliceView", "threeDView"):
        if hasattr(view, accessor):
            view = getattr(view, accessor)()
    return _written(view.pixels(), path)


def render_all(application: Any, path: Path | None = None) -> np.ndarray:
    """The views as the layout shows them; four-up: Red | 3D over Green | Yellow."""
    manager = application.layoutManager()
    if rows := manager.grid():
        slices = [[manager.sliceWidget(name).sliceView().pixels() for name in row] for row in rows]
        return _written(np.vstack([np.hstack(row) for row in slices]), path)
    names = ("Red", "Green", "Yellow")
    red, green, yellow = [manager.sliceWidget(name).sliceView().pixels() for name in names]
    three_d = manager.threeDWidget(0).threeDView().pixels()
    return _written(np.vstack([np.hstack([red, three_d]), np.hstack([green, yellow])]), path)


def compare_exact(pixels: np.ndarray, name: str) -> None:
    """The picture equals goldens/<name>.png byte for byte."""
    golden = _golden(pixels, name)
    assert pixels.shape == golden.shape, f"{name}: {pixels.shape}, golden {golden.shape}"
    different = np.any(pixels != golden, axis=-1)
    assert not different.any(), f"{name}: {different.sum()} of {different.size} pixels differ from the golden picture"


def compare_tolerant(pixels: np.ndarray, name: str, fraction: float = 0.02, level: int = 48) -> None:
    """At most `fraction` of the pixels differ by more than `level` grey levels: fonts differ between machines."""
    golden = _golden(pixels, name)
    assert pixels.shape == golden.shape, f"{name}: {pixels.shape}, golden {golden.shape}"
    different = np.abs(pixels.astype(int) - golden.astype(int)).max(axis=-1) > level
    assert different.mean() <= fraction, f"{name}: {different.mean():.1%} of the pixels differ from the golden picture"


def _golden(pixels: np.ndarray, name: str) -> np.ndarray:
    path = GOLDENS / f"{name}.png"
    if os.environ.get(_UPDATE):
        _written(pixels, path)
    assert path.is_file(), f"no golden picture {path}; run with {_UPDATE}=1 and look at what it writes"
    return np.asarray(Image.open(path).convert("RGB"))


def _written(pixels: np.ndarray, path: Path | None) -> np.ndarray:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return pixels


def _label(widget: QtWidgets.QWidget) -> QtCore.QPoint:
    rectangle = widget.rect
    if isinstance(widget, QtWidgets.QCheckBox | QtWidgets.QRadioButton) or widget.className() == "ctkCollapsibleButton":
        return QtCore.QPoint(10, min(13, rectangle.center().y()))
    return rectangle.center()


def _deepest(widget: QtWidgets.QWidget, point: QtCore.QPoint) -> tuple[QtWidgets.QWidget, QtCore.QPoint]:
    child = widget.childAt(point)
    return (child, child.mapFrom(widget, point)) if child is not None else (widget, point)
