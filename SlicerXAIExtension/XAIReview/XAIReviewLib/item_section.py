"""The section of the shown image: its classes or lesions, why they are suspicious, and the picture of the distances."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from slicer.i18n import tr as _
from XAILib.verdict import checks_html, verdict_html
from XAILib.worklist import Item, LesionItem
from XAIPanels.choosing import enable
from XAIPanels.words import counted, shortened

from . import words
from .class_table import ClassTable
from .decision_section import DecisionSection
from .graph_picture import GraphPicture
from .lesion_table import LesionTable
from .logic import ReviewLogic
from .opened import FLAGGED_COLOUR, OTHER_COLOUR
from .overlay_section import OverlaySection
from .tables import nearest_of, thresholds_of

NOTHING = _(
    "No image is open. Choose one in the worklist and press “Open”, or “Next open” for the most suspicious one."
)
VERDICTS = {
    "reliable": _("the checks of maps and alarm are passed."),
    "caution": _("take maps and alarm with care."),
    "unreliable": _("do not rely on maps and alarm."),
}
NO_PLACE = _("The map of {} is empty, or not there yet.")


class ItemSection:
    """Shows what the logic and the worklist hold.

    Args:
        changed: called when another class or lesion was chosen.
    """

    def __init__(
        self,
        ui: Any,
        logic: ReviewLogic,
        overlays: OverlaySection,
        decision: DecisionSection,
        changed: Callable[[], None],
    ) -> None:
        self.ui = ui
        self._logic = logic
        self._overlays = overlays
        self._decision = decision
        self._changed = changed
        self._item: Item | None = None
        self.classes = ClassTable(ui.classTable, self._choose, self._go_to_class, self._edited)
        self.lesions = LesionTable(ui.lesionTable, self._go_to_lesion)
        self.graph = GraphPicture(ui.graphLabel)
        ui.emptyLabel.text = NOTHING
        ui.lesionLegend.text = _legend()
        ui.goButton.connect("clicked()", lambda: self._go_to_class(self.classes.chosen))
        for section in (ui.graphSection, ui.checksSection):
            section.collapsed = True

    def show(self, item: Item | None, opening: str) -> None:
        """Show an image that the views show.

        Args:
            item: what is known of it; None when the views show none.
            opening: id of the image that is being opened; empty when none is.
        """
        self._item = item
        found = self._logic.shown
        title = opening or (found.image_id if found is not None else "")
        self.ui.itemSection.text = shortened(f"Image – {title}") if title else _("Image")
        self.ui.itemSection.toolTip = title
        self.ui.emptyLabel.visible = found is None and not opening
        self.ui.itemPanel.visible = found is not None
        if found is None:
            return
        document = found.document
        self._show_parts(item, document)
        done = found.complete
        self.ui.verdictLabel.visible = self.ui.checksSection.visible = done
        if done:
            self.ui.verdictLabel.text = f"<small>{_verdict(document)}</small>"
            self.ui.checksLabel.text = checks_html(document)
        caption = document.get("figures", {}).get("graph", {}).get("caption", "")
        self.ui.graphSection.visible = self.graph.show(found.graph if done else b"", str(caption))

    def refresh(self, report_reason: str) -> None:
        """Enable what can be used.

        Args:
            report_reason: why there is no report; empty when there is.
        """
        label, found = self.classes.chosen, self._logic.shown
        nowhere = _("Choose a class in the table first.") if not label else NO_PLACE.format(label)
        there = found is not None and self._logic.place(found, label) is not None
        enable(
            self.ui.goButton,
            "" if there else nowhere,
            _("Show the slices where the map of {label} is strongest.").format(label=label),
        )
        enable(self.ui.reportButton, report_reason, _("Open the full report of this image in the web browser."))

    def go(self) -> None:
        """Show what is most suspicious of the image, and go there."""
        if self._item is None:
            return
        if self._item.lesions:
            lesion = max(self._item.lesions, key=lambda one: one.suspicion or 0.0)
            self._logic.jump_to(lesion.centre)
        elif self._item.classes:
            label = most_suspicious(self._item)
            self._choose(label)
            self._go_to_class(label)

    def _show_parts(self, item: Item | None, document: dict[str, Any]) -> None:
        lesions = item.lesions if item is not None else ()
        classes = item.classes if item is not None else ()
        correcting = self._decision.correcting
        given = self._decision.draft.labels if correcting else None
        if given is None and item is not None and item.review is not None:
            given = item.review.labels
        drawing = self._logic.parameters().drawing
        labels = [one.label for one in classes]
        chosen = drawing.first if drawing.first in labels else (labels[0] if labels else "")
        self.classes.fill(classes, thresholds_of(document), given, correcting, chosen)
        self.lesions.fill(lesions)
        ui = self.ui
        ui.classTable.visible = ui.reasonsLabel.visible = ui.goButton.visible = bool(classes)
        ui.lesionTable.visible = ui.lesionLegend.visible = bool(lesions)
        ui.reasonsLabel.text = words.reasons(classes, chosen) if classes else ""
        ui.lesionsLabel.visible = bool(not classes and item is not None and (item.scored or lesions))
        ui.lesionsLabel.text = _count(lesions)

    def _choose(self, label: str) -> None:
        """Show the map of a class; it is blended with the one that is most like it."""
        found = self._logic.shown
        self._overlays.choose(label, nearest_of(found.document, label) if found is not None else "")

    def _go_to_class(self, label: str) -> None:
        found = self._logic.shown
        place = self._logic.place(found, label) if found is not None else None
        if place is not None:
            self._logic.pass_through(place)

    def _go_to_lesion(self, lesion: LesionItem) -> None:
        self._logic.jump_to(lesion.centre)
        self._changed()

    def _edited(self) -> None:
        self._decision.edited(self.classes.labels)


def most_suspicious(item: Item) -> str:
    """The class whose prediction is most likely wrong; empty without classes."""
    if not item.classes:
        return ""
    return max(item.classes, key=lambda one: (one.flagged, one.suspicion or 0.0)).label


def _verdict(document: dict[str, Any]) -> str:
    """The verdict on the maps and the gravest reason; the checks have the others."""
    lines = verdict_html(document, VERDICTS, flags=False).split("<br>")
    return " ".join(lines[:2])


def _count(lesions: tuple[LesionItem, ...]) -> str:
    if not lesions:
        return _("<b>No lesion is predicted.</b>")
    flagged = sum(lesion.flagged for lesion in lesions)
    return _("<b>{lesions}</b>, {flagged} flagged.").format(
        lesions=counted(len(lesions), _("{number} predicted lesion"), _("{number} predicted lesions")), flagged=flagged
    )


def _legend() -> str:
    cells = "".join(
        f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;&nbsp;</td><td>&nbsp;{escape(name)}&nbsp;&nbsp;</td>'
        for colour, name in ((FLAGGED_COLOUR, _("flagged lesion")), (OTHER_COLOUR, _("other lesion")))
    )
    return f'<table cellspacing="0" cellpadding="1"><tr>{cells}</tr></table>'
