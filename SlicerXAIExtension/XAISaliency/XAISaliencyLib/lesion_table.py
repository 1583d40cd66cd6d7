"""The table of predicted lesions: one row each; choosing a row goes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _
from XAIPanels.columns import set_columns

from .lesions import Lesion

COLUMNS = (_("Lesion"), _("Volume"), _("Probability"), _("Inside"), _("Near"))
HINTS = (
    _("Number of the lesion in this result."),
    _("Volume of the lesion."),
    _("Mean probability over its voxels."),
    _("Share of the positive relevance that lies inside the lesion."),
    _("Share of the positive relevance that lies inside the lesion or near it."),
)


class LesionTable:
    """Read-only.

    Args:
        chosen: called with the lesion when a row is chosen.
        activated: called with the lesion on Enter or a double click.
    """

    def __init__(self, table: Any, chosen: Callable[[Lesion], None], activated: Callable[[Lesion], None]) -> None:
        self.table = table
        self._lesions: list[Lesion] = []
        self._on_chosen = chosen
        self._on_activated = activated
        set_columns(table, COLUMNS, HINTS)
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        table.horizontalHeader().setStretchLastSection(True)
        table.connect("currentCellChanged(int,int,int,int)", self._row_changed)
        table.connect("cellClicked(int,int)", self._row_clicked)
        table.connect("cellActivated(int,int)", self._row_activated)

    @property
    def chosen(self) -> Lesion | None:
        """The lesion of the chosen row."""
        row = self.table.currentRow()
        return self._lesions[row] if 0 <= row < len(self._lesions) else None

    def fill(self, lesions: list[Lesion]) -> None:
        """Show these lesions; a chosen row stays chosen when its lesion is still there."""
        if lesions == self._lesions:
            return
        before = self.chosen
        explained = [lesion for lesion in lesions if lesion.explained]
        explained = explained if len(explained) == 1 < len(lesions) else []
        self._lesions = lesions
        self.table.blockSignals(True)
        self.table.clearContents()
        self.table.rowCount = len(lesions)
        for row, lesion in enumerate(lesions):
            for column, text in enumerate(_texts(lesion, lesion in explained)):
                item = qt.QTableWidgetItem(text)
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self.table.setItem(row, column, item)
        chosen = explained or [lesion for lesion in lesions if before is not None and lesion.centre == before.centre]
        if chosen:
            self.table.selectRow(lesions.index(chosen[0]))
        else:
            self.table.setCurrentItem(None)
        self.table.blockSignals(False)

    def choose(self, number: int) -> None:
        """Choose the row of a lesion by its number."""
        for row, lesion in enumerate(self._lesions):
            if lesion.number == number:
                self.table.selectRow(row)

    def _row_changed(self, row: int, _column: int, before: int, _column_before: int) -> None:
        if row != before:
            self._tell(self._on_chosen, row)

    def _row_clicked(self, row: int, _column: int) -> None:
        self._tell(self._on_chosen, row)

    def _row_activated(self, row: int, _column: int) -> None:
        self._tell(self._on_activated, row)

    def _tell(self, listener: Callable[[Lesion], None], row: int) -> None:
        if 0 <= row < len(self._lesions):
            listener(self._lesions[row])


def _texts(lesion: Lesion, marked: bool) -> tuple[str, ...]:
    return (
        f"{'▸ ' if marked else ''}{lesion.number}",
        _("{volume:.2f} ml").format(volume=lesion.volume),
        *(_percent(value) for value in (lesion.probability, lesion.inside, lesion.near)),
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"
