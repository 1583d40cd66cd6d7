"""The section of the worklist: filters, the table, and the ways to the next image."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from slicer.i18n import tr as _
from XAILib.worklist import CLASSIFIER, Item, Worklist
from XAIPanels.choosing import chosen, enable, offer

from . import words
from .feed import Feed
from .logic import ReviewLogic
from .order import Filters, following
from .worklist_table import WorklistTable

ANY = _("any class")
EMPTY = _("The server has no image. Whoever runs it can put images into its folder of studies; then press “Refresh”.")
ALL_HIDDEN = _("No image passes the filters; take one of them away.")
ALL_DONE = _("No other image is open.")


class WorklistSection:
    """Keeps the filters on the parameter node.

    Args:
        open_item: asked to open an image.
        changed: called when another row was chosen or a filter changed.
    """

    def __init__(
        self,
        ui: Any,
        logic: ReviewLogic,
        feed: Feed,
        open_item: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self.ui = ui
        self._logic = logic
        self._feed = feed
        self._open_item = open_item
        self._changed = changed
        self._labels: tuple[str, ...] | None = None
        self.table = WorklistTable(ui.worklistTable, changed, lambda item: open_item(item.image))
        ui.classFilterCombo.connect("currentIndexChanged(int)", self._filtered)
        ui.flaggedCheck.connect("toggled(bool)", self._filtered)
        ui.openCheck.connect("toggled(bool)", self._filtered)
        ui.previousButton.connect("clicked()", lambda: self.go(-1))
        ui.nextButton.connect("clicked()", lambda: self.go(1))
        ui.openButton.connect("clicked()", self._open_chosen)
        ui.refreshButton.connect("clicked()", feed.refresh)
        self.restore()

    @property
    def filters(self) -> Filters:
        label = chosen(self.ui.classFilterCombo)
        return Filters(str(label or ""), bool(self.ui.flaggedCheck.checked), bool(self.ui.openCheck.checked))

    def restore(self) -> None:
        """Take the filters of the parameter node."""
        filters = self._logic.parameters().filters
        for box, value in ((self.ui.flaggedCheck, filters.flagged), (self.ui.openCheck, filters.open)):
            box.blockSignals(True)
            box.checked = value
            box.blockSignals(False)
        self._offer(self._labels or (), filters.label)

    def update(self) -> None:
        """Show what the feed has."""
        worklist = self._feed.worklist
        labels = worklist.labels if worklist is not None and worklist.kind == CLASSIFIER else ()
        if labels != self._labels:
            self._labels = labels
            self._offer(labels, self._logic.parameters().filters.label)
        items = [item for item in worklist.items if self.filters.show(item)] if worklist is not None else []
        shown = self._logic.shown
        self.table.fill(items, worklist.kind if worklist is not None else "", shown.image_id if shown else "")
        self.ui.countLabel.text = self._words(worklist, len(items))

    def refresh(self, reason: str) -> None:
        """Enable what can be used.

        Args:
            reason: why no image can be opened now; empty when one can.
        """
        item, other = self.table.chosen, self.other(1)
        self.ui.classFilterLabel.visible = self.ui.classFilterCombo.visible = bool(self._labels)
        onward = reason or ("" if other is not None else ALL_DONE)
        enable(self.ui.nextButton, onward, _("Open the next image that nobody has decided on (Alt+Right)."))
        enable(self.ui.previousButton, onward, _("Open the open image before this one (Alt+Left)."))
        choose = reason or ("" if item is not None else _("Choose an image in the table first."))
        enable(self.ui.openButton, choose, _("Show the chosen image with its maps; a double click does the same."))
        connected = self._feed.worklist is not None or bool(self._feed.failure)
        enable(self.ui.refreshButton, "" if connected else reason, _("Fetch the list again."))

    def other(self, step: int) -> Item | None:
        """The next open image of the shown list, or the one before."""
        shown = self._logic.shown
        return following(self.table.items, shown.image_id if shown is not None else "", step)

    def go(self, step: int) -> None:
        """Open the next open image, or the one before."""
        item = self.other(step)
        if item is not None:
            self.table.choose(item.image)
            self._open_item(item.image)

    def _offer(self, labels: tuple[str, ...], wanted: str) -> None:
        offer(self.ui.classFilterCombo, [ANY, *labels], wanted, ["", *labels])

    def _filtered(self, *_unused: Any) -> None:
        self._logic.parameters().filters = self.filters
        self.update()
        self._changed()

    def _open_chosen(self) -> None:
        item = self.table.chosen
        if item is not None:
            self._open_item(item.image)

    def _words(self, worklist: Worklist | None, shown: int) -> str:
        failure = (
            _("The list may be old: {failure}").format(failure=escape(self._feed.failure)) if self._feed.failure else ""
        )
        if worklist is None:
            return failure.replace(_("The list may be old"), _("No list"))
        if not worklist.items:
            return EMPTY
        text = escape(words.counts(worklist, shown)) if shown else ALL_HIDDEN
        return "<br>".join(filter(None, (text, failure)))
