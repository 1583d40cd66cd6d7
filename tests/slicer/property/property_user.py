"""A simulated person in front of the module “What if?”."""

from __future__ import annotations

from typing import Any

from panel_user import ANSWER_SECONDS, User
from PySide6 import QtCore, QtTest
from slicer_double import helpers
from slicer_double.watchdog import watchdog


class PropertyUser(User):
    """Walks along properties."""

    def asks(self, button: Any, seconds: float = ANSWER_SECONDS) -> Any:
        """Press a button and wait for the result; returns its node."""
        before = len(self.panel.logic.results())
        self.click(button)
        self.waits(lambda: self.has_more_than(before) or "Not measured" in self.sees(), seconds)
        assert len(self.panel.logic.results()) > before, self.sees()
        return self.panel.result.shown

    def rows(self) -> list[list[str]]:
        """The texts of the table of effects."""
        table = self.ui.effectTable
        return [
            [table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)
        ]

    def clicks_row(self, row: int) -> None:
        helpers.click_item(self.ui.effectTable, row)

    def takes_study(self, study: str) -> None:
        """Choose an image of the server."""
        self.click(self.ui.studyButton)
        self.choose(self.ui.studyCombo, study)

    def drags(self, step: int) -> None:
        """Move the slider to a step, as with the mouse."""
        with watchdog().watching():
            self.ui.stepSlider.value = step
        self.app.processEvents()

    def hovers(self, step: int, press: bool = False) -> None:
        """The mouse over a step of the curve."""
        view = self.panel.walk.view
        place = QtCore.QPoint(view._plot.across(view._plot.curve.values[step]), 100)
        with watchdog().watching():
            if press:
                QtTest.QTest.mouseClick(view, QtCore.Qt.MouseButton.LeftButton, pos=place)
            else:
                QtTest.QTest.mouseMove(view, place)
        self.app.processEvents()
