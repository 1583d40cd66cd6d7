"""The table of the worklist: one row for each image, in the server's order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.readable import readable
from XAILib.worklist import Item
from XAIPanels.columns import set_columns

from . import bars, words

COLUMNS = (_("Image"), _("Suspicion"), _("Flagged"), _("State"))
HINTS = (
    _("Id of the image on the server. The shown one is bold."),
    _("Expected number of wrong classes, or of false lesions, of the image."),
    _("Classes, or number of lesions, whose prediction is flagged."),
    _("Whether somebody has decided on the image."),
)
FADED = "#8c8c8c"


class WorklistTable:
    """Read-only.

    Args:
        chosen: called when another row is chosen.
        activated: called with the row's item on Enter or a double click.
    """

    def __init__(self, table: Any, chosen: Callable[[], None], activated: Callable[[Item], None]) -> None:
        self.table = table
        self._items: tuple[Item, ...] = ()
        self._shown = self._kind = ""
        self._on_chosen = chosen
        self._on_activated = activated
        set_columns(table, COLUMNS, HINTS)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(2, qt.QHeaderView.Stretch)
        table.verticalHeader().setDefaultSectionSize(24)
        table.setIconSize(qt.QSize(bars.WIDTH, bars.HEIGHT))
        table.connect("currentCellChanged(int,int,int,int)", self._row_changed)
        table.connect("cellActivated(int,int)", self._row_activated)

    @property
    def items(self) -> tuple[Item, ...]:
        """What is shown, in this order."""
        return self._items

    @property
    def chosen(self) -> Item | None:
        """The item of the chosen row."""
        row = self.table.currentRow()
        return self._items[row] if 0 <= row < len(self._items) else None

    def fill(self, items: Sequence[Item], kind: str, shown: str) -> None:
        """Show these items. The chosen image stays chosen, and the list where it is.

        Args:
            kind: of the model.
            shown: id of the image that the views show.
        """
        if (tuple(items), kind, shown) == (self._items, self._kind, self._shown):
            return
        before = self.chosen
        place = self.table.verticalScrollBar().value
        self._items, self._kind, self._shown = tuple(items), kind, shown
        full = max([1.0, *(item.suspicion for item in self._items if item.suspicion is not None)])
        self.table.blockSignals(True)
        self.table.clearContents()
        self.table.rowCount = len(self._items)
        for row, item in enumerate(self._items):
            self._fill_row(row, item, full)
        names = [item.image for item in self._items]
        if before is not None and before.image in names:
            self.table.setCurrentCell(names.index(before.image), 0)
        else:
            self.table.setCurrentItem(None)
        self.table.blockSignals(False)
        self.table.verticalScrollBar().value = place

    def choose(self, image: str) -> None:
        """Choose the row of an image, and bring it into view; without such a row nothing is done."""
        names = [item.image for item in self._items]
        if image in names:
            row = names.index(image)
            self.table.setCurrentCell(row, 0)
            self.table.scrollToItem(self.table.item(row, 0))

    def _fill_row(self, row: int, item: Item, full: float) -> None:
        texts = (item.image, words.suspicion(item), words.flagged(item), words.state(item))
        hints = (item.image, words.suspicion_hint(item, self._kind), words.flagged_hint(item), words.review(item))
        for column, (text, hint) in enumerate(zip(texts, hints)):
            cell = qt.QTableWidgetItem(text)
            cell.setToolTip(hint)
            if column == 1:
                cell.setIcon(bars.share(item.suspicion, full))
            if not item.open or (column == 1 and item.suspicion is None):
                cell.setForeground(qt.QBrush(qt.QColor(readable(FADED))))
            if item.image == self._shown:
                font = cell.font()
                font.setBold(True)
                cell.setFont(font)
            self.table.setItem(row, column, cell)

    def _row_changed(self, row: int, _column: int, before: int, _column_before: int) -> None:
        if row != before:
            self._on_chosen()

    def _row_activated(self, row: int, _column: int) -> None:
        if 0 <= row < len(self._items):
            self._on_activated(self._items[row])
