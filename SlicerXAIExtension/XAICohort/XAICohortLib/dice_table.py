"""The matrix of raters: how much the masks of each pair overlap."""

from __future__ import annotations

from slicer.i18n import tr as _
from XAILib.agreement import Agreement
from XAIPanels.square_table import Cell, SquareTable

from . import words

PALE, DARK = (255, 255, 255), (79, 134, 185)
"""Background of a Dice of 0 and of 1; black numbers are readable on both."""


class DiceTable(SquareTable):
    """Numbers over a background that is darker for more overlap."""

    def show(self, agreement: Agreement) -> None:
        """Show the overlap of each pair."""
        raters = [row.rater for row in agreement.raters]
        names = [words.rater_name(rater) for rater in raters]

        def cell(row: int, column: int) -> Cell:
            if row == column:
                return Cell("", names[row], background(None))
            value = agreement.dice[row][column]
            tip = _("{one} and {other}: Dice {value}").format(
                one=names[row], other=names[column], value=words.dice(value)
            )
            return Cell(words.dice(value), tip, background(value))

        self.fill(raters, names, names, cell)


def background(value: float | None) -> tuple[int, int, int]:
    """Darker for more overlap; grey for a rater and himself."""
    if value is None:
        return 225, 225, 225
    red, green, blue = (round(low + value * (high - low)) for low, high in zip(PALE, DARK))
    return red, green, blue
