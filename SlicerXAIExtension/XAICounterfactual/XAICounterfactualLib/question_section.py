"""The section of the question: which decision shall turn, how it is searched, the one button and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.catalogue import Model
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.job_state import JobState
from XAIPanels.row_table import RowTable
from XAIPanels.words import number, number_range, percent

from .logic import CounterfactualLogic
from .prepared import Point
from .server import CounterfactualServer
from .tables import Lesion
from .words import METHOD

AUTOMATIC = _("the most probable one")
DISTANCES = {"l1": _("few voxels (ℓ1)"), "l2": _("many voxels a little (ℓ2)")}
SPACES = {"image": _("any change"), "latent": _("realistic changes only")}
COLUMNS = (_("Lesion"), _("Volume"), _("Probability"))
HINTS = (_("Number of the lesion."), _("Its volume."), _("Mean probability over its voxels."))
PICK_CHECK_MS = 300
RUNNING = _("A computation is running; cancel it, or put it in the background in “Jobs” below.")


class QuestionSection(JobState):
    """Shows a job; it does not know how jobs are made.

    Args:
        run, find, cancel: what the buttons do.
        changed: called whenever a choice changed.
    """

    def __init__(
        self,
        ui: Any,
        logic: CounterfactualLogic,
        run: Callable[[], None],
        find: Callable[[], None],
        cancel: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        super().__init__(ui, _("Not found"))
        self._logic = logic
        self._changed = changed
        self._model: Model | None = None
        self._lesions: tuple[Lesion, ...] = ()
        self._point: Point | None = None
        self._pick_timer = qt.QTimer()
        self._pick_timer.interval = PICK_CHECK_MS
        self._pick_timer.connect("timeout()", self._check_pick)
        self.table = RowTable(ui.lesionTable, COLUMNS, HINTS, self._lesion_chosen)
        logic.on_point = self._picked
        ui.runButton.connect("clicked()", run)
        ui.findButton.connect("clicked()", find)
        ui.cancelButton.connect("clicked()", cancel)
        ui.pickButton.connect("clicked(bool)", self._pick)
        ui.anyLesionButton.connect("clicked()", self.forget_lesion)
        for combo in (ui.labelCombo, ui.distanceCombo, ui.spaceCombo):
            combo.connect("currentIndexChanged(int)", self._chosen)
        ui.countSpin.connect("valueChanged(int)", self._chosen)
        offer(ui.distanceCombo, DISTANCES.values(), "l1", DISTANCES)
        offer(ui.spaceCombo, SPACES.values(), "image", SPACES)
        self._show()

    @property
    def classifies(self) -> bool:
        """Whether the chosen model decides on labels; otherwise on lesions."""
        return self._model is not None and "background" not in self._model.labels

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the method that are chosen here."""
        found: dict[str, Any] = {"count": int(self.ui.countSpin.value), "distance": chosen(self.ui.distanceCombo)}
        found["space"] = chosen(self.ui.spaceCombo)
        if self.classifies and chosen(self.ui.labelCombo):
            found["label"] = chosen(self.ui.labelCombo)
        if not self.classifies and self._point is not None:
            found["point"] = [round(float(value), 3) for value in self._point]
        return found

    def fill(self, server: CounterfactualServer | None) -> None:
        """Offer what the server's schema offers."""
        method = server.method(METHOD) if server is not None else None
        if method is not None:
            low, high = number_range(method.parameters, "count", (1, 5))
            self.ui.countSpin.minimum, self.ui.countSpin.maximum = int(low), int(high)

    def follow(self, model: Model | None) -> None:
        """Ask what can be asked of this model."""
        if model == self._model:
            return
        self._model = model
        self.forget_lesions()
        labels = model.labels if model is not None and self.classifies else ()
        wanted = self._logic.parameters().method_parameters.get("label", "")
        offer(self.ui.labelCombo, [AUTOMATIC, *labels], wanted, ["", *labels])
        self._show()

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        saved = self._logic.parameters().method_parameters
        self.ui.countSpin.blockSignals(True)
        if isinstance(saved.get("count"), int):
            self.ui.countSpin.value = saved["count"]
        self.ui.countSpin.blockSignals(False)
        offer(self.ui.distanceCombo, DISTANCES.values(), saved.get("distance", "l1"), DISTANCES)
        offer(self.ui.spaceCombo, SPACES.values(), saved.get("space", "image"), SPACES)

    def found(self, lesions: tuple[Lesion, ...]) -> None:
        """Offer these lesions."""
        self.forget_lesions()
        self._lesions = lesions
        self._show()

    def forget_lesions(self) -> None:
        """Another image or model: earlier lesions are not its."""
        self._lesions = ()
        self.forget_lesion()

    def forget_lesion(self) -> None:
        """Ask about whichever lesion is the largest."""
        self._point = None
        self.table.fill([])
        self.stop_picking()
        self._show()

    def refresh(self, running: bool, stopping: bool, connected: bool, reason: str) -> None:
        """Enable what can be used.

        Args:
            reason: why nothing can be asked now, or empty.
        """
        busy = RUNNING if running else ""
        self.ui.runButton.text = _("&What would have to be different?") if connected else _("Connect and &ask")
        enable(self.ui.runButton, busy or reason, _("Find the smallest change of the image that turns the decision."))
        enable(self.ui.findButton, busy or reason, _("Let the model find its lesions, to choose one of them."))
        enable(self.ui.pickButton, busy or reason, _("Then click on a lesion in a slice view to ask about it."))
        stop = "" if running and not stopping else _("Nothing is running.")
        enable(self.ui.cancelButton, stop, _("Stop the computation on the server too."))
        for widget in (self.ui.labelCombo, self.ui.distanceCombo, self.ui.spaceCombo, self.ui.countSpin):
            widget.enabled = not running
        self.ui.hintLabel.visible = bool(reason) and not running
        self.ui.hintLabel.text = escape(reason)

    def stop_picking(self) -> None:
        """Leave the mode in which a click in a view chooses a lesion."""
        self._pick_timer.stop()
        self._logic.stop_pick()
        self.ui.pickButton.checked = False

    def close(self) -> None:
        """Let go of the views."""
        self.stop_picking()
        self._logic.on_point = None

    def _show(self) -> None:
        labels = self.classifies
        self.ui.labelLabel.visible = self.ui.labelCombo.visible = labels
        self.ui.lesionPanel.visible = self._model is not None and not labels
        rows = [
            (str(one.number), _("{volume:.2f} ml").format(volume=one.volume), percent(one.probability))
            for one in self._lesions
        ]
        centres = [one.centre for one in self._lesions]
        self.table.fill(rows, centres.index(self._point) if self._point in centres else -1)
        if self._point is None:
            self.ui.lesionState.text = _(
                "Asks about the largest lesion. Choose another one by its row or in the views."
            )
        else:
            where = ", ".join(number(value) for value in self._point)
            self.ui.lesionState.text = _("Asks about the lesion at R, A, S {where} mm.").format(where=where)
        self.ui.anyLesionButton.enabled = self._point is not None

    def _lesion_chosen(self, row: int) -> None:
        self._point = self._lesions[row].centre
        self._logic.jump_to(self._point)
        self._show()
        self._changed()

    def _pick(self, checked: bool) -> None:
        if not checked:
            self.stop_picking()
            return
        self._logic.start_pick()
        self._pick_timer.start()
        self.ui.lesionState.text = _("Click on a lesion in a slice view, or press the button again to stop.")

    def _check_pick(self) -> None:
        """The user may have left the place mode in Slicer's own ways, such as Esc."""
        if not self._logic.picking:
            self.stop_picking()
            self._show()

    def _picked(self, point: Point) -> None:
        self._point = point
        self.stop_picking()
        self._show()
        self._changed()

    def _chosen(self, *_unused: Any) -> None:
        choices = self._logic.parameters()
        kept = self.parameters
        kept.pop("point", None)
        choices.method_parameters = kept
        self._changed()
