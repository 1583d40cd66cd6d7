"""The section of the results: verdict, shares, what to do, raters, and the cases to open."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from slicer.i18n import tr as _
from XAILib.verdict import checks_html, verdict_html
from XAIPanels.choosing import enable, offer_nodes

from .attribution import (
    CaseRow,
    actions_of,
    cases_of,
    matrix_of,
    metric_of,
    raters_of,
    shares_of,
    summary_of,
    unit_of,
)
from .case_table import CaseTable
from .chart import draw, words
from .logic import ShiftLogic
from .matrix_table import MatrixTable
from .opened import PREDICTION_COLOUR, SOURCE_COLOUR, TARGET_COLOUR, roles
from .words import NO_ACTION, VERDICTS, cases, mechanism, metric

NO_RESULT = _("No result yet. Choose source and target above and press “Attribute the drop”.")
MATRIX_WORDS = _("What a change from the row's to the column's rater costs on the same images and predictions, in {}.")


class ResultSection:
    """Shows what the logic holds.

    Args:
        open_case: asked to open a case of a result node.
        show_case: asked to show a case of a result node that is open already; whether it is.
        changed: called whenever another result or case was chosen.
    """

    def __init__(
        self,
        ui: Any,
        logic: ShiftLogic,
        open_case: Callable[[Any, str], None],
        show_case: Callable[[Any, str], bool],
        changed: Callable[[], None],
    ) -> None:
        self.ui = ui
        self._logic = logic
        self._open_case = open_case
        self._show_case = show_case
        self._changed = changed
        self._nodes: list[Any] = []
        self.matrix = MatrixTable(ui.matrixTable)
        self.table = CaseTable(ui.caseTable, self._row_chosen, self._row_activated)
        ui.emptyLabel.text = NO_RESULT
        ui.checksSection.collapsed = True
        ui.resultCombo.connect("currentIndexChanged(int)", self._show_chosen)
        ui.openCaseButton.connect("clicked()", self._open_chosen)
        ui.removeButton.connect("clicked()", self._remove)
        self.say("")

    @property
    def shown(self) -> Any:
        """The result node that is chosen, or None."""
        index = self.ui.resultCombo.currentIndex
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def show(self, node: Any) -> None:
        """Show a result."""
        self._logic.parameters().shown = node
        self.update()

    def update(self) -> None:
        """Follow the scene: results may have come, gone or been renamed."""
        self._nodes = self._logic.results()
        offer_nodes(self.ui.resultCombo, self._nodes, self._logic.parameters().shown)
        self.ui.resultCombo.toolTip = str(self.ui.resultCombo.currentText)
        node = self.shown
        self.ui.emptyLabel.visible = node is None
        self.ui.resultPanel.visible = node is not None
        if node is not None:
            self._show(self._logic.document(node))

    def refresh(self, case_reason: str, opening: bool, report_reason: str) -> None:
        """Enable what can be used.

        Args:
            case_reason: why no case can be opened now; empty when one can.
            opening: a case is being opened.
            report_reason: why there is no report; empty when there is.
        """
        row = self.table.chosen
        case_reason = case_reason or ("" if row is not None else _("Choose a case in the table first."))
        hint = (
            ""
            if row is None
            else _("Show {case} in the slice views, with the outlines of raters and model.").format(case=row.case)
        )
        enable(self.ui.openCaseButton, case_reason, hint)
        self.ui.openCaseButton.text = _("&Open case") if row is None else _("&Open {case}").format(case=row.case)
        enable(self.ui.cancelCaseButton, "" if opening else _("No case is being opened."), _("Do not wait any longer."))
        enable(self.ui.reportButton, report_reason, _("Open the full report in the web browser."))
        enable(self.ui.saveButton, report_reason, _("Save the full report as one HTML page."))
        self.ui.removeButton.toolTip = _("Remove this result and the cases that were opened from it from the scene.")

    def say(self, text: str) -> None:
        """A sentence below the buttons."""
        self.ui.reportState.text = escape(text)
        self.ui.reportState.visible = bool(text)

    def _show(self, document: dict[str, Any]) -> None:
        name, unit, shares = metric(metric_of(document)), unit_of(document), shares_of(document)
        self.ui.verdictLabel.text = verdict_html(document, VERDICTS, flags=False)
        self.ui.summaryLabel.text = escape(summary_of(document, name))
        self.ui.chartLabel.setPixmap(draw(shares, unit))
        self.ui.chartLabel.toolTip = words(shares, unit)
        self.ui.actionsLabel.text = _actions(document)
        self.ui.checksLabel.text = checks_html(document)
        matrix = matrix_of(document)
        self.ui.matrixSection.visible = matrix is not None
        if matrix is not None:
            self.ui.matrixLabel.text = f"<small>{escape(MATRIX_WORDS.format(unit))}</small>"
            self.matrix.show(matrix, unit)
        rows = cases_of(document)
        self.ui.casesLabel.text = _("<b>{count}</b>, worst first. A double click opens one in the views.").format(
            count=cases(len(rows))
        )
        self.table.fill(rows, name)
        self.ui.legendLabel.text = _legend(raters_of(document))

    def _show_chosen(self, _index: int) -> None:
        if self.shown is not None:
            self.show(self.shown)
            self._changed()

    def _row_chosen(self) -> None:
        row = self.table.chosen
        if row is not None and self.shown is not None:
            self._show_case(self.shown, row.case)
        self._changed()

    def _row_activated(self, row: CaseRow) -> None:
        if self.ui.openCaseButton.enabled:
            self._open_case(self.shown, row.case)

    def _open_chosen(self) -> None:
        row = self.table.chosen
        if row is not None:
            self._row_activated(row)

    def _remove(self) -> None:
        if self.shown is not None:
            self._logic.remove(self.shown)
            self.update()
            self._changed()


def _actions(document: dict[str, Any]) -> str:
    """What to do, mechanism by mechanism."""
    found = actions_of(document)
    if not found:
        return _("<b>What to do:</b> {no_action}").format(no_action=escape(NO_ACTION))
    lines = [f"<b>{escape(mechanism(name))}:</b> {escape(words)}" for name, words in found]
    return _("<b>What to do</b><br>") + "<br>".join(lines)


def _legend(raters: tuple[str, ...]) -> str:
    """Rich text that explains the colours of the outlines."""
    named = zip(
        (SOURCE_COLOUR, TARGET_COLOUR),
        (_("rater {rater}{role}").format(rater=rater, role=role) for rater, role in zip(raters, roles(raters))),
    )
    cells = "".join(
        f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;&nbsp;</td><td>&nbsp;{escape(name)}&nbsp;&nbsp;</td>'
        for colour, name in (*named, (PREDICTION_COLOUR, _("prediction (area)")))
    )
    return f'<table cellspacing="0" cellpadding="1"><tr>{cells}</tr></table>'
