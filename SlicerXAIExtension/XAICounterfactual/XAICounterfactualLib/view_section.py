"""How a result is drawn: beside each other, faded into each other, or the difference over the original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slicer.i18n import tr as _
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.map_colours import DECREASE, INCREASE

from .logic import CounterfactualLogic
from .parameters import DIFFERENCE, FADE, SIDE, Drawing
from .words import legend

MODES = {SIDE: _("side by side"), FADE: _("original and counterfactual"), DIFFERENCE: _("difference over the original")}
DELETED = _("The volumes of this counterfactual were deleted; ask again to see it.")


class ViewSection:
    """Keeps the choices on the parameter node.

    Args:
        say: shows a sentence to the user.
    """

    def __init__(self, ui: Any, logic: CounterfactualLogic, say: Callable[[str], None]) -> None:
        self.ui = ui
        self._logic = logic
        self._say = say
        offer(ui.viewCombo, MODES.values(), SIDE, MODES)
        ui.viewCombo.connect("currentIndexChanged(int)", self._mode_chosen)
        self._sliders = {"fade": ui.fadeSlider, "threshold": ui.thresholdSlider, "opacity": ui.opacitySlider}
        for name, slider in self._sliders.items():
            slider.connect("valueChanged(double)", lambda percent, name=name: self._slid(name, percent))
        ui.jumpButton.connect("clicked()", self.jump)

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        drawing = self._logic.parameters().drawing
        offer(self.ui.viewCombo, MODES.values(), drawing.mode, MODES)
        for name, slider in self._sliders.items():
            slider.blockSignals(True)
            slider.value = 100.0 * getattr(drawing, name)
            slider.blockSignals(False)

    def update(self) -> None:
        """Follow the shown result."""
        found, drawing = self._logic.shown, self._logic.parameters().drawing
        self.ui.legendLabel.text = legend(DECREASE, INCREASE, self._logic.scale)
        there = found is not None and found.image(found.chosen) is not None and found.change(found.chosen) is not None
        self._sliders["fade"].enabled = there and drawing.mode != DIFFERENCE
        for name in ("threshold", "opacity"):
            self._sliders[name].enabled = there and drawing.mode != FADE
        enable(
            self.ui.jumpButton, "" if self._logic.place else _("Nothing was changed."), _("Go to the largest change.")
        )
        if found is not None and not there:
            self._say(DELETED)

    def jump(self) -> None:
        """Go to the largest change."""
        if self._logic.place is not None:
            self._logic.jump_to(self._logic.place)

    @property
    def _drawing(self) -> Drawing:
        return self._logic.parameters().drawing

    def _mode_chosen(self, _index: int) -> None:
        self._logic.set_drawing(replace(self._drawing, mode=chosen(self.ui.viewCombo)))
        self.update()

    def _slid(self, name: str, percent: float) -> None:
        changed: dict[str, Any] = {name: percent / 100}
        self._logic.set_drawing(replace(self._drawing, **changed))
