"""A table of everyone against everyone: coloured cells with short numbers, the whole of it in tooltips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import qt

ROW_HEIGHT, HEADER_HEIGHT, FRAME = 22, 22, 4
NAME_LENGTH = 5
"""Longer names are cut in the headers, so that nine columns fit; tooltips have them whole."""


@dataclass(frozen=True)
class Cell:
    """A cell: its number as text, its tooltip, and a background on which black can be read (red, green, blue)."""

    text: str
    tip: str
    colour: tuple[int, int, int]


class SquareTable:
    """Read-only, and as high as its rows."""

    def __init__(self, table: Any) -> None:
        """Take over a QTableWidget."""
        self.table = table
        across, down = table.horizontalHeader(), table.verticalHeader()
        across.setSectionResizeMode(qt.QHeaderView.Stretch)
        across.setMinimumSectionSize(20)
        across.setFixedHeight(HEADER_HEIGHT)
        down.setSectionResizeMode(qt.QHeaderView.Fixed)
        down.setMinimumSectionSize(ROW_HEIGHT)
        down.setDefaultSectionSize(ROW_HEIGHT)
        table.setHorizontalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        table.setVerticalScrollBarPolicy(qt.Qt.ScrollBarAlwaysOff)
        table.setTextElideMode(qt.Qt.ElideNone)

    def fill(
        self,
        names: Sequence[str],
        row_tips: Sequence[str],
        column_tips: Sequence[str],
        cell: Callable[[int, int], Cell],
    ) -> None:
        """Show everyone against everyone.

        Args:
            row_tips, column_tips: of the headers.
            cell: the cell of a row and a column.
        """
        count = len(names)
        self.table.clear()
        self.table.rowCount = self.table.columnCount = count
        short = [name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}." for name in names]
        self.table.setHorizontalHeaderLabels(short)
        self.table.setVerticalHeaderLabels(short)
        for index in range(count):
            self.table.horizontalHeaderItem(index).setToolTip(column_tips[index])
            self.table.verticalHeaderItem(index).setToolTip(row_tips[index])
        for row in range(count):
            for column in range(count):
                self.table.setItem(row, column, _item(cell(row, column)))
        self.table.setFixedHeight(HEADER_HEIGHT + ROW_HEIGHT * count + FRAME)


def _item(cell: Cell) -> Any:
    item = qt.QTableWidgetItem(cell.text)
    item.setTextAlignment(qt.Qt.AlignCenter)
    item.setToolTip(cell.tip)
    item.setForeground(qt.QBrush(qt.QColor("#000000")))
    item.setBackground(qt.QBrush(qt.QColor(*cell.colour)))
    return item
