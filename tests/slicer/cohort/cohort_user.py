"""A simulated person in front of the module “MSSEG Cohort”."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from panel_user import ANSWER_SECONDS, User
from PySide6 import QtCore
from slicer_double import helpers


class CohortUser(User):
    """Chooses cohorts and cases by clicks."""

    def connects(self, url: str) -> None:
        """Connect, and wait for the cases of the first cohort."""
        self.connect_to(url)
        self.waits(lambda: self.panel.cohort.cohort is not None)

    def enters_folder(self, folder: Path) -> None:
        """Choose a local folder by typing it, and wait for its cases."""
        self.click(self.ui.folderButton)
        helpers.type_text(self.ui.folderEdit, str(folder))
        self.waits(lambda: "Reading" not in self.sees())

    def chooses_case(self, case: str) -> None:
        """Click on the row of a case."""
        table = self.ui.caseTable
        row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == case)
        helpers.click_item(table, row, 0)

    def opens_case(self, case: str) -> Any:
        """Choose a case and open it; its node."""
        self.chooses_case(case)
        self.click(self.ui.openButton)
        return self.waits_for_the_case()

    def waits_for_the_case(self, seconds: float = ANSWER_SECONDS) -> Any:
        """Until opening and measuring have ended; the node of the shown case."""
        self.waits(lambda: not self.panel.opener.busy and not self.panel.opener.measuring, seconds)
        return self.panel.case.node

    def ticks(self, rater: str) -> None:
        """Click on the box of a rater, such as "Rater 3"."""
        table = self.ui.raterTable
        row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == rater)
        rectangle = table.visualItemRect(table.item(row, 0))
        point = QtCore.QPoint(rectangle.left() + 10, rectangle.center().y())
        helpers.click(table.viewport(), (point.x(), point.y()))

    def row(self, table: Any, row: int) -> list[str]:
        """The texts of a row of a table."""
        return [table.item(row, column).text() for column in range(table.columnCount)]
