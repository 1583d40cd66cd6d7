"""The section of the results: which one is shown, what it says, its gallery and its labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from XAILib.verdict import checks_html, verdict_html
from XAIPanels.choosing import enable, offer_nodes
from XAIPanels.row_table import RowTable

from .logic import CounterfactualLogic
from .tables import Entry, Label, entries, labels
from .words import VERDICTS, count, headline, number, percent, yes

NO_RESULT = "No result yet. Choose an image above and press the big button."
GALLERY = ("#", "Turned", "Before", "After", "Voxels", "In mask", "Real")
GALLERY_HINTS = (
    "Number of the counterfactual: each is kept off what the earlier ones changed.",
    "Whether the decision is the other one.",
    "Probability for the image as it is.",
    "Probability for the changed image.",
    "Voxels that were changed.",
    "Share of the change inside the expert’s mask.",
    "How much the changed image is like those that the model was trained on.",
)
LABELS = ("Label", "Before", "After", "Limit", "Turned")
LABEL_HINTS = (
    "What the model decides on.",
    "Probability for the image as it is.",
    "Probability for the changed image.",
    "Probability from which on the label counts as present.",
    "Whether the decision is the other one.",
)


class ResultSection:
    """Shows what the logic holds.

    Args:
        open_report: asked to open the report of a result node.
        changed: called whenever another result or counterfactual was chosen.
    """

    def __init__(
        self,
        ui: Any,
        logic: CounterfactualLogic,
        open_report: Callable[[Any], None],
        changed: Callable[[], None],
    ) -> None:
        self.ui = ui
        self._logic = logic
        self._changed = changed
        self._nodes: list[Any] = []
        self.gallery = RowTable(ui.galleryTable, GALLERY, GALLERY_HINTS, self._choose)
        self.labels = RowTable(ui.labelTable, LABELS, LABEL_HINTS)
        ui.emptyLabel.text = NO_RESULT
        ui.resultCombo.connect("currentIndexChanged(int)", self._show_chosen)
        ui.reportButton.connect("clicked()", lambda: open_report(self.shown))
        ui.removeButton.connect("clicked()", self._remove)
        ui.clearButton.connect("clicked()", self._clear)
        ui.undoButton.connect("clicked()", self._undo)
        self.say("")

    @property
    def shown(self) -> Any:
        """The result node that is chosen, or None."""
        index = self.ui.resultCombo.currentIndex
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def show(self, node: Any) -> None:
        """Show a result in the views and in the panel."""
        self._logic.show(node)
        self.update()

    def update(self) -> None:
        """Follow the scene: results may have come, gone or been renamed."""
        self._nodes = self._logic.results()
        offer_nodes(self.ui.resultCombo, self._nodes, self._logic.parameters().shown)
        node = self.shown
        self.ui.emptyLabel.visible = node is None
        self.ui.resultPanel.visible = node is not None
        self.ui.undoButton.visible = bool(self._logic.removed)
        self.say("")
        if node is None:
            return
        found = self._logic.result(node)
        document = found.document
        self.ui.headlineLabel.text = headline(document)
        self.ui.verdictLabel.text = verdict_html(document, VERDICTS, flags=False)
        self.ui.checksLabel.text = checks_html(document)
        self.gallery.fill([_gallery_row(entry) for entry in entries(document)], found.chosen)
        rows = labels(document)
        self.labels.fill([_label_row(label) for label in rows])
        self.ui.labelsLabel.visible = bool(rows)
        self.ui.labelsLabel.text = _turned(rows)

    def refresh(self, report_reason: str) -> None:
        """Enable what can be used.

        Args:
            report_reason: why no report can be opened; empty when it can.
        """
        enable(self.ui.reportButton, report_reason, "Open the full report in the web browser.")
        self.ui.removeButton.toolTip = "Remove this result from the scene; the image stays."
        self.ui.clearButton.toolTip = "Remove all results of this panel from the scene; the images stay."
        self.ui.undoButton.toolTip = "Bring back what was removed last."

    def say(self, text: str) -> None:
        """A sentence below the tables."""
        self.ui.resultState.text = text
        self.ui.resultState.visible = bool(text)

    def _choose(self, row: int) -> None:
        self._logic.choose(row)
        self._changed()

    def _show_chosen(self, _index: int) -> None:
        if self.shown is not None:
            self.show(self.shown)
            self._changed()

    def _remove(self) -> None:
        if self.shown is not None:
            self._logic.remove([self.shown])
            self._show_last()

    def _clear(self) -> None:
        self._logic.remove(self._logic.results())
        self._show_last()

    def _undo(self) -> None:
        self._logic.undo()
        self._show_last()

    def _show_last(self) -> None:
        remaining = self._logic.results()
        if remaining:
            self.show(remaining[-1])
        else:
            self.update()
        self._changed()


def _gallery_row(entry: Entry) -> tuple[str, ...]:
    chances = (percent(entry.before), percent(entry.after))
    rest = (count(entry.voxels), percent(entry.share), percent(entry.plausibility))
    return (str(entry.number), yes(entry.flipped), *chances, *rest)


def _label_row(label: Label) -> tuple[str, ...]:
    limit = number(label.threshold)
    return (label.name, percent(label.before), percent(label.after), limit, yes(label.flipped))


def _turned(rows: list[Label]) -> str:
    names = [label.name for label in rows if label.flipped]
    return f"<b>Turned:</b> {', '.join(names)}" if names else "<b>No label turned.</b>"
