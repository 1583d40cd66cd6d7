"""Simulated people in front of the modules of a walk-through, which may have tabs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import slicer
from panel_user import ANSWER_SECONDS, User
from PySide6 import QtCore
from review_user import ReviewUser
from shift_user import ShiftUser
from slicer_double import helpers


class Person(User):
    """Goes from tab to tab.

    Attributes:
        patience: seconds to wait for an answer at least; a large image on a slow machine needs more than a test's.
    """

    patience = 0.0

    def waits(self, seen: Callable[[], Any], seconds: float = ANSWER_SECONDS) -> None:
        super().waits(seen, max(seconds, self.patience))

    def tab(self, index: int) -> None:
        """Click on a tab of the module."""
        tabs = self.module.widgetRepresentation().self().panel
        rectangle = tabs.bar.tabRect(index)
        helpers.click(tabs.bar, (rectangle.center().x(), rectangle.center().y()))

    def is_connected(self, url: str) -> None:
        """Connect, unless another panel has done so already."""
        if not self.panel.server.connecting and self.panel.server.server is None:
            self.connect_to(url)
        self.waits(lambda: self.panel.server.server is not None)

    def folds(self, *sections: str) -> None:
        """Close sections that are not needed any more."""
        for name in sections:
            getattr(self.ui, f"{name}Section").collapsed = True
        self.app.processEvents()

    def waits_in_a_thread(self, work: Callable[[], Any], seconds: float = ANSWER_SECONDS) -> Any:
        """What a program beside Slicer answers, while the window goes on."""
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(work()))
        thread.start()
        self.waits(lambda: not thread.is_alive(), seconds)
        return answers[0]


class CohortReader(Person):
    """Opens cases in “MSSEG Cohort”."""

    def opens_case(self, cohort: str, case: str) -> Any:
        """Choose a cohort and a case, and wait until it is in the views and measured; returns its node."""
        self.waits(lambda: self.panel.cohort.cohort is not None)
        if self.panel.cohort.cohort.name != cohort:
            self.choose(self.ui.cohortCombo, cohort)
            self.waits(lambda: self.panel.cohort.cohort is not None and self.panel.cohort.cohort.name == cohort)
        table = self.ui.caseTable
        cells = {table.item(row, 0).text(): row for row in range(table.rowCount)}
        helpers.click_item(table, cells[case])
        self.click(self.ui.openButton)
        self.waits(lambda: not self.panel.opener.busy and not self.panel.opener.measuring)
        return self.panel.logic.shown

    def hides_raters(self, but: str) -> None:
        """Click on the checked boxes before all raters but one."""
        table = self.ui.raterTable
        for row in range(table.rowCount):
            cell = table.item(row, 0)
            if cell.text() != but and cell.checkState() == QtCore.Qt.CheckState.Checked:
                table.scrollToItem(cell)
                rectangle = table.visualItemRect(cell)
                helpers.click(table.viewport(), (rectangle.left() + 10, rectangle.center().y()))


class SaliencyReader(Person):
    """Reads saliency maps."""

    def waits_for_result(self, number: int) -> Any:
        """Until so many results are there and the panel has said so; returns the newest."""
        self.waits(lambda: len(self.panel.logic.results()) == number and not self.panel.job.running)
        return self.panel.logic.result(self.panel.logic.results()[-1])


class Reviewer(Person, ReviewUser):
    """Reads worklists in a tab."""


class Researcher(Person, ShiftUser):
    """Attributes drops."""


def slice_offsets() -> dict[str, float]:
    """Where each slice view stands, mm."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return {node.GetLayoutName(): node.GetSliceOffset() for node in nodes}
