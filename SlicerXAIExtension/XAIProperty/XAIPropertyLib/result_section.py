"""The section of the results: which one is shown, what it says, and the properties by the size of their effect."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.verdict import checks_html, verdict_html
from XAIPanels import bars
from XAIPanels.choosing import chosen, offer
from XAIPanels.result_frame import ResultFrame
from XAIPanels.row_table import RowTable
from XAIPanels.task_list import TaskList

from .logic import PropertyLogic
from .tables import Effect, outputs, ranked
from .words import VERDICTS, colour_of, headline, output_title, row_of, strengths, unusable_words

NO_RESULT = _("No result yet. Choose an image above and press “Rank all properties”.")
COLUMNS = (_("Property"), _("Effect"), _("Turns at"), "p", _("Verdict"))
HINTS = (
    _("What is changed in the image."),
    _(
        "E|∇F| times the range: how far the output moves on the way, up and down added, in its units. Bars are shares "
        "of "
        "the largest."
    ),
    _("The first value at which the decision turns, and how often it turns where that is more than once."),
    _("Against control changes of the same size, adjusted for the number of properties. Small: it is this property."),
    _(
        "Red: depends. Blue: changes, but no more than under other changes of the same size (as others). Grey: no "
        "change. "
        "Orange: not resolved (unclear)."
    ),
)
EFFECT = 1
NARROW = (EFFECT, 2, 3)
"""Columns that are as wide as what they hold; the verdict has the rest."""
MOST_ROWS = 8


class ResultSection(ResultFrame):
    """Shows what the logic holds.

    Args:
        open_report: asked to open the report of a result node.
        changed: called whenever another result, property or output was chosen.
        tasks: of the panel.
    """

    def __init__(
        self,
        ui: Any,
        logic: PropertyLogic,
        open_report: Callable[[Any], None],
        changed: Callable[[], None],
        tasks: TaskList,
    ) -> None:
        super().__init__(ui, logic, NO_RESULT, self._show_words, open_report, changed, tasks)
        self._results = logic
        self._effects: list[Effect] = []
        self.table = RowTable(ui.effectTable, COLUMNS, HINTS, self._choose, MOST_ROWS)
        for column in NARROW:
            ui.effectTable.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        ui.effectTable.setIconSize(qt.QSize(bars.WIDTH, bars.HEIGHT))
        ui.outputCombo.connect("currentIndexChanged(int)", self._output_chosen)

    def _show_words(self, node: Any) -> None:
        found = self._results.result(node)
        document, output = found.document, found.output
        known = outputs(document)
        self.ui.headlineLabel.text = headline(document, output)
        self.ui.headlineLabel.visible = bool(self.ui.headlineLabel.text)
        self.ui.verdictLabel.text = verdict_html(document, VERDICTS, flags=False)
        self.ui.checksLabel.text = checks_html(document)
        offer(self.ui.outputCombo, [output_title(one) for one in known], output, [one.name for one in known])
        self._effects = ranked(document, output)
        names = [one.property for one in self._effects]
        icons = [bars.bar(share, colour_of(one.verdict)) for one, share in zip(self._effects, strengths(self._effects))]
        place = names.index(found.property_name) if found.property_name in names else -1
        self.table.fill([row_of(one) for one in self._effects], place, {EFFECT: icons})
        self.table.table.visible = len(names) > 1
        told = unusable_words(document)
        self.ui.unusableLabel.visible = bool(told)
        self.ui.unusableLabel.text = f"<small><b>{escape(_('Not possible on this image'))}</b><br>{told}</small>"

    def _choose(self, row: int) -> None:
        if self.shown is None:
            return
        found = self._results.result(self.shown)
        if found.property_name != self._effects[row].property:
            found.property_name, found.step = self._effects[row].property, None
        self._changed()

    def _output_chosen(self, _index: int) -> None:
        if self.shown is not None:
            found = self._results.result(self.shown)
            kept = found.property_name
            found.output, found.property_name = chosen(self.ui.outputCombo), kept
            self.update()
            self._changed()
