"""The table of the raters of a case: colour, whether it is drawn, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.agreement import Agreement
from XAIPanels.bars import icon
from XAIPanels.columns import set_columns

from . import words

NAMES = (_("Rater"), _("Volume (ml)"), _("Lesions"), _("Dice, consensus"))
HINTS = (
    _("Whose mask; the box says whether it is drawn. The colour is that of the outline."),
    _("What is drawn, in millilitres."),
    _("Connected parts of at least 3 mm³."),
    _("Overlap with the consensus: 0 for none, 1 for the same."),
)
SWATCH, BORDER = 12, "#808080"
ROW_HEIGHT, FRAME, MOST_ROWS = 22, 4, 9


class RaterTable:
    """Says which raters are drawn.

    Args:
        hidden: called with the raters that shall not be drawn when a box was clicked.
        activated: called with a rater on Enter or a double click.
    """

    def __init__(self, table: Any, hidden: Callable[[tuple[str, ...]], None], activated: Callable[[str], None]) -> None:
        self.table = table
        self._raters: tuple[str, ...] = ()
        self._on_hidden = hidden
        self._on_activated = activated
        set_columns(table, NAMES, HINTS)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.connect("itemChanged(QTableWidgetItem*)", self._changed)
        table.connect("cellActivated(int,int)", self._row_activated)

    def fill(self, colours: Mapping[str, str], hidden: Sequence[str], agreement: Agreement | None) -> None:
        """Show the raters of a case.

        Args:
            colours: by rater, in the order of the rows.
            agreement: what was measured; None before.
        """
        self._raters = tuple(colours)
        measured = {row.rater: row for row in agreement.raters} if agreement is not None else {}
        self.table.blockSignals(True)
        self.table.rowCount = len(colours)
        for number, (rater, colour) in enumerate(colours.items()):
            row = measured.get(rater)
            texts = [words.rater_name(rater), "…", "…", "…"]
            if row is not None:
                texts[1:] = [words.millilitres(row.volume_ml), str(row.lesions), words.dice(row.dice)]
            for column, text in enumerate(texts):
                cell = qt.QTableWidgetItem(text)
                if column:
                    cell.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                else:
                    cell.setCheckState(qt.Qt.Unchecked if rater in hidden else qt.Qt.Checked)
                    cell.setIcon(swatch(colour))
                    cell.setToolTip(
                        _("Drawn in {colour}. Enter or a double click: this one alone.").format(colour=colour)
                    )
                self.table.setItem(number, column, cell)
        self.table.blockSignals(False)
        self.table.visible = bool(colours)
        rows = min(max(len(colours), 1), MOST_ROWS)
        self.table.setFixedHeight(self.table.horizontalHeader().height + ROW_HEIGHT * rows + FRAME)

    def _changed(self, _item: Any) -> None:
        cells = [self.table.item(row, 0) for row in range(len(self._raters))]
        self._on_hidden(
            tuple(rater for rater, cell in zip(self._raters, cells) if cell.checkState() == qt.Qt.Unchecked)
        )

    def _row_activated(self, row: int, _column: int) -> None:
        if 0 <= row < len(self._raters):
            self._on_activated(self._raters[row])


def swatch(colour: str) -> Any:
    """An icon of one colour, with a border that is seen on light and dark tables."""
    picture = qt.QPixmap(SWATCH, SWATCH)
    picture.fill(qt.QColor(BORDER))
    painter = qt.QPainter()
    painter.begin(picture)
    painter.fillRect(1, 1, SWATCH - 2, SWATCH - 2, qt.QColor(colour))
    painter.end()
    return icon(picture)
