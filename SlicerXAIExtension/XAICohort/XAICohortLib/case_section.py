"""The section of the opened case: its modalities in the views, its raters, and how far they agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.agreement import Agreement
from XAILib.cohorts import shown
from XAIPanels.choosing import enable, offer, offer_nodes
from XAIPanels.saving import save
from XAIPanels.task_list import TaskList
from XAIPanels.turns import Steps, Turns

from . import words
from .case_node import CaseNode
from .dice_table import DiceTable
from .export import table
from .logic import CohortLogic
from .palette import rater_colours
from .parameters import Drawing
from .rater_table import RaterTable

EMPTY = _("No case is open. Choose one in the table and press Open case.")
NOT_MEASURED = _("The agreement is being measured …")


class CaseSection:
    """Keeps how cases are drawn on the parameter node.

    Args:
        measure: asked to measure the agreement of a case anew.
        bring_back: asked to open what was removed last.
        changed: called when another case was chosen, or one was removed.
        tasks: of the panel.
    """

    def __init__(
        self,
        ui: Any,
        logic: CohortLogic,
        measure: Callable[[Any], None],
        bring_back: Callable[[], None],
        changed: Callable[[], None],
        tasks: TaskList,
    ) -> None:
        self.ui = ui
        self._logic = logic
        self._changed = changed
        self._tasks = tasks
        self._turns = Turns(tasks)
        self._nodes: list[Any] = []
        self._raters = RaterTable(ui.raterTable, self._hide, self._alone)
        self._dice = DiceTable(ui.diceTable)
        self._filled: Any = None
        ui.emptyLabel.text = EMPTY
        ui.openedCombo.connect("currentIndexChanged(int)", self._case_chosen)
        ui.sideBox.connect("toggled(bool)", lambda on: self._draw(replace(self._drawing, side=bool(on))))
        ui.modalityCombo.connect("currentIndexChanged(int)", self._modality_chosen)
        ui.agreementBox.connect("toggled(bool)", self._agreement_wished)
        ui.opacitySlider.connect("valueChanged(double)", self._set_opacity)
        ui.measureButton.connect("clicked()", lambda: measure(self.node))
        ui.exportButton.connect("clicked()", self._export)
        ui.removeButton.connect("clicked()", lambda: self._remove([self.node]))
        ui.clearButton.connect("clicked()", lambda: self._remove(self._logic.results()))
        ui.undoButton.connect("clicked()", bring_back)
        self.say("")

    @property
    def node(self) -> Any:
        """The shown case's node, or None."""
        found = self._logic.shown
        return None if found is None else found.node

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        drawing = self._drawing
        for box, on in ((self.ui.sideBox, drawing.side), (self.ui.agreementBox, drawing.agreement)):
            box.blockSignals(True)
            box.checked = on
            box.blockSignals(False)
        self.ui.opacitySlider.blockSignals(True)
        self.ui.opacitySlider.value = 100.0 * self._logic.parameters().opacity
        self.ui.opacitySlider.blockSignals(False)
        self._filled = None

    def say(self, text: str) -> None:
        """A sentence below everything."""
        self.ui.caseState.text = escape(text)
        self.ui.caseState.visible = bool(text)

    def refresh(self, busy: bool, measuring: bool) -> None:
        """Follow the scene, and enable what can be used."""
        ui, found = self.ui, self._logic.shown
        self._nodes = self._logic.results()
        offer_nodes(ui.openedCombo, self._nodes, self.node)
        ui.emptyLabel.visible = found is None
        ui.casePanel.visible = found is not None
        ui.undoButton.visible = bool(self._logic.removed)
        waiting = _("A case is being opened; wait for it, or cancel.") if busy else ""
        enable(ui.undoButton, waiting, _("Bring back the cases that were removed last."))
        enable(ui.openedCombo, waiting, _("The case to show; the newest three stay open."))
        enable(ui.removeButton, waiting, _("Remove this case with its images and masks from the scene."))
        enable(ui.clearButton, waiting, _("Remove all cases of this panel from the scene."))
        ui.caseSection.text = _("Case") if found is None else f"{_('Case')} – {found.origin.case}"
        if found is not None:
            self._fill(found, measuring)

    def _fill(self, found: CaseNode, measuring: bool) -> None:
        ui, drawing, images = self.ui, self._drawing, list(found.images)
        segments, agreement = found.segments, found.agreement
        offer(ui.modalityCombo, images, drawing.modality)
        alone = _("Choose this when the modalities are not side by side.") if drawing.side else ""
        enable(ui.modalityCombo, alone, _("The modality that all views show."))
        few = _("This case has one modality.") if len(images) < 2 else ""
        enable(
            ui.sideBox, few, _("Linked axial views, one for each modality, six at most; the earlier layout comes back.")
        )
        state = (found.node.GetID(), tuple(segments), drawing.hidden, agreement, tuple(images))
        if state != self._filled:  # tables are made anew only when something in them changed
            self._filled = state
            colours = rater_colours(tuple(segments))
            self._raters.fill({rater: colours[rater] for rater in segments}, drawing.hidden, agreement)
            if agreement is not None:
                self._dice.show(agreement)
            ui.aboutLabel.text = _about(found)
            ui.aboutLabel.toolTip = "\n".join(_metadata(found))
        self._refresh_agreement(found, agreement, measuring)

    def _refresh_agreement(self, found: CaseNode, agreement: Agreement | None, measuring: bool) -> None:
        ui, voters = self.ui, self._logic.voters(found.node)
        few = words.ONE_RATER if voters < 2 else ""
        waiting = NOT_MEASURED if measuring else ""
        nobody = "" if found.votes is not None or measuring else _("Nobody has marked anything in this case.")
        enable(
            ui.agreementBox,
            few or waiting or nobody,
            _("How many raters marked each voxel, in place of their outlines; the consensus has no vote."),
        )
        ui.opacitySlider.enabled = bool(ui.agreementBox.enabled and ui.agreementBox.checked)
        ui.legendLabel.visible = bool(found.votes is not None and voters >= 2)
        ui.legendLabel.text = words.legend(voters) if voters >= 2 else ""
        ui.diceSection.visible = agreement is not None and len(agreement.raters) > 1
        enable(ui.measureButton, waiting, _("Measure the masks as they are now, as after they were edited."))
        enable(ui.exportButton, waiting, _("Save volumes, lesions and Dice as a CSV file."))
        ui.diceLabel.text = "" if agreement is None else escape(words.summary(agreement))

    @property
    def _drawing(self) -> Drawing:
        return self._logic.parameters().drawing

    def _draw(self, drawing: Drawing) -> None:
        self._logic.parameters().drawing = drawing
        self._logic.draw()
        self._changed()

    def _agreement_wished(self, on: bool) -> None:
        self._logic.wish_agreement(bool(on))
        self._changed()

    def _hide(self, raters: tuple[str, ...]) -> None:
        self._draw(replace(self._drawing, hidden=raters))

    def _alone(self, rater: str) -> None:
        """Draw one rater alone; once more draws all again."""
        found = self._logic.shown
        others = tuple(name for name in found.segments if name != rater) if found is not None else ()
        self._hide(() if self._drawing.hidden == others else others)

    def _case_chosen(self, index: int) -> None:
        if 0 <= index < len(self._nodes):
            self._logic.show(self._nodes[index])
            self._changed()

    def _modality_chosen(self, _index: int) -> None:
        self._draw(replace(self._drawing, modality=str(self.ui.modalityCombo.currentText)))

    def _set_opacity(self, percent: float) -> None:
        self._logic.parameters().opacity = percent / 100
        self._logic.draw()

    def _remove(self, nodes: list[Any]) -> None:
        self._turns.take(self._removing(nodes), lambda _ended: self._changed())

    def _removing(self, nodes: list[Any]) -> Steps:
        yield from self._logic.removing(nodes)
        remaining = self._logic.results()
        if remaining:
            self._logic.show(remaining[-1])
            yield

    def _export(self) -> None:
        found = self._logic.shown
        agreement = found.agreement if found is not None else None
        if found is None or agreement is None:
            return
        proposed = str(Path.home() / "rater-agreement.csv")
        answer = qt.QFileDialog.getSaveFileName(self.ui.exportButton, _("Save table"), proposed, _("Table (*.csv)"))
        name = str(answer[0] if isinstance(answer, (list, tuple)) else answer)
        if name:
            path = Path(name) if Path(name).suffix else Path(name).with_suffix(".csv")
            content = table(found.origin.case, agreement).encode()
            save(self._tasks, path, content, self.say, _("The table is saved as {path}.").format(path=path))


def _about(found: CaseNode) -> str:
    """Where the case comes from, and what is wrong with it."""
    origin, metadata = found.origin, found.document.get("metadata", {})
    image = next(iter(found.images.values()), None)
    about = [f"{origin.cohort}, {origin.case}"] + ([words.mm(image.GetSpacing())] if image is not None else [])
    about += [shown(metadata[key]) for key in ("scanner",) if key in metadata]
    lines = [escape(f"{'; '.join(about)}.")]
    if found.problems:
        lines.append(f"<b>{escape(_('Problems'))}</b>: {escape('; '.join(found.problems))}.")
    return "<br>".join(lines)


def _metadata(found: CaseNode) -> list[str]:
    """All that is known of the case."""
    return [f"{key}: {shown(value)}" for key, value in sorted(found.document.get("metadata", {}).items())]
