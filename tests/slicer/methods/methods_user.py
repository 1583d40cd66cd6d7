"""A simulated person in front of the module “All Methods”."""

from __future__ import annotations

from typing import Any

from panel_user import ANSWER_SECONDS, User
from slicer_double import helpers


class MethodsUser(User):
    """Asks by any method."""

    def connects(self, url: str) -> None:
        self.connect_to(url)

    def takes(self, title: str) -> None:
        """Choose a method."""
        self.choose(self.ui.methodCombo, title)

    def row(self, name: str) -> Any:
        """A row of the form."""
        form = self.panel.method.form
        found = next(row for row in (*form.usual.rows, *form.advanced.rows) if row.field.name == name)
        if found.field.advanced:
            form.folded.collapsed = False
            self.app.processEvents()
        return found

    def editor(self, name: str) -> Any:
        return self.row(name).editor

    def enters(self, name: str, text: str) -> None:
        helpers.type_text(self.editor(name).widget, text)

    def takes_study(self, study: str) -> None:
        self.click(self.ui.studyButton)
        self.choose(self.ui.studyCombo, study)

    def runs(self, seconds: float = ANSWER_SECONDS) -> Any:
        """Press “Run” and wait for the result; returns its node."""
        before = len(self.panel.logic.results())
        self.click(self.ui.runButton)
        self.waits(lambda: self.has_more_than(before) or "No result:" in self.sees(), seconds)
        assert len(self.panel.logic.results()) > before, self.sees()
        return self.panel.result.shown

    def cells(self) -> list[list[str]]:
        table = self.ui.resultTable
        return [
            [table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)
        ]

    def click_table(self, row: int) -> None:
        helpers.click_item(self.ui.resultTable, row)

    def clipboard(self) -> str:
        import qt

        return str(qt.QApplication.clipboard().text())
