"""The table of the predicted lesions of one image; choosing a row goes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.worklist import LesionItem
from XAIPanels.columns import set_columns

from . import bars, words

COLUMNS = (_("Lesion"), _("Suspicion"), _("Volume"), _("Probability"))
HINTS = (
    _("Number of the lesion; a red flag marks a suspicious one. Choosing a row goes there in all views."),
    _("Estimated probability that this is no lesion."),
    _("Volume of the lesion."),
    _("Mean probability over its voxels, by the model."),
)


class LesionTable:
    """Read-only.

    Args:
        chosen: called with the lesion when a row is chosen or clicked again.
    """

    def __init__(self, table: Any, chosen: Callable[[LesionItem], None]) -> None:
        self.table = table
        self._lesions: tuple[LesionItem, ...] = ()
        self._on_chosen = chosen
        set_columns(table, COLUMNS, HINTS)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
        table.setIconSize(qt.QSize(bars.WIDTH, bars.HEIGHT))
        table.connect("currentCellChanged(int,int,int,int)", self._row_changed)
        table.connect("cellClicked(int,int)", self._row_clicked)

    def fill(self, lesions: tuple[LesionItem, ...]) -> None:
        """Show these lesions, the most suspicious first."""
        lesions = tuple(sorted(lesions, key=lambda lesion: (-(lesion.suspicion or 0.0), lesion.number)))
        if lesions == self._lesions:
            return
        self._lesions = lesions
        self.table.blockSignals(True)
        self.table.clearContents()
        self.table.rowCount = len(lesions)
        for row, lesion in enumerate(lesions):
            self._fill_row(row, lesion)
        self.table.setCurrentItem(None)
        self.table.blockSignals(False)

    def _fill_row(self, row: int, lesion: LesionItem) -> None:
        suspicion = _("not scored") if lesion.suspicion is None else f"{lesion.suspicion:.2f}"
        texts = (
            str(lesion.number),
            suspicion,
            _("{volume_ml:.2f} ml").format(volume_ml=lesion.volume_ml),
            words.percent(lesion.probability),
        )
        for column, text in enumerate(texts):
            cell = qt.QTableWidgetItem(text)
            cell.setToolTip(lesion.reason)
            if column == 0:
                cell.setIcon(bars.flag(lesion.flagged))
            elif column == 1:
                cell.setIcon(bars.share(lesion.suspicion, 1.0))
            else:
                cell.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            self.table.setItem(row, column, cell)

    def _row_changed(self, row: int, _column: int, before: int, _column_before: int) -> None:
        if row != before:
            self._tell(row)

    def _row_clicked(self, row: int, _column: int) -> None:
        self._tell(row)

    def _tell(self, row: int) -> None:
        if 0 <= row < len(self._lesions):
            self._on_chosen(self._lesions[row])
