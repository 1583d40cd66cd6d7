"""A simulated person in front of the module “Review worklist”."""

from __future__ import annotations

from typing import Any

from panel_user import ANSWER_SECONDS, User
from slicer_double import helpers


class ReviewUser(User):
    """Reads worklists."""

    def connects(self, url: str, model: str = "regions") -> None:
        """Connect, choose a model and wait for its worklist."""
        self.connect_to(url)
        self.waits(lambda: not self.panel.feed.fetching)
        if self.ui.modelCombo.currentText != model:
            self.choose(self.ui.modelCombo, model)
        self.waits(lambda: self.panel.feed.worklist is not None and self.panel.feed.worklist.model == model)

    def scores(self) -> None:
        """Press “Score images” and wait for the end."""
        self.click(self.ui.scoreButton)
        self.waits(lambda: self.panel.feed.worklist.settled == len(self.panel.feed.worklist.items))
        self.waits(lambda: not self.panel.feed.worklist.scoring)

    def rows(self, column: int = 0) -> list[str]:
        """A column of the worklist."""
        table = self.ui.worklistTable
        return [table.item(row, column).text() for row in range(table.rowCount)]

    def chooses(self, image: str) -> None:
        """Click on the row of an image."""
        helpers.click_item(self.ui.worklistTable, self.rows().index(image))

    def opens_image(self, image: str) -> Any:
        """Choose an image, press “Open” and wait for its maps; returns its node."""
        self.chooses(image)
        self.click(self.ui.openButton)
        self.waits_for_the_image(image)
        return self.panel.logic.shown

    def waits_for_the_image(self, image: str, seconds: float = ANSWER_SECONDS) -> None:
        """Until an image and its maps are shown."""

        def shown() -> bool:
            found = self.panel.logic.shown
            return found is not None and found.image_id == image and found.complete and not self.panel.opener.busy

        self.waits(shown, seconds)

    def checks_class(self, label: str) -> None:
        """Click on the box of a class."""
        table = self.ui.classTable
        row = next(row for row in range(table.rowCount) if table.item(row, 0).text() == label)
        rectangle = table.visualItemRect(table.item(row, 1))
        helpers.click(table.viewport(), (rectangle.left() + 12, rectangle.center().y()))
