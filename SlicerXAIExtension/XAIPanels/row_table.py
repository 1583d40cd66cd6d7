"""A read-only table of texts, one row for each of something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt

from .columns import set_columns

MOST_ROWS = 5
FRAME = 6
"""Pixels of the borders."""
NO_ICONS: Mapping[int, Sequence[Any]] = {}


class RowTable:
    """Says which row was chosen.

    Args:
        names, hints: of the columns.
        chosen: called with the number of the row, from 0, when another one is chosen or one is clicked.
        most: rows that are seen without scrolling.
    """

    def __init__(
        self,
        table: Any,
        names: Sequence[str],
        hints: Sequence[str],
        chosen: Callable[[int], None] | None = None,
        most: int = MOST_ROWS,
    ) -> None:
        self.table = table
        self._most = most
        self._rows: list[tuple[str, ...]] = []
        self._on_chosen = chosen
        set_columns(table, names, hints)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.ResizeToContents)
        if chosen is not None:
            table.connect("currentCellChanged(int,int,int,int)", self._changed)
            table.connect("cellClicked(int,int)", lambda row, _column: self._tell(row))

    @property
    def chosen(self) -> int:
        """Number of the chosen row; -1 without one."""
        return int(self.table.currentRow())

    def fill(
        self, rows: Sequence[Sequence[str]], chosen: int = -1, icons: Mapping[int, Sequence[Any]] = NO_ICONS
    ) -> None:
        """Show these rows and choose one without a call; hidden without rows.

        Args:
            icons: by column, one for each row.
        """
        texts = [tuple(row) for row in rows]
        self.table.blockSignals(True)
        if texts != self._rows:
            self._rows = texts
            self.table.clearContents()
            self.table.rowCount = len(texts)
            for row, line in enumerate(texts):
                for column, text in enumerate(line):
                    item = qt.QTableWidgetItem(text)
                    item.setToolTip(text)
                    self.table.setItem(row, column, item)
        for column, pictures in icons.items():
            for row, picture in enumerate(pictures):
                self.table.item(row, column).setIcon(picture)
        if 0 <= chosen < len(texts):
            self.table.selectRow(chosen)
        else:
            self.table.setCurrentItem(None)
        self.table.blockSignals(False)
        self.table.visible = bool(texts)
        self._fit(len(texts))

    def _fit(self, rows: int) -> None:
        """As high as its rows, up to `most`: an empty table half fills a panel."""
        shown = min(max(rows, 1), self._most)
        height = shown * self.table.verticalHeader().defaultSectionSize + FRAME
        self.table.setFixedHeight(self.table.horizontalHeader().height + height)

    def _changed(self, row: int, _column: int, before: int, _column_before: int) -> None:
        if row != before:
            self._tell(row)

    def _tell(self, row: int) -> None:
        if self._on_chosen is not None and 0 <= row < len(self._rows):
            self._on_chosen(row)
