"""A simulated person in front of the module “Shift Attribution”."""

from __future__ import annotations

from typing import Any

from panel_user import ANSWER_SECONDS, User
from PySide6 import QtCore
from slicer_double import helpers

ATTRIBUTION_SECONDS = 900


class ShiftUser(User):
    """Chooses environments by clicks."""

    def check(self, role: str, value: str) -> None:
        """Click on the box before a value, such as "07"."""
        widget = getattr(self.ui, f"{role}Values")
        texts = [widget.item(row).text() for row in range(widget.count)]
        (row,) = [row for row, text in enumerate(texts) if text.rpartition(" (")[0] == value]
        item = widget.item(row)
        widget.scrollToItem(item)
        rectangle = widget.visualItemRect(item)
        point = QtCore.QPoint(rectangle.left() + 10, rectangle.center().y())
        helpers.click(widget.viewport(), (point.x(), point.y()))

    def checked(self, role: str) -> list[str]:
        """Values whose boxes are checked."""
        widget = getattr(self.ui, f"{role}Values")
        items = [widget.item(row) for row in range(widget.count)]
        return [item.text().rpartition(" (")[0] for item in items if item.checkState() == QtCore.Qt.CheckState.Checked]

    def opens(self, *sections: str) -> None:
        for name in sections:
            self.open_section(f"{name}Section")

    def connects(self, url: str) -> None:
        """Connect, and wait for the cases of the first cohort."""
        self.connect_to(url)
        self.waits(lambda: self.panel.data.cohort is not None)

    def attributes(self) -> Any:
        """Press the big button and wait for the result; returns its node."""
        before = len(self.panel.logic.results())
        self.click(self.ui.runButton)
        self.waits(lambda: self.has_more_than(before), ATTRIBUTION_SECONDS)
        return self.panel.result.shown

    def chooses_case(self, case: str) -> None:
        """Click on the first row of a case."""
        table = self.ui.caseTable
        row = next(row for row in range(table.rowCount) if table.item(row, 1).text() == case)
        helpers.click_item(table, row, 1)

    def waits_for_the_case(self, seconds: float = ANSWER_SECONDS) -> None:
        """Until opening a case has ended."""
        self.waits(lambda: not self.panel.opener.busy, seconds)
