"""The section of the run: how to compute, the one button, progress and what came of it in words."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import qt
from slicer.i18n import tr as _
from XAIPanels.choosing import enable
from XAIPanels.job_state import JobState
from XAIPanels.server_section import Server
from XAIPanels.words import number_range

from .logic import SaliencyLogic
from .server import saliency_of
from .words import VARIANT_HINTS, VARIANTS, variant

RUNNING = _("An explanation is running; cancel it, or put it in the background in “Jobs” below.")
DEFAULT_VARIANT = "lrp"
STEPS = (2, 512)
WINDOW = (1.0, 100.0)


class ExplainSection(JobState):
    """Shows a job; it does not know how jobs are made.

    Args:
        run, cancel: what the buttons do.
    """

    def __init__(self, ui: Any, logic: SaliencyLogic, run: Callable[[], None], cancel: Callable[[], None]) -> None:
        super().__init__(ui, _("Not explained"))
        self._logic = logic
        self._offer(list(VARIANTS))
        ui.methodCombo.connect("currentIndexChanged(int)", self._chosen)
        ui.stepsSpin.connect("valueChanged(int)", self._chosen)
        ui.windowSpin.connect("valueChanged(double)", self._chosen)
        ui.runButton.connect("clicked()", run)
        ui.cancelButton.connect("clicked()", cancel)
        self._show_fields()

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the method that are chosen here; those of other variants are left to their defaults."""
        name = self._variant
        chosen: dict[str, Any] = {"method": name}
        if name == "integrated_gradients":
            chosen["steps"] = int(self.ui.stepsSpin.value)
        if name == "occlusion":
            chosen["window"] = float(self.ui.windowSpin.value)
        return chosen

    def fill(self, server: Server | None) -> None:
        """Offer what the server's schema offers."""
        method = saliency_of(server)
        if method is None:
            return
        names = method.parameters.get("properties", {}).get("method", {}).get("enum")
        self._offer(list(names or VARIANTS))
        for spin, name, usual in ((self.ui.stepsSpin, "steps", STEPS), (self.ui.windowSpin, "window", WINDOW)):
            low, high = number_range(method.parameters, name, usual)
            spin.minimum, spin.maximum = type(usual[0])(low), type(usual[0])(high)
        self._show_fields()

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        saved = self._logic.parameters().method_parameters
        position = self.ui.methodCombo.findData(saved.get("method", DEFAULT_VARIANT))
        widgets = (self.ui.methodCombo, self.ui.stepsSpin, self.ui.windowSpin)
        for widget in widgets:
            widget.blockSignals(True)
        self.ui.methodCombo.currentIndex = max(position, 0)
        if isinstance(saved.get("steps"), int):
            self.ui.stepsSpin.value = saved["steps"]
        if isinstance(saved.get("window"), float):
            self.ui.windowSpin.value = saved["window"]
        for widget in widgets:
            widget.blockSignals(False)
        self._show_fields()

    def refresh(self, running: bool, stopping: bool, connected: bool, reason: str) -> None:
        """Enable what can be used.

        Args:
            reason: why nothing can be explained now, or empty.
        """
        run, cancel = self.ui.runButton, self.ui.cancelButton
        run.text = _("&Explain this image") if connected else _("Connect and &explain this image")
        busy = RUNNING if running else ""
        hint = _("Find the lesions and show which voxels made the model call them lesions.")
        enable(run, busy or reason, hint)
        idle = "" if running else _("Nothing is running.")
        asked = _("The server has been asked to stop.") if stopping else ""
        enable(cancel, idle or asked, _("Stop the computation on the server too."))
        for widget in (self.ui.methodCombo, self.ui.stepsSpin, self.ui.windowSpin):
            widget.enabled = not running
        self.ui.hintLabel.visible = bool(reason) and not running
        self.ui.hintLabel.text = escape(reason)

    @property
    def _variant(self) -> str:
        return str(self.ui.methodCombo.itemData(self.ui.methodCombo.currentIndex))

    def _offer(self, names: list[str]) -> None:
        combo = self.ui.methodCombo
        chosen = combo.itemData(combo.currentIndex) if combo.count else DEFAULT_VARIANT
        combo.blockSignals(True)
        combo.clear()
        for index, name in enumerate(names):
            combo.addItem(variant(name), name)
            combo.setItemData(index, VARIANT_HINTS.get(name, ""), qt.Qt.ToolTipRole)
        combo.currentIndex = max(combo.findData(chosen), 0)
        combo.blockSignals(False)

    def _chosen(self, *_unused: Any) -> None:
        parameters = self._logic.parameters()
        parameters.method_parameters = {**parameters.method_parameters, **self.parameters}
        self._show_fields()

    def _show_fields(self) -> None:
        name = self._variant
        self.ui.methodCombo.toolTip = VARIANT_HINTS.get(name, _("How the relevance of each voxel is computed."))
        self.ui.stepsLabel.visible = self.ui.stepsSpin.visible = name == "integrated_gradients"
        self.ui.windowLabel.visible = self.ui.windowSpin.visible = name == "occlusion"
