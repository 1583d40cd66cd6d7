"""Where the change lies: inside a segment of the scene, and under one model beside another."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from threading import Event
from typing import Any

from slicer.i18n import tr as _
from XAILib.nrrd import Volume
from XAIPanels.choosing import chosen, offer
from XAIPanels.documents import model_of, same_image
from XAIPanels.errors import ExportError
from XAIPanels.row_table import RowTable
from XAIPanels.tasks import Task, Tasks
from XAIPanels.words import percent

from . import words
from .logic import CounterfactualLogic
from .tables import entries
from .work import shares

NO_SEGMENT = _("none")
COLUMNS = (_("Model"), _("Turned"), _("Before"), _("After"), _("In mask"), _("Segment"))
HINTS = (
    _("The model that decided. Click a row to see its counterfactual."),
    _("Whether the decision is the other one."),
    _("Probability for the image as it is."),
    _("Probability for the changed image."),
    _("Share of the change inside the expert’s mask."),
    _("Share of the change inside the segment that is chosen above."),
)
EMPTY = _("The segment has no voxels.")
NOTHING = _("Nothing was changed, so there is no share.")


class ShareSection:
    """Measures in the background.

    Args:
        show: asked to show a result node.
    """

    def __init__(self, ui: Any, logic: CounterfactualLogic, tasks: Tasks, show: Callable[[Any], None]) -> None:
        self.ui = ui
        self._logic = logic
        self._tasks = tasks
        self._show = show
        self._task: Task | None = None
        self._shares: dict[str, float | None] = {}
        self._measured: Any = None
        self._nodes: list[Any] = []
        self._segments: list[tuple[Any, str, str]] = []
        self.table = RowTable(ui.compareTable, COLUMNS, HINTS, lambda row: self._show(self._nodes[row]))
        ui.segmentCombo.connect("currentIndexChanged(int)", self._chosen)
        ui.measureButton.connect("clicked()", self.measure)

    def update(self) -> None:
        """Follow the scene and the shown result."""
        self._segments = self._logic.segments()
        names = [NO_SEGMENT, *(name for _unused, _unused, name in self._segments)]
        offer(self.ui.segmentCombo, names, self._place + 1, range(len(names)))
        shown = self._logic.shown
        self._nodes = [] if shown is None else self._of_the_image(shown.document)
        if self._question() != self._measured:
            self.measure()
        self._fill()

    def measure(self) -> None:
        """Measure anew, as when the segment was edited."""
        self._measured, self._shares = self._question(), {}
        if self._task is not None:
            self._tasks.drop(self._task)
            self._task = None
        self._say("")
        node, segment = self._logic.parameters().segment
        if node is None or not self._nodes:
            return
        try:
            labels = self._logic.segment_voxels(node, segment)
            found = {one.GetID(): self._logic.change_voxels(one) for one in self._nodes}
        except ExportError as error:
            self._say(escape(str(error)))
            return
        if labels is None:
            self._say(EMPTY)
            return
        changes: dict[str, Volume] = {name: change for name, change in found.items() if change is not None}
        inside: Volume = labels
        self._say(_("Measuring …"))

        def work(_stop: Event, _progress: Any) -> dict[str, float | None]:
            return shares(changes, inside)

        self._task = self._tasks.start(work, self._done, self._failed)

    def _question(self) -> Any:
        """What the shares depend on, but for the voxels of the segment."""
        node, segment = self._logic.parameters().segment
        chosen_ones = tuple((one.GetID(), self._logic.result(one).chosen) for one in self._nodes)
        return (node.GetID() if node is not None else "", segment, chosen_ones)

    def _of_the_image(self, document: dict[str, Any]) -> list[Any]:
        results = self._logic.results()
        shown = self._logic.parameters().shown
        return [one for one in results if one is shown or same_image(self._logic.result(one).document, document)]

    def _fill(self) -> None:
        rows = []
        for node in self._nodes:
            found = self._logic.result(node)
            gallery = entries(found.document)
            entry = gallery[found.chosen] if found.chosen < len(gallery) else None
            told = (words.yes(entry.flipped), percent(entry.before), percent(entry.after)) if entry else ()
            share = (percent(entry.share) if entry else "–", percent(self._shares.get(node.GetID())))
            rows.append((model_of(found.document) or "?", *(told or ("–",) * 3), *share))
        shown = self._logic.parameters().shown
        self.table.fill(rows, self._nodes.index(shown) if shown in self._nodes else -1)

    def _chosen(self, _index: int) -> None:
        place = (chosen(self.ui.segmentCombo) or 0) - 1
        self._logic.parameters().segment = self._segments[place][:2] if place >= 0 else (None, "")
        self.update()

    @property
    def _place(self) -> int:
        """Of the chosen segment among those of the scene; -1 without one."""
        kept = self._logic.parameters().segment
        return next((place for place, one in enumerate(self._segments) if one[:2] == kept), -1)

    def _done(self, found: dict[str, float | None]) -> None:
        self._task = None
        self._shares = found
        shown = self._logic.parameters().shown
        share = found.get(shown.GetID()) if shown is not None else None
        name = self._segments[self._place][2] if self._place >= 0 else _("the segment")
        self._say(NOTHING if share is None else words.inside(share, f"“{name}”"))
        self._fill()

    def _failed(self, error: BaseException) -> None:
        self._task = None
        raise error

    def _say(self, rich_text: str) -> None:
        self.ui.shareLabel.text = rich_text
        self.ui.shareLabel.visible = bool(rich_text)
