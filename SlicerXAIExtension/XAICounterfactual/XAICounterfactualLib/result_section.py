"""The section of the results: which one is shown, what it says, its gallery and its labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _
from XAILib.verdict import checks_html, verdict_html
from XAIPanels.result_frame import ResultFrame
from XAIPanels.row_table import RowTable
from XAIPanels.task_list import TaskList
from XAIPanels.words import number, percent

from .logic import CounterfactualLogic
from .tables import Entry, Label, entries, labels
from .words import VERDICTS, count, headline, yes

NO_RESULT = _("No result yet. Choose an image above and press the big button.")
GALLERY = ("#", _("Turned"), _("Before"), _("After"), _("Voxels"), _("In mask"), _("Real"))
GALLERY_HINTS = (
    _("Number of the counterfactual: each is kept off what the earlier ones changed."),
    _("Whether the decision is the other one."),
    _("Probability for the image as it is."),
    _("Probability for the changed image."),
    _("Voxels that were changed."),
    _("Share of the change inside the expert’s mask."),
    _("How much the changed image is like those that the model was trained on."),
)
LABELS = (_("Label"), _("Before"), _("After"), _("Limit"), _("Turned"))
LABEL_HINTS = (
    _("What the model decides on."),
    _("Probability for the image as it is."),
    _("Probability for the changed image."),
    _("Probability from which on the label counts as present."),
    _("Whether the decision is the other one."),
)


class ResultSection(ResultFrame):
    """Shows what the logic holds.

    Args:
        open_report: asked to open the report of a result node.
        changed: called whenever another result or counterfactual was chosen.
        tasks: of the panel.
    """

    def __init__(
        self,
        ui: Any,
        logic: CounterfactualLogic,
        open_report: Callable[[Any], None],
        changed: Callable[[], None],
        tasks: TaskList,
    ) -> None:
        super().__init__(ui, logic, NO_RESULT, self._show_words, open_report, changed, tasks)
        self._results = logic
        self.gallery = RowTable(ui.galleryTable, GALLERY, GALLERY_HINTS, self._choose)
        self.labels = RowTable(ui.labelTable, LABELS, LABEL_HINTS)

    def _show_words(self, node: Any) -> None:
        found = self._results.result(node)
        document = found.document
        self.ui.headlineLabel.text = headline(document)
        self.ui.verdictLabel.text = verdict_html(document, VERDICTS, flags=False)
        self.ui.checksLabel.text = checks_html(document)
        self.gallery.fill([_gallery_row(entry) for entry in entries(document)], found.chosen)
        rows = labels(document)
        self.labels.fill([_label_row(label) for label in rows])
        self.ui.labelsLabel.visible = bool(rows)
        self.ui.labelsLabel.text = _turned(rows)

    def _choose(self, row: int) -> None:
        self._results.choose(row)
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
    return _("<b>Turned:</b> {names}").format(names=", ".join(names)) if names else _("<b>No label turned.</b>")
