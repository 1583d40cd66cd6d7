"""The table of the classes of one image; their boxes become editable while the reader corrects them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.worklist import ClassItem
from XAIPanels.columns import set_columns

from . import bars, words

COLUMNS = (_("Class"), _("Present"), _("Probability"), _("Suspicion"))
HINTS = (
    _("The classes of the model; a red flag marks a suspicious prediction. Choosing a class shows its map."),
    _("Whether the class is present: as predicted, or as corrected."),
    _("Probability of the class, by the model."),
    _("Estimated probability that the prediction of this class is wrong."),
)
YES, NO = "yes", "no"
ROW_HEIGHT, HEADER_HEIGHT, FRAME = 24, 24, 4
MOST_ROWS = 8


class ClassTable:
    """One row for each class, in the order of the model.

    Args:
        chosen: called with the class when a row is chosen.
        activated: called with the class on Enter or a double click.
        edited: called when a box was checked or unchecked.
    """

    def __init__(
        self,
        table: Any,
        chosen: Callable[[str], None],
        activated: Callable[[str], None],
        edited: Callable[[], None],
    ) -> None:
        self.table = table
        self._classes: tuple[ClassItem, ...] = ()
        self._thresholds: Mapping[str, float] = {}
        self._given: Mapping[str, bool] | None = None
        self._editing = False
        self._on_chosen, self._on_activated, self._on_edited = chosen, activated, edited
        set_columns(table, COLUMNS, HINTS)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        table.setIconSize(qt.QSize(bars.WIDTH, bars.HEIGHT))
        table.connect("currentCellChanged(int,int,int,int)", self._row_changed)
        table.connect("cellActivated(int,int)", self._row_activated)
        table.connect("itemChanged(QTableWidgetItem*)", self._item_changed)

    @property
    def chosen(self) -> str:
        """The class of the chosen row; empty without one."""
        row = self.table.currentRow()
        return self._classes[row].label if 0 <= row < len(self._classes) else ""

    @property
    def labels(self) -> dict[str, bool]:
        """Which classes are present by the boxes."""
        boxes = [self.table.item(row, 1) for row in range(len(self._classes))]
        return {one.label: box.checkState() == qt.Qt.Checked for one, box in zip(self._classes, boxes)}

    def fill(
        self,
        classes: tuple[ClassItem, ...],
        thresholds: Mapping[str, float],
        given: Mapping[str, bool] | None,
        editing: bool,
        chosen: str,
    ) -> None:
        """Show these classes.

        Args:
            thresholds: from which probability each counts as present.
            given: which are present according to the reader; None as predicted.
            editing: whether the reader may change that.
            chosen: the class to choose.
        """
        if (classes, thresholds, given, editing) != (self._classes, self._thresholds, self._given, self._editing):
            self._classes, self._thresholds, self._given, self._editing = classes, thresholds, given, editing
            self.table.blockSignals(True)
            self.table.clearContents()
            self.table.rowCount = len(classes)
            for row, one in enumerate(classes):
                self._fill_row(row, one)
            self.table.blockSignals(False)
            rows = min(max(len(classes), 1), MOST_ROWS)
            self.table.setFixedHeight(HEADER_HEIGHT + ROW_HEIGHT * rows + FRAME)
        names = [one.label for one in classes]
        if chosen in names and chosen != self.chosen:
            self.table.blockSignals(True)
            self.table.setCurrentCell(names.index(chosen), 0)
            self.table.blockSignals(False)

    def _fill_row(self, row: int, one: ClassItem) -> None:
        present = one.predicted if self._given is None else bool(self._given.get(one.label))
        texts = (one.label, YES if present else NO, words.percent(one.probability), _suspicion(one))
        for column, text in enumerate(texts):
            cell = qt.QTableWidgetItem(text)
            cell.setToolTip(one.reason)
            flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
            if column == 0:
                cell.setIcon(bars.flag(one.flagged))
            elif column == 1:
                cell.setCheckState(qt.Qt.Checked if present else qt.Qt.Unchecked)
                flags = flags | qt.Qt.ItemIsUserCheckable if self._editing else flags
                cell.setToolTip(_present_hint(one, present))
            elif column == 2:
                cell.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                cell.setToolTip(words.threshold(self._thresholds.get(one.label)))
            else:
                cell.setIcon(bars.share(one.suspicion, 1.0))
            cell.setFlags(flags)
            self.table.setItem(row, column, cell)

    def _row_changed(self, row: int, _column: int, before: int, _column_before: int) -> None:
        if row != before and 0 <= row < len(self._classes):
            self._on_chosen(self._classes[row].label)

    def _row_activated(self, row: int, _column: int) -> None:
        if 0 <= row < len(self._classes):
            self._on_activated(self._classes[row].label)

    def _item_changed(self, cell: Any) -> None:
        if self._editing and cell.column() == 1:
            self.table.blockSignals(True)
            cell.setText(YES if cell.checkState() == qt.Qt.Checked else NO)
            self.table.blockSignals(False)
            self._given = self.labels
            self._on_edited()


def _suspicion(one: ClassItem) -> str:
    return _("not scored") if one.suspicion is None else f"{one.suspicion:.2f}"


def _present_hint(one: ClassItem, present: bool) -> str:
    predicted = _("The model predicts: {value}.").format(value=YES if one.predicted else NO)
    return predicted if present == one.predicted else f"{predicted} Corrected."
