"""A simulated person in front of the module “Counterfactuals”."""

from __future__ import annotations

from typing import Any

from panel_user import ANSWER_SECONDS, User
from slicer_double import helpers


class CounterfactualUser(User):
    """Asks what would have to be different."""

    def asks(self, seconds: float = ANSWER_SECONDS) -> Any:
        """Press the big button and wait for the result; returns its node."""
        before = len(self.panel.logic.results())
        self.click(self.ui.runButton)
        self.waits(lambda: self.has_more_than(before) or "Not found" in self.sees(), seconds)
        assert len(self.panel.logic.results()) > before, self.sees()
        return self.panel.result.shown

    def rows(self, table: Any) -> list[list[str]]:
        """The texts of a table."""
        return [
            [table.item(row, column).text() for column in range(table.columnCount)] for row in range(table.rowCount)
        ]

    def clicks_row(self, table: Any, row: int) -> None:
        helpers.click_item(table, row)

    def takes_study(self, study: str) -> None:
        """Choose an image of the server."""
        self.click(self.ui.studyButton)
        self.choose(self.ui.studyCombo, study)

    def measures_in(self, name: str) -> None:
        """Choose a segment, and wait for the share in it."""
        self.choose(self.ui.segmentCombo, name)
        self.waits(lambda: "inside" in self.ui.shareLabel.text)
