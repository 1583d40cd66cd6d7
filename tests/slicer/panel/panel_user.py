"""A simulated person: clicks, types and reads what is visible."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from typing import Any

import slicer
from panels import open_panel, seen_panel
from PySide6 import QtCore, QtTest, QtWidgets
from slicer_double import helpers
from slicer_double.watchdog import watchdog

ANSWER_SECONDS = 240


class User:
    """In front of one module.

    Attributes:
        app, module: of the test double.
    """

    def __init__(self, app: Any, module: Any) -> None:
        self.app, self.module = app, module

    @property
    def panel(self) -> Any:
        return seen_panel(self.module)

    @property
    def ui(self) -> Any:
        return self.panel.ui

    def sees(self) -> str:
        """All visible words of the panel, in one line each."""
        lines = []
        for widget in self.panel.root.findChildren(QtWidgets.QWidget):
            if widget.isVisible():
                lines += [plain(text) for text in _texts(widget) if text]
        return "\n".join(lines)

    def click(self, widget: Any) -> None:
        """A click of the left button on something visible and enabled."""
        helpers.click(widget)

    def press(self, widget: Any, key: Any) -> None:
        with watchdog().watching():
            QtTest.QTest.keyClick(widget, key)
        self.app.processEvents()

    def type(self, widget: Any, text: str) -> None:
        """Replace the text of a line, without Enter."""
        with watchdog().watching():
            widget.selectAll()
        for letter in text:  # a person types one after the other
            with watchdog().watching():
                QtTest.QTest.keyClicks(widget, letter)
        self.app.processEvents()

    def choose(self, combo: Any, text: str) -> None:
        """Choose an entry of a combo box by the keyboard."""
        wanted = combo.findText(text, QtCore.Qt.MatchFlag.MatchStartsWith)
        assert wanted >= 0, f"{combo.objectName} does not offer {text}"
        for _ in range(combo.count):
            if combo.currentIndex == wanted:
                return
            self.press(combo, QtCore.Qt.Key.Key_Down if combo.currentIndex < wanted else QtCore.Qt.Key.Key_Up)
        raise AssertionError(f"{combo.objectName} does not go to {text}")

    def click_row(self, row: int) -> None:
        """Choose a lesion in the table."""
        helpers.click_item(self.ui.lesionTable, row)

    def clicks_in_view(self, name: str, point: tuple[float, float, float]) -> None:
        """Click on a place (R, A, S in mm) that a slice view shows."""
        helpers.click_slice(self.app.layoutManager().sliceWidget(name), point)

    def waits(self, seen: Callable[[], Any], seconds: float = ANSWER_SECONDS) -> None:
        """Let the application work until something can be seen."""
        deadline = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < deadline, f"waited {seconds} s; the panel says:\n{self.sees()}"
            self.app.processEvents()
            time.sleep(0.005)
        self.app.processEvents()

    def waits_for(self, words: str, seconds: float = ANSWER_SECONDS) -> None:
        self.waits(lambda: words in self.sees(), seconds)

    def connect_to(self, url: str, token: str = "") -> None:
        self.open_section("serverSection")
        self.type(self.ui.urlEdit, url)
        if token:
            self.type(self.ui.tokenEdit, token)
        self.click(self.ui.connectButton)
        self.waits(lambda: not self.panel.server.connecting)

    def open_section(self, name: str) -> None:
        section = getattr(self.ui, name)
        section.collapsed = False
        self.app.processEvents()

    def loads(self, array: Any, affine: Any, name: str = "FLAIR") -> Any:
        """Load a volume, as from a file."""
        from saliency_scenes import add_volume

        node = add_volume(slicer.mrmlScene, array, affine, name)
        slicer.util.setSliceViewerLayers(background=node, fit=True)
        self.app.processEvents()
        return node

    def explains(self) -> Any:
        """Press the big button and wait for the result; returns its node."""
        before = len(self.panel.logic.results())
        self.click(self.ui.runButton)
        self.waits(lambda: self.has_more_than(before))
        return self.panel.result.shown

    def has_more_than(self, results: int) -> bool:
        """Whether another result came, and is shown."""
        return len(self.panel.logic.results()) > results and not self.panel.job.running

    @property
    def tray(self) -> Any:
        """The job tray below the panel."""
        return self.module.widgetRepresentation().self().tray

    def jobs(self) -> Any:
        """The job tray's entries, newest first."""
        return self.tray._home.tray.entries

    def presses(self, button: str) -> None:
        """A button of the job tray, such as "open"."""
        if self.tray.root.collapsed:
            self.tray.root.collapsed = False
            self.app.processEvents()
        self.waits(self.tray.buttons[button].isEnabled, 20)
        helpers.click(self.tray.buttons[button])

    def stops_all_jobs(self) -> None:
        """Cancel, in the job tray, whatever runs."""
        for entry in self.jobs():
            if entry.active:
                self.tray.choose(entry.id)
                assert self.tray.chosen.id == entry.id
                self.presses("cancel")
        self.waits(lambda: not any(entry.active for entry in self.jobs()))

    def opens_module_again(self, name: str) -> None:
        """After it was closed."""
        self.module = open_panel(name)

    def close_module(self) -> None:
        """As when Slicer closes."""
        self.module.unload()


def plain(text: str) -> str:
    """Rich text as it reads."""
    without = re.sub(r"<(br|/p|/li|/tr|/div)[^>]*>", " ", text)
    return html.unescape(re.sub(r"<[^>]+>", "", without)).replace("\xa0", " ").strip()


def _texts(widget: Any) -> list[str]:
    if isinstance(widget, QtWidgets.QLineEdit) and widget.echoMode == QtWidgets.QLineEdit.EchoMode.Password:
        return []
    if isinstance(widget, QtWidgets.QComboBox):
        return [widget.currentText]
    if isinstance(widget, QtWidgets.QTableWidget):
        cells = [widget.item(row, column) for row in range(widget.rowCount) for column in range(widget.columnCount)]
        return [cell.text() for cell in cells if cell is not None]
    if isinstance(widget, (QtWidgets.QLabel, QtWidgets.QAbstractButton, QtWidgets.QLineEdit)):
        return [widget.text.replace("&", "")] if not isinstance(widget, QtWidgets.QLabel) else [widget.text]
    return []
