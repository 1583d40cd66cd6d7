"""How the maps are drawn: one class, two in one picture, or all side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import escape
from threading import Event
from typing import Any

from slicer.i18n import tr as _
from XAILib.nrrd import Volume
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.map_colours import AGAINST, FOR
from XAIPanels.task_list import Task, TaskList

from . import blend
from .logic import ReviewLogic
from .opened import Opened
from .parameters import BLEND, ONE, SIDE, Drawing

NO_MAP = _("The maps are not there yet.")
ONE_CLASS = _("The model has one class only.")


class OverlaySection:
    """Keeps the choices on the parameter node.

    Args:
        changed: called when another class was chosen here.
    """

    def __init__(self, ui: Any, logic: ReviewLogic, tasks: TaskList, changed: Callable[[], None]) -> None:
        self.ui = ui
        self._logic = logic
        self._tasks = tasks
        self._changed = changed
        self._task: Task | None = None
        self._labels: tuple[str, ...] = ()
        self._modes = {ONE: ui.oneButton, BLEND: ui.blendButton, SIDE: ui.sideButton}
        for button in self._modes.values():
            button.connect("toggled(bool)", self._mode_chosen)
        ui.firstCombo.connect("currentIndexChanged(int)", self._class_chosen)
        ui.secondCombo.connect("currentIndexChanged(int)", self._class_chosen)
        ui.thresholdSlider.connect("valueChanged(double)", self._set_threshold)
        ui.opacitySlider.connect("valueChanged(double)", self._set_opacity)
        self.restore()

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        drawing = self._logic.parameters().drawing
        for slider, value in ((self.ui.thresholdSlider, drawing.threshold), (self.ui.opacitySlider, drawing.opacity)):
            slider.blockSignals(True)
            slider.value = 100.0 * value
            slider.blockSignals(False)
        for mode, button in self._modes.items():
            button.blockSignals(True)
            button.checked = mode == drawing.mode
            button.blockSignals(False)

    def update(self) -> None:
        """Offer the classes of the shown image, and draw them."""
        found = self._logic.shown
        maps = tuple(found.maps) if found is not None else ()
        if maps and maps != self._labels:
            self._labels = maps
        self._offer()
        self.draw()

    def refresh(self) -> None:
        """Enable what can be used."""
        found = self._logic.shown
        maps = found.maps if found is not None else {}
        self.ui.overlayPanel.visible = bool(maps)
        drawing = self._logic.parameters().drawing
        none = "" if maps else NO_MAP
        several = none or (ONE_CLASS if len(maps) < 2 else "")
        enable(self.ui.oneButton, none, _("The map of the chosen class over the image in all views."))
        enable(
            self.ui.blendButton,
            several,
            _("Where the maps of two classes are strong, in two colours, and where both are alike."),
        )
        enable(self.ui.sideButton, several, _("Linked axial views, one for each class."))
        self.ui.firstLabel.text = _("Classes:") if drawing.mode == BLEND else _("Class:")
        self.ui.firstLabel.visible = self.ui.firstCombo.visible = drawing.mode != SIDE
        self.ui.secondLabel.visible = self.ui.secondCombo.visible = drawing.mode == BLEND
        self.ui.legendLabel.text = legend(drawing)

    def choose(self, label: str, other: str) -> None:
        """Show the map of a class.

        Args:
            other: the class that it is blended with; empty for the one that is chosen already.
        """
        drawing = self._drawing
        self._keep(replace(drawing, first=label, second=other or drawing.second))

    def draw(self) -> None:
        """Draw the shown image as it is wished."""
        found = self._logic.shown
        if found is None:
            return
        drawing = self._drawing
        self._logic.draw(found, drawing)
        if self._task is None:
            self._blend(found, drawing)

    @property
    def _drawing(self) -> Drawing:
        """What is wished, with classes that there are."""
        drawing = self._logic.parameters().drawing
        labels = self._labels
        if not labels:
            return drawing
        first = drawing.first if drawing.first in labels else labels[0]
        others = [label for label in labels if label != first]
        second = drawing.second if drawing.second in others else (others[0] if others else "")
        return replace(drawing, first=first, second=second)

    def _keep(self, drawing: Drawing) -> None:
        self._logic.parameters().drawing = drawing
        self._offer()
        self.draw()
        self.refresh()
        self._changed()

    def _offer(self) -> None:
        drawing = self._drawing
        offer(self.ui.firstCombo, self._labels, drawing.first)
        offer(self.ui.secondCombo, [label for label in self._labels if label != drawing.first], drawing.second)

    def _mode_chosen(self, checked: bool) -> None:
        if checked:
            mode = next(mode for mode, button in self._modes.items() if button.checked)
            self._keep(replace(self._drawing, mode=mode))

    def _class_chosen(self, _index: int) -> None:
        first, second = (str(chosen(combo) or "") for combo in (self.ui.firstCombo, self.ui.secondCombo))
        self._keep(replace(self._drawing, first=first, second=second))

    def _set_threshold(self, percent: float) -> None:
        self._logic.parameters().drawing = replace(self._drawing, threshold=percent / 100)
        self.draw()

    def _set_opacity(self, percent: float) -> None:
        self._logic.parameters().drawing = replace(self._drawing, opacity=percent / 100)
        self.draw()

    def _blend(self, found: Opened, drawing: Drawing) -> None:
        """Put two classes into one volume; in a thread, as it takes a moment for a large image."""
        pair = self._logic.pair(found, drawing)
        if not pair:
            return
        (first, first_scale), (second, second_scale) = pair

        def work(_stop: Event, _progress: Any) -> Volume:
            return blend.blended(first, first_scale, second, second_scale)

        names = (drawing.first, drawing.second)
        self._task = self._tasks.start(work, lambda made: self._blended(found, names, made), self._failed)

    def _blended(self, found: Opened, names: tuple[str, str], indices: Volume) -> None:
        self._task = None
        self._logic.set_blend(found, names, indices)
        self.draw()  # where another pair is wished by now, it is made next

    def _failed(self, error: BaseException) -> None:
        self._task = None
        raise error


def legend(drawing: Drawing) -> str:
    """Rich text that explains the colours of the views."""
    if drawing.mode != BLEND:
        cells = "".join(map(_cell, (*reversed(AGAINST), *FOR)))
        what = "" if drawing.mode == SIDE else f" {escape(drawing.first)}" if drawing.first else _(" the class")
        what = _(" the class of each view") if drawing.mode == SIDE else what
        return _table(_("<td>against&nbsp;</td>{cells}<td>&nbsp;for{what}</td>").format(cells=cells, what=what))
    first, second = ("".join(map(_cell, colours)) for colours in (blend.FIRST, blend.SECOND))
    return _table(
        _(
            "{first}<td>&nbsp;{first2}&nbsp;&nbsp;</td>{second}<td>&nbsp;{second2}&nbsp;&nbsp;</td>"
            "{both}<td>&nbsp;both alike</td>"
        ).format(
            first=first,
            first2=escape(drawing.first),
            second=second,
            second2=escape(drawing.second),
            both=_cell(blend.BOTH),
        )
    )


def _table(cells: str) -> str:
    return f'<table cellspacing="0" cellpadding="1"><tr>{cells}</tr></table>'


def _cell(colour: str) -> str:
    return f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;</td>'
