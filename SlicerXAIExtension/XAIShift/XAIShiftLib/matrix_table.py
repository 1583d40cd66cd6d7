"""The matrix of raters: what a change from the row's to the column's masks costs on the same images."""

from __future__ import annotations

from slicer.i18n import tr as _
from XAIPanels.square_table import Cell, SquareTable

from .attribution import Matrix, signed

COST, GAIN = (232, 120, 0), (47, 134, 245)
PALE = 0.85
"""Share of the full colour that the largest value of a matrix gets, so that black numbers stay readable."""
LEAST = 2.0
"""Smallest value that may get the darkest colour: the noise of a quiet matrix shall not look dramatic."""


class MatrixTable(SquareTable):
    """Colours and numbers in the cells, intervals in their tooltips."""

    def show(self, matrix: Matrix, unit: str) -> None:
        """Show a matrix.

        Args:
            unit: of its values.
        """
        largest = max([LEAST, *(abs(value) for row in matrix.values for value in row if value is not None)])

        def cell(row: int, column: int) -> Cell:
            value = None if row == column else matrix.values[row][column]
            text = "" if row == column else short(value)
            return Cell(text, tip(matrix, row, column, unit), colour(value, largest))

        origins = [_("From rater {name}").format(name=name) for name in matrix.raters]
        targets = [_("To rater {name}").format(name=name) for name in matrix.raters]
        self.fill(matrix.raters, origins, targets, cell)


def short(value: float | None) -> str:
    """A cell's number, without the decimal that a wide one has no room for."""
    text = signed(value)
    return text if value is None or len(text) <= 4 else f"{value:+.0f}".replace("-", "−")


def tip(matrix: Matrix, row: int, column: int, unit: str) -> str:
    """A cell in words."""
    one, other = matrix.raters[row], matrix.raters[column]
    value = matrix.values[row][column]
    if row == column:
        return _("Rater {one}").format(one=one)
    if value is None:
        return _("From rater {one} to rater {other}: not known").format(one=one, other=other)
    low, high = matrix.low[row][column], matrix.high[row][column]
    interval = (
        ""
        if low is None or high is None
        else _(" (interval {low} to {high})").format(low=signed(low), high=signed(high))
    )
    word = "costs" if value >= 0 else "gains"
    return _("From rater {one}'s to rater {other}'s masks: {word} {value:.1f} {unit}{interval}").format(
        one=one, other=other, word=word, value=abs(value), unit=unit, interval=interval
    )


def colour(value: float | None, largest: float) -> tuple[int, int, int]:
    """Orange for a cost, blue for a gain, stronger for more; grey where nothing is known."""
    if value is None:
        return 225, 225, 225
    share = PALE * min(abs(value) / largest, 1.0)
    red, green, blue = COST if value >= 0 else GAIN
    return round(255 - share * (255 - red)), round(255 - share * (255 - green)), round(255 - share * (255 - blue))
