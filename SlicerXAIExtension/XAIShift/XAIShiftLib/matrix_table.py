"""The matrix of raters: what a change from the row's to the column's masks costs on the same images."""

from __future__ import annotations

from typing import Any

import qt

from .attribution import Matrix, signed

COST, GAIN = (232, 120, 0), (47, 134, 245)
PALE = 0.85
"""Share of the full colour that the largest value of a matrix gets, so that black numbers stay readable."""
LEAST = 2.0
"""Smallest value that may get the darkest colour: the noise of a quiet matrix shall not look dramatic."""
ROW_HEIGHT, HEADER_HEIGHT, FRAME = 22, 22, 2
NAME_LENGTH = 5
"""Longer names of raters are cut in the headers, so that nine columns fit; tooltips have them whole."""


class MatrixTable:
    """Read-only; colours and numbers in the cells, intervals in their tooltips."""

    def __init__(self, table: Any) -> None:
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

    def fill(self, matrix: Matrix, unit: str) -> None:
        """Show a matrix.

        Args:
            unit: of its values.
        """
        count = len(matrix.raters)
        self.table.clear()
        self.table.rowCount = self.table.columnCount = count
        names = [name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}." for name in matrix.raters]
        self.table.setHorizontalHeaderLabels(names)
        self.table.setVerticalHeaderLabels(names)
        for index, name in enumerate(matrix.raters):
            self.table.horizontalHeaderItem(index).setToolTip(f"To rater {name}")
            self.table.verticalHeaderItem(index).setToolTip(f"From rater {name}")
        largest = max([LEAST, *(abs(value) for row in matrix.values for value in row if value is not None)])
        for row in range(count):
            for column in range(count):
                self.table.setItem(row, column, _cell(matrix, row, column, largest, unit))
        self.table.setFixedHeight(HEADER_HEIGHT + ROW_HEIGHT * count + FRAME)


def _cell(matrix: Matrix, row: int, column: int, largest: float, unit: str) -> Any:
    value = matrix.values[row][column]
    item = qt.QTableWidgetItem("" if row == column else short(value))
    item.setTextAlignment(qt.Qt.AlignCenter)
    item.setToolTip(tip(matrix, row, column, unit))
    item.setForeground(qt.QBrush(qt.QColor("#000000")))
    item.setBackground(qt.QBrush(qt.QColor(*colour(None if row == column else value, largest))))
    return item


def short(value: float | None) -> str:
    """A cell's number, without the decimal that a wide one has no room for."""
    text = signed(value)
    return text if value is None or len(text) <= 4 else f"{value:+.0f}".replace("-", "−")


def tip(matrix: Matrix, row: int, column: int, unit: str) -> str:
    """A cell in words."""
    one, other = matrix.raters[row], matrix.raters[column]
    value = matrix.values[row][column]
    if row == column:
        return f"Rater {one}"
    if value is None:
        return f"From rater {one} to rater {other}: not known"
    low, high = matrix.low[row][column], matrix.high[row][column]
    interval = "" if low is None or high is None else f" (interval {signed(low)} to {signed(high)})"
    word = "costs" if value >= 0 else "gains"
    return f"From rater {one}'s to rater {other}'s masks: {word} {abs(value):.1f} {unit}{interval}"


def colour(value: float | None, largest: float) -> tuple[int, int, int]:
    """Orange for a cost, blue for a gain, stronger for more; grey where nothing is known."""
    if value is None:
        return 225, 225, 225
    share = PALE * min(abs(value) / largest, 1.0)
    red, green, blue = COST if value >= 0 else GAIN
    return round(255 - share * (255 - red)), round(255 - share * (255 - green)), round(255 - share * (255 - blue))
