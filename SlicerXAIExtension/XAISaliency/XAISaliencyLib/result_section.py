"""The section of the results: which one is shown, its verdict and checks, how it is drawn, its lesions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from XAILib.verdict import checks_html, verdict_html
from XAIPanels.choosing import enable, offer_nodes
from XAIPanels.colours import EXPLAINED, LESIONS
from XAIPanels.map_colours import AGAINST, FOR
from XAIPanels.task_list import TaskList
from XAIPanels.turns import Steps, Turns, taken_at_once
from XAIPanels.words import counted

from .lesion_table import LesionTable
from .lesions import Lesion
from .logic import SaliencyLogic
from .near import REACH_MM, is_near_lesion
from .words import legend

NO_RESULT = _("No result yet. Choose an image above and press “Explain”.")
PICK_CHECK_MS = 300


class ResultSection:
    """Shows what the logic holds.

    Args:
        explain_point: asked to explain the lesion at a point (R, A, S in mm) of a result node; its number may follow.
        open_report: asked to open the report of a result node.
        changed: called whenever another result or lesion was chosen.
        tasks: of the panel.
    """

    def __init__(
        self,
        ui: Any,
        logic: SaliencyLogic,
        explain_point: Callable[..., None],
        open_report: Callable[[Any], None],
        changed: Callable[[], None],
        tasks: TaskList,
    ) -> None:
        self.ui = ui
        self._logic = logic
        self._explain_point = explain_point
        self._changed = changed
        self._turns = Turns(tasks)
        self._nodes: list[Any] = []
        self.table = LesionTable(ui.lesionTable, self._go_to, self._explain_lesion)
        self._pick_timer = _timer(PICK_CHECK_MS, self._check_pick)
        logic.on_point = self._on_point
        ui.emptyLabel.text = NO_RESULT
        ui.legendLabel.text = legend(AGAINST, FOR, LESIONS, EXPLAINED)
        ui.resultCombo.connect("currentIndexChanged(int)", self._show_chosen)
        ui.thresholdSlider.connect("valueChanged(double)", self._set_threshold)
        ui.opacitySlider.connect("valueChanged(double)", self._set_opacity)
        ui.explainLesionButton.connect("clicked()", self._explain_chosen)
        ui.pickButton.connect("clicked(bool)", self._pick)
        ui.reportButton.connect("clicked()", lambda: open_report(self.shown))
        ui.removeButton.connect("clicked()", self._remove)
        ui.undoButton.connect("clicked()", self._undo)

    @property
    def shown(self) -> Any:
        """The result node that is chosen, or None."""
        index = self.ui.resultCombo.currentIndex
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    @property
    def explained(self) -> int | None:
        """Number of the one lesion that the shown result explains; None when it explains all."""
        numbers = [lesion.number for lesion in self._lesions if lesion.explained]
        return numbers[0] if len(numbers) == 1 else None

    def show(self, node: Any) -> None:
        """Show a result in the views and in the panel."""
        taken_at_once(self.showing(node))

    def showing(self, node: Any) -> Steps:
        """The same step by step; one that is removed meanwhile is not shown."""
        if node in self._logic.results():
            if self._logic.show(node):
                yield
                slicer.util.resetSliceViews()
            yield
        self.update()

    def update(self) -> None:
        """Follow the scene: results may have come, gone or been renamed."""
        self._nodes = self._logic.results()
        offer_nodes(self.ui.resultCombo, self._nodes, self._logic.parameters().shown)
        node = self.shown
        self.ui.emptyLabel.visible = node is None
        self.ui.resultPanel.visible = node is not None
        self.ui.undoButton.visible = self._logic.removed is not None
        if node is None:
            self.table.fill([])
            self.stop_picking()
            return
        self._show_words(node)
        self._show_drawing(node)

    def refresh(self, explain_reason: str, report_reason: str) -> None:
        """Enable what can be used.

        Args:
            explain_reason, report_reason: why no lesion can be explained and no report opened; empty when they can.
        """
        none = "" if self._lesions else _("The model predicts no lesion in this image.")
        chosen = self.table.chosen
        reason = none or explain_reason or ("" if chosen else _("Choose a lesion in the table first."))
        hint = (
            _("Show what made the model call lesion {number} a lesion.").format(number=chosen.number) if chosen else ""
        )
        enable(self.ui.explainLesionButton, reason, hint)
        self.ui.explainLesionButton.text = (
            _("Explain &lesion {number}").format(number=chosen.number) if chosen else _("Explain a &lesion")
        )
        enable(self.ui.pickButton, none or explain_reason, _("Then click on a lesion in a slice view to explain it."))
        enable(self.ui.reportButton, report_reason, _("Open the full report in the web browser."))
        enable(self.ui.removeButton, "", _("Remove this result from the scene; the image stays."))
        enable(self.ui.undoButton, "", _("Bring back what was removed last."))

    def stop_picking(self, text: str = "") -> None:
        """Leave the mode in which a click in a view chooses a lesion."""
        self._pick_timer.stop()
        self._logic.stop_pick()
        self.ui.pickButton.checked = False
        self.say(text)

    def close(self) -> None:
        """Let go of the views."""
        self.stop_picking()
        self._logic.on_point = None

    @property
    def _lesions(self) -> list[Lesion]:
        node = self.shown
        return self._logic.lesions(node) if node is not None else []

    def _show_words(self, node: Any) -> None:
        document = self._logic.document(node)
        self.ui.verdictLabel.text = verdict_html(document)
        self.ui.checksLabel.text = checks_html(document)
        lesions = self._lesions
        self.ui.lesionsLabel.text = _count(lesions)
        self.ui.lesionTable.visible = bool(lesions)
        self.table.fill(lesions)

    def _show_drawing(self, node: Any) -> None:
        result = self._logic.result(node)
        for slider, value in ((self.ui.thresholdSlider, result.threshold), (self.ui.opacitySlider, result.opacity)):
            slider.blockSignals(True)
            slider.value = 100.0 * value
            slider.blockSignals(False)
            slider.enabled = result.saliency is not None
        if result.saliency is None:
            self.say(_("The saliency map of this result was deleted; explain the image again to see it."))

    def _show_chosen(self, _index: int) -> None:
        if self.shown is not None:
            self.show(self.shown)
            self._changed()

    def _set_threshold(self, percent: float) -> None:
        if self.shown is not None:
            self._logic.set_threshold(self.shown, percent / 100)

    def _set_opacity(self, percent: float) -> None:
        if self.shown is not None:
            self._logic.set_opacity(self.shown, percent / 100)

    def _go_to(self, lesion: Lesion) -> None:
        self._logic.jump_to(lesion.centre)
        self._changed()

    def _explain_lesion(self, lesion: Lesion) -> None:
        if self.ui.explainLesionButton.enabled:
            self._explain_point(self.shown, lesion.centre, lesion.number)

    def _explain_chosen(self) -> None:
        if self.table.chosen is not None:
            self._explain_lesion(self.table.chosen)

    def _pick(self, checked: bool) -> None:
        if not checked:
            self.stop_picking()
            return
        self._logic.start_pick()
        self._pick_timer.start()
        self.say(_("Click on a lesion in a slice view, or press the button again to stop."))

    def _check_pick(self) -> None:
        """The user may have left the place mode in Slicer's own ways, such as Esc."""
        if not self._logic.picking:
            self.stop_picking()

    def _on_point(self, point: tuple[float, float, float]) -> None:
        node = self.shown
        if node is None:
            self.stop_picking()
        elif is_near_lesion(self._logic.result(node).segmentation, point):
            self.stop_picking()
            self._explain_point(node, point)
        else:
            self.stop_picking(
                _("No predicted lesion lies within {reach_mm:g} mm of where you clicked; pick another place.").format(
                    reach_mm=REACH_MM
                )
            )

    def _remove(self) -> None:
        if self.shown is not None:
            self._logic.remove(self.shown)
            remaining = self._logic.results()
            if remaining:
                self.show(remaining[-1])
            else:
                self.update()
            self._changed()

    def _undo(self) -> None:
        self._turns.take(self._undoing(), lambda _ended: self._changed())

    def _undoing(self) -> Steps:
        node = self._logic.undo()
        yield
        if node is not None:
            yield from self.showing(node)

    def say(self, text: str) -> None:
        """A sentence below the lesions."""
        self.ui.pickState.text = text
        self.ui.pickState.visible = bool(text)


def _count(lesions: list[Lesion]) -> str:
    if not lesions:
        return _("<b>No lesion is predicted.</b>")
    total = sum(lesion.volume for lesion in lesions)
    found = _("<b>{lesions}</b>, together {total:.3g} ml").format(
        lesions=counted(len(lesions), _("{number} predicted lesion"), _("{number} predicted lesions")), total=total
    )
    return _("{found}.<br>Inside, near: share of the map's relevance.").format(found=found)


def _timer(interval: int, function: Callable[[], None]) -> Any:
    timer = qt.QTimer()
    timer.interval = interval
    timer.connect("timeout()", function)
    return timer
