"""The section of the results: which one is shown, its verdict and checks, how it is drawn, its lesions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.verdict import checks_html, verdict_html
from XAIPanels.choosing import enable
from XAIPanels.colours import EXPLAINED, LESIONS
from XAIPanels.map_colours import AGAINST, FOR
from XAIPanels.result_frame import ResultFrame
from XAIPanels.task_list import TaskList
from XAIPanels.words import counted

from .lesion_table import LesionTable
from .lesions import Lesion
from .logic import SaliencyLogic
from .near import REACH_MM, is_near_lesion
from .words import legend

NO_RESULT = _("No result yet. Choose an image above and press “Explain”.")
PICK_CHECK_MS = 300


class ResultSection(ResultFrame):
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
        super().__init__(ui, logic, NO_RESULT, self._show_result, open_report, changed, tasks)
        self._results = logic
        self._explain_point = explain_point
        self.table = LesionTable(ui.lesionTable, self._go_to, self._explain_lesion)
        self._pick_timer = _timer(PICK_CHECK_MS, self._check_pick)
        logic.on_point = self._on_point
        ui.legendLabel.text = legend(AGAINST, FOR, LESIONS, EXPLAINED)
        ui.thresholdSlider.connect("valueChanged(double)", self._set_threshold)
        ui.opacitySlider.connect("valueChanged(double)", self._set_opacity)
        ui.explainLesionButton.connect("clicked()", self._explain_chosen)
        ui.pickButton.connect("clicked(bool)", self._pick)

    @property
    def explained(self) -> int | None:
        """Number of the one lesion that the shown result explains; None when it explains all."""
        numbers = [lesion.number for lesion in self._lesions if lesion.explained]
        return numbers[0] if len(numbers) == 1 else None

    def update(self) -> None:
        """Follow the scene: results may have come, gone or been renamed."""
        super().update()
        if self.shown is None:
            self.table.fill([])
            self.stop_picking()

    def refresh_lesions(self, explain_reason: str) -> None:
        """Enable what can be used of the lesions.

        Args:
            explain_reason: why none can be explained; empty when one can.
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

    def stop_picking(self, text: str = "") -> None:
        """Leave the mode in which a click in a view chooses a lesion."""
        self._pick_timer.stop()
        self._results.stop_pick()
        self.ui.pickButton.checked = False
        self._say_of_picking(text)

    def close(self) -> None:
        """Let go of the views."""
        self.stop_picking()
        self._results.on_point = None

    @property
    def _lesions(self) -> list[Lesion]:
        node = self.shown
        return self._results.lesions(node) if node is not None else []

    def _show_result(self, node: Any) -> None:
        self._show_words(node)
        self._show_drawing(node)

    def _show_words(self, node: Any) -> None:
        document = self._results.document(node)
        self.ui.verdictLabel.text = verdict_html(document)
        self.ui.checksLabel.text = checks_html(document)
        lesions = self._lesions
        self.ui.lesionsLabel.text = _count(lesions)
        self.ui.lesionTable.visible = bool(lesions)
        self.table.fill(lesions)

    def _show_drawing(self, node: Any) -> None:
        result = self._results.result(node)
        for slider, value in ((self.ui.thresholdSlider, result.threshold), (self.ui.opacitySlider, result.opacity)):
            slider.blockSignals(True)
            slider.value = 100.0 * value
            slider.blockSignals(False)
            slider.enabled = result.saliency is not None
        if result.saliency is None:
            self.say(_("The saliency map of this result was deleted; explain the image again to see it."))

    def _set_threshold(self, percent: float) -> None:
        if self.shown is not None:
            self._results.set_threshold(self.shown, percent / 100)

    def _set_opacity(self, percent: float) -> None:
        if self.shown is not None:
            self._results.set_opacity(self.shown, percent / 100)

    def _go_to(self, lesion: Lesion) -> None:
        self._results.jump_to(lesion.centre)
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
        self._results.start_pick()
        self._pick_timer.start()
        self._say_of_picking(_("Click on a lesion in a slice view, or press the button again to stop."))

    def _check_pick(self) -> None:
        """The user may have left the place mode in Slicer's own ways, such as Esc."""
        if not self._results.picking:
            self.stop_picking()

    def _on_point(self, point: tuple[float, float, float]) -> None:
        node = self.shown
        if node is None:
            self.stop_picking()
        elif is_near_lesion(self._results.result(node).outlines, point):
            self.stop_picking()
            self._explain_point(node, point)
        else:
            self.stop_picking(
                _("No predicted lesion lies within {reach_mm:g} mm of where you clicked; pick another place.").format(
                    reach_mm=REACH_MM
                )
            )

    def _say_of_picking(self, text: str) -> None:
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
