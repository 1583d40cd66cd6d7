"""The table of the selected cases: one row each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _

from .attribution import CaseRow

HINTS = (
    _("Environment of the case."),
    _("Id of the case."),
    _("Performance on this case, by the masks of its environment's rater."),
    _("The same prediction, by the masks of the other environment's rater."),
    _("Volume that the rater drew, ml."),
    _("Volume that the model predicts, ml."),
)


class CaseTable:
    """Read-only.

    Args:
        chosen: called when another row is chosen.
        activated: called with the row's case on Enter or a double click.
    """

    def __init__(self, table: Any, chosen: Callable[[], None], activated: Callable[[CaseRow], None]) -> None:
        self.table = table
        self._rows: tuple[CaseRow, ...] = ()
        self._metric = ""
        self._on_chosen = chosen
        self._on_activated = activated
        table.columnCount = len(HINTS)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(1, qt.QHeaderView.Stretch)
        table.connect("currentCellChanged(int,int,int,int)", self._row_changed)
        table.connect("cellActivated(int,int)", self._row_activated)

    @property
    def chosen(self) -> CaseRow | None:
        """The case of the chosen row."""
        row = self.table.currentRow()
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def fill(self, rows: Sequence[CaseRow], metric: str) -> None:
        """Show these cases; a chosen row stays chosen when its case is still there.

        Args:
            metric: what their performance is called.
        """
        if (tuple(rows), metric) == (self._rows, self._metric):
            return
        before = self.chosen
        self._rows, self._metric = tuple(rows), metric
        self.table.blockSignals(True)
        self.table.setHorizontalHeaderLabels(["", _("Case"), metric, _("Other rater"), _("Drawn"), _("Predicted")])
        for column, hint in enumerate(HINTS):
            self.table.horizontalHeaderItem(column).setToolTip(hint)
        self.table.clearContents()
        self.table.rowCount = len(self._rows)
        for row, case in enumerate(self._rows):
            for column, text in enumerate(_texts(case)):
                item = qt.QTableWidgetItem(text)
                side = qt.Qt.AlignLeft if column < 2 else qt.Qt.AlignRight
                item.setTextAlignment(side | qt.Qt.AlignVCenter)
                if column == 1:
                    item.setToolTip(_("{case}, rater {rater}").format(case=case.case, rater=case.rater))
                self.table.setItem(row, column, item)
        if before in self._rows:
            self.table.selectRow(self._rows.index(before))
        else:
            self.table.setCurrentItem(None)
        self.table.blockSignals(False)

    def _row_changed(self, row: int, _column: int, before: int, _column_before: int) -> None:
        if row != before:
            self._on_chosen()

    def _row_activated(self, row: int, _column: int) -> None:
        if 0 <= row < len(self._rows):
            self._on_activated(self._rows[row])


def _texts(case: CaseRow) -> tuple[str, ...]:
    numbers = (case.performance, case.other, case.drawn_ml, case.predicted_ml)
    return (case.environment, case.case, *("–" if value is None else f"{value:.1f}" for value in numbers))
