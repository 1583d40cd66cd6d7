"""The walk along a property: slider, curve, image at the slider, playing, and going back to the image as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.saving import save
from XAIPanels.task_list import TaskList

from . import export
from .curve_view import CurveView
from .logic import PropertyLogic
from .parameters import OVER, SIDE
from .tables import Curve
from .words import legend, readout, verdict_words

MODES = {OVER: _("in its place"), SIDE: _("beside it")}
PLAY_MS = 350
SCALE = 3
"""Of a saved picture of the curve."""
NOT_AMONG = _("The image as it is lies outside of this range; remove the walk, or walk along another range.")
NO_FRAMES = _("Walk along it first; a ranking has no images.")
FILTERS = "Table (*.csv);;Picture (*.png)"
DELETED = _("The images of this walk were deleted; walk along it again to see them.")


class WalkSection:
    """Keeps the position on the result node.

    Args:
        root: parent of dialogs.
        say: shows a sentence to the user.
        show: asked to show another result.
        tasks: of the panel.
    """

    def __init__(
        self,
        ui: Any,
        logic: PropertyLogic,
        root: Any,
        say: Callable[[str], None],
        show: Callable[[Any], None],
        tasks: TaskList,
    ) -> None:
        self.ui = ui
        self._tasks = tasks
        self._logic = logic
        self._root = root
        self._say = say
        self._show = show
        self._curve: Curve | None = None
        self._walked = False
        self._forward = True
        self.view = CurveView(self.go)
        ui.curveHolder.layout().addWidget(self.view)
        self._timer = qt.QTimer()
        self._timer.interval = PLAY_MS
        self._timer.connect("timeout()", self._play_on)
        offer(ui.viewCombo, MODES.values(), OVER, MODES)
        ui.legendLabel.text = f"<small>{legend()}</small>"
        ui.stepSlider.connect("valueChanged(int)", self.go)
        ui.playButton.connect("toggled(bool)", self._play)
        ui.backButton.connect("clicked()", self.go_back)
        ui.viewCombo.connect("currentIndexChanged(int)", self._drawing_chosen)
        ui.unchangedBox.connect("toggled(bool)", self._drawing_chosen)
        ui.jumpButton.connect("clicked()", self.jump)
        ui.exportButton.connect("clicked()", self.export)
        ui.rankingButton.connect("clicked()", self._to_ranking)

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        drawing = self._logic.parameters().drawing
        offer(self.ui.viewCombo, MODES.values(), drawing.mode, MODES)
        self.ui.unchangedBox.blockSignals(True)
        self.ui.unchangedBox.checked = drawing.unchanged
        self.ui.unchangedBox.blockSignals(False)

    def update(self) -> None:
        """Follow the shown result and its chosen property and output."""
        found = self._logic.shown
        self._curve = found.curve if found is not None else None
        self._walked = found is not None and found.walked
        self.ui.walkPanel.visible = self._curve is not None
        if found is None or self._curve is None:
            self.pause()
            return
        if not self._walked:
            self.pause()
            if found.image is not None or found.frames is not None:
                self._say(DELETED)
        self.ui.effectLabel.text = verdict_words(self._curve, found.document)
        slider = self.ui.stepSlider
        slider.blockSignals(True)
        slider.maximum = len(self._curve.values) - 1
        slider.value = found.step
        slider.blockSignals(False)
        self._enable(found)
        self._show_step(found.step)

    def go(self, step: int) -> None:
        """Move to a step, from 0: quick, for dragging."""
        if self._curve is None:
            return
        self._logic.set_step(step)
        if self.ui.stepSlider.value != step:
            self.ui.stepSlider.blockSignals(True)
            self.ui.stepSlider.value = step
            self.ui.stepSlider.blockSignals(False)
        self._show_step(step)

    def go_back(self) -> None:
        """Stop playing and show the image as it is."""
        self.pause()
        if self._curve is not None and self._curve.neutral is not None:
            self.go(self._curve.neutral)

    def pause(self) -> None:
        """Stop playing."""
        self.ui.playButton.checked = False

    def jump(self) -> None:
        """Go to where the walk changes most."""
        if self._logic.point is not None:
            self._logic.jump_to(self._logic.point)

    def export(self) -> None:
        """Ask where, then save the curve as a table or as a picture."""
        found, curve = self._logic.shown, self._curve
        if found is None or curve is None:
            return
        proposed = str(Path.home() / f"{curve.effect.property}.csv")
        answer = qt.QFileDialog.getSaveFileName(self._root, _("Export curve"), proposed, FILTERS)
        name = str(answer[0] if isinstance(answer, (list, tuple)) else answer)
        if not name:
            return
        path = Path(name) if Path(name).suffix else Path(name).with_suffix(".csv")
        is_picture = path.suffix.lower() == ".png"
        content = self.view.png(SCALE) if is_picture else export.table(found.document, curve).encode()
        save(self._tasks, path, content, self._say, _("The curve is saved as {path}.").format(path=path))

    def close(self) -> None:
        """Stop playing, for good."""
        self._timer.stop()

    def _enable(self, found: Any) -> None:
        images = "" if self._walked else NO_FRAMES
        enable(self.ui.playButton, images, _("Play the steps forth and back."))
        there = "" if self._curve is not None and self._curve.neutral is not None else NOT_AMONG
        enable(self.ui.backButton, there, _("Back to the image as it is."))
        enable(self.ui.viewCombo, images, _("Draw the image at the slider in place of the image, or beside it."))
        enable(self.ui.unchangedBox, images, _("Outline in blue what is predicted in the image as it is."))
        nowhere = images or ("" if self._logic.point is not None else _("Nothing changes."))
        enable(self.ui.jumpButton, nowhere, _("Go to where prediction or image change most."))
        self.ui.legendLabel.visible = self._walked and found.outlines is not None
        self.ui.exportButton.toolTip = _("Save the numbers as CSV, or the picture as PNG.")
        ranking = self._logic.ranking_of(found.node)
        self.ui.rankingButton.visible = ranking is not None and self._walked

    def _show_step(self, step: int) -> None:
        if self._curve is not None:
            self.view.show_curve(self._curve, step)
            self.ui.readoutLabel.text = readout(self._curve, step, self._walked)

    def _play(self, wanted: bool) -> None:
        self.ui.playButton.text = _("Pause") if wanted else _("Play")
        if wanted:
            self._timer.start()
        else:
            self._timer.stop()

    def _play_on(self) -> None:
        last, step = int(self.ui.stepSlider.maximum), int(self.ui.stepSlider.value)
        if step in (0, last):
            self._forward = step == 0
        self.go(step + 1 if self._forward else step - 1)

    def _drawing_chosen(self, *_unused: Any) -> None:
        drawing = self._logic.parameters().drawing
        wanted = replace(drawing, mode=chosen(self.ui.viewCombo), unchanged=bool(self.ui.unchangedBox.checked))
        self._logic.set_drawing(wanted)

    def _to_ranking(self) -> None:
        found = self._logic.shown
        ranking = self._logic.ranking_of(found.node) if found is not None else None
        if ranking is not None:
            self._show(ranking)
