"""What of a result is seen in the views: which volume over the image, how, and the outlines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from slicer.i18n import tr as _
from XAIPanels.choosing import chosen, enable, offer

from .logic import MethodsLogic
from .words import NOTHING_OVER, layer_title, layer_words

DELETED = _("A volume of this result was deleted; run the method again to see it.")


class ViewSection:
    """Keeps the choices on the nodes.

    Args:
        say: shows a sentence to the user.
    """

    def __init__(self, ui: Any, logic: MethodsLogic, say: Callable[[str], None]) -> None:
        self.ui = ui
        self._logic = logic
        self._say = say
        ui.layerCombo.connect("currentIndexChanged(int)", self._layer_chosen)
        ui.outlinesBox.connect("toggled(bool)", self._outlines_ticked)
        self._sliders = {"threshold": ui.thresholdSlider, "opacity": ui.opacitySlider}
        for name, slider in self._sliders.items():
            slider.connect("valueChanged(double)", lambda percent, name=name: self._slid(name, percent))

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        drawing = self._logic.parameters().drawing
        for name, slider in self._sliders.items():
            slider.blockSignals(True)
            slider.value = 100.0 * getattr(drawing, name)
            slider.blockSignals(False)

    def update(self) -> None:
        """Follow the shown result."""
        found = self._logic.shown
        kinds = found.kinds if found is not None else {}
        self.ui.viewPanel.visible = found is not None and (bool(kinds) or found.outlines is not None)
        if found is None:
            return
        titles = [NOTHING_OVER, *(layer_title(name, kind) for name, kind in kinds.items())]
        offer(self.ui.layerCombo, titles, found.chosen, ["", *kinds])
        none = "" if kinds else _("This result has no volume but outlines.")
        enable(self.ui.layerCombo, none, _("The volume of the result that lies over the image."))
        scale = self._logic.scale
        over = "" if found.chosen else _("Nothing lies over the image.")
        enable(self._sliders["opacity"], over, _("Opacity of what lies over the image."))
        grey = over or ("" if scale is not None else _("Grey levels have no threshold."))
        enable(self._sliders["threshold"], grey, _("What is weaker than this share of the scale is transparent."))
        entry = found.document["overlays"].get(found.chosen, {})
        self.ui.legendLabel.text = layer_words(entry.get("description", ""), entry.get("units", ""), scale)
        self.ui.legendLabel.visible = bool(found.chosen)
        self._show_outlines(found)
        if self._is_incomplete(found):
            self._say(DELETED)

    def _show_outlines(self, found: Any) -> None:
        box = self.ui.outlinesBox
        box.blockSignals(True)
        box.checked = not found.outlines_hidden
        box.blockSignals(False)
        none = "" if found.outlines is not None else _("This result has no outlines.")
        enable(box, none, _("Draw the outlines of this result."))

    def _is_incomplete(self, found: Any) -> bool:
        """Whether a map of the result was deleted by hand."""
        kept = found.kinds
        overlays = found.document.get("overlays", {})
        return any(name not in kept for name, one in overlays.items() if one["kind"] not in ("image", "labelmap"))

    def _layer_chosen(self, _index: int) -> None:
        self._logic.choose(str(chosen(self.ui.layerCombo) or ""))
        self.update()

    def _outlines_ticked(self, ticked: bool) -> None:
        self._logic.show_outlines(ticked)

    def _slid(self, name: str, percent: float) -> None:
        changed: dict[str, Any] = {name: percent / 100}
        self._logic.set_drawing(replace(self._logic.parameters().drawing, **changed))
