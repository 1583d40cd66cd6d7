"""The table of a cohort: one row for each case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.cohorts import Case, Cohort, shown
from XAIPanels.columns import set_columns

from . import words
from .sources import table_problems

NAMES = (_("Case"), _("Centre"), _("Raters"), _("Problems"), _("Scanner"), _("Spacing"), _("Modalities"))
HINTS = (
    _("Id of the case. The shown one is bold."),
    _("Hospital or site."),
    _("Whose masks there are."),
    _("What the other cases have and this one lacks, and what was found when it was opened."),
    _("Scanner, where the cohort says it."),
    _("Voxel size in mm, where the cohort says it or the case was opened."),
    _("Images of the case."),
)
PROBLEMS, SPACING = 3, 5


class CohortTable:
    """Read-only.

    Args:
        chosen: called when another row is chosen.
        activated: called with the row's case on Enter or a double click.
    """

    def __init__(self, table: Any, chosen: Callable[[], None], activated: Callable[[Case], None]) -> None:
        self.table = table
        self._cases: tuple[Case, ...] = ()
        self._on_chosen = chosen
        self._on_activated = activated
        set_columns(table, NAMES, HINTS)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setStretchLastSection(True)
        table.connect("currentCellChanged(int,int,int,int)", self._row_changed)
        table.connect("cellActivated(int,int)", self._row_activated)

    @property
    def chosen(self) -> Case | None:
        """The case of the chosen row."""
        row = self.table.currentRow()
        return self._cases[row] if 0 <= row < len(self._cases) else None

    def fill(self, cohort: Cohort | None) -> None:
        """Show the cases of a cohort; a chosen one stays chosen when it is still there."""
        before = self.chosen
        self._cases = cohort.cases if cohort is not None else ()
        problems = table_problems(cohort) if cohort is not None else {}
        self.table.blockSignals(True)
        self.table.clearContents()
        self.table.rowCount = len(self._cases)
        for row, case in enumerate(self._cases):
            for column, text in enumerate(_texts(case, problems[case.id])):
                cell = qt.QTableWidgetItem(text)
                cell.setToolTip(_about(case) if column == 0 else text)
                self.table.setItem(row, column, cell)
        names = [case.id for case in self._cases]
        if before is not None and before.id in names:
            self.table.selectRow(names.index(before.id))
        else:
            self.table.setCurrentItem(None)
        self.table.blockSignals(False)

    def mark(self, name: str, found: Mapping[int, str]) -> None:
        """Write one case, the shown one, in bold.

        Args:
            found: texts of columns that are known now that it was opened.
        """
        for row, case in enumerate(self._cases):
            cell = self.table.item(row, 0)
            font = cell.font()
            font.setBold(case.id == name)
            cell.setFont(font)
            for column, text in found.items() if case.id == name else ():
                self.table.item(row, column).setText(text)
                self.table.item(row, column).setToolTip(text)

    def choose(self, name: str) -> None:
        """Choose the row of a case, and bring it into view; without such a row nothing is done."""
        row = next((row for row, case in enumerate(self._cases) if case.id == name), -1)
        if row >= 0:
            self.table.blockSignals(True)
            self.table.setCurrentCell(row, 0)
            self.table.scrollToItem(self.table.item(row, 0))
            self.table.blockSignals(False)

    def _row_changed(self, row: int, _column: int, before: int, _column_before: int) -> None:
        if row != before:
            self._on_chosen()

    def _row_activated(self, row: int, _column: int) -> None:
        if 0 <= row < len(self._cases):
            self._on_activated(self._cases[row])


def _texts(case: Case, problems: tuple[str, ...]) -> tuple[str, ...]:
    names = ", ".join(case.modalities)
    found = ", ".join(problems) or "–"
    return (
        case.id,
        words.centre(case),
        words.raters(case.raters),
        found,
        words.scanner(case),
        words.spacing(case),
        names,
    )


def _about(case: Case) -> str:
    """All that is known of a case."""
    return "\n".join([case.id, *(f"{key}: {shown(value)}" for key, value in sorted(case.metadata.items()))])
