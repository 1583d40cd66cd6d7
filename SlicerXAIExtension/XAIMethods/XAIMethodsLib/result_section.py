"""The section of the results: verdict, checks, and the numbers and tables of whatever method it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.methods import ShownTable
from XAILib.verdict import checks_html, verdict_html
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.columns import set_columns
from XAIPanels.result_frame import ResultFrame
from XAIPanels.task_list import TaskList

from .logic import MethodsLogic
from .words import NO_RESULT, VERDICTS

MOST_ROWS = 10
FRAME = 24
"""Pixels of the borders and the scroll bar."""


class ResultSection(ResultFrame):
    """Shows what the logic holds.

    Args:
        open_report: asked to open the report of a result node.
        changed: called whenever another result was chosen.
        tasks: of the panel.
    """

    def __init__(
        self,
        ui: Any,
        logic: MethodsLogic,
        open_report: Callable[[Any], None],
        changed: Callable[[], None],
        tasks: TaskList,
    ) -> None:
        super().__init__(ui, logic, NO_RESULT, self._show_words, open_report, changed, tasks)
        self._results = logic
        self._tables: tuple[ShownTable, ...] = ()
        ui.tableCombo.connect("currentIndexChanged(int)", self._show_table)
        ui.resultTable.connect("currentCellChanged(int,int,int,int)", self._row_changed)
        ui.copyButton.connect("clicked()", self._copy)

    @property
    def table(self) -> ShownTable | None:
        """The one that is seen."""
        key = chosen(self.ui.tableCombo)
        return next((table for table in self._tables if table.key == key), None)

    def _show_words(self, node: Any) -> None:
        document = self._results.result(node).document
        self.ui.verdictLabel.text = verdict_html(document, VERDICTS)
        self.ui.checksLabel.text = checks_html(document)
        tables = self._results.tables(node)
        if tables == self._tables:
            return
        self._tables = tables
        keys = [table.key for table in tables]
        offer(self.ui.tableCombo, [table.title for table in tables], chosen(self.ui.tableCombo), keys)
        self._show_table()

    def _show_table(self, *_unused: Any) -> None:
        table = self.table
        self.ui.tablePanel.visible = table is not None
        if table is None:
            return
        widget = self.ui.resultTable
        widget.blockSignals(True)
        widget.clearContents()
        set_columns(widget, table.columns, table.columns)
        widget.rowCount = len(table.rows)
        for row, line in enumerate(table.rows):
            for column, text in enumerate(line):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                widget.setItem(row, column, item)
        widget.resizeColumnsToContents()
        widget.setCurrentItem(None)
        widget.blockSignals(False)
        shown = min(max(len(table.rows), 1), MOST_ROWS)
        height = shown * widget.verticalHeader().defaultSectionSize + FRAME
        widget.setFixedHeight(widget.horizontalHeader().height + height)
        placed = any(place is not None for place in table.places)
        widget.toolTip = _("Choose a row: all views go there.") if placed else ""
        enable(self.ui.copyButton, "", _("Copy this table, to be put into a spreadsheet."))

    def _row_changed(self, row: int, _column: int, before: int, _column_before: int) -> None:
        table = self.table
        if table is None or row == before or not 0 <= row < len(table.places):
            return
        place = table.places[row]
        if place is not None:
            self._results.jump_to(place)

    def _copy(self) -> None:
        table = self.table
        if table is not None:
            qt.QApplication.clipboard().setText(table.csv())
            self.say(_("The table is copied, as values with commas between them."))
