"""The matrix of raters: how much the masks of each pair overlap."""

from __future__ import annotations

from slicer.i18n import tr as _
from XAILib.agreement import Agreement
from XAIPanels.square_table import Cell, SquareTable

from . import words
from .palette import dice_colour


class DiceTable(SquareTable):
    """Numbers over a background that is darker for more overlap."""

    def show(self, agreement: Agreement) -> None:
        """Show the overlap of each pair."""
        raters = [row.rater for row in agreement.raters]
        names = [words.rater_name(rater) for rater in raters]

        def cell(row: int, column: int) -> Cell:
            if row == column:
                return Cell("", names[row], dice_colour(None))
            value = agreement.dice[row][column]
            tip = _("{one} and {other}: Dice {value}").format(
                one=names[row], other=names[column], value=words.dice(value)
            )
            return Cell(words.dice(value), tip, dice_colour(value))

        self.fill(raters, names, names, cell)
