"""The section of the decision: accept, correct, mark wrong, comment, undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from slicer.i18n import tr as _
from XAILib.worklist import ACCEPTED, CLASSIFIER, CORRECTED, WRONG, Item
from XAIPanels.choosing import enable
from XAIPanels.words import BAD, GOOD, coloured

from . import words
from .logic import ReviewLogic
from .parameters import Draft

NO_CLASSES = _("Lesions have no boxes to correct: mark the prediction as wrong, or draw the lesions and submit them.")
CORRECTING = _("Check the boxes of the classes that are present, and save.")
NOT_SCORED = _("Press “Score images” first: only a prediction that was scored can be accepted.")
DECIDED = _("Decided already; press “Undo” to decide anew.")


class DecisionSection:
    """What the reader has entered is kept as a draft with the scene until the server has it.

    Args:
        decide: called with a decision, the corrected classes or None, and the comment.
        undo: called to take the decision back.
        changed: called when correcting begins or ends, or moving on is switched.
    """

    def __init__(
        self,
        ui: Any,
        logic: ReviewLogic,
        decide: Callable[[str, Mapping[str, bool] | None, str], None],
        undo: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.ui = ui
        self.busy = False
        self._logic = logic
        self._decide = decide
        self._changed = changed
        self._image = ""
        self._item: Item | None = None
        ui.acceptButton.connect("clicked()", lambda: self._send(ACCEPTED))
        ui.wrongButton.connect("clicked()", lambda: self._send(WRONG))
        ui.correctButton.connect("clicked()", self._correct)
        ui.saveButton.connect("clicked()", lambda: self._send(CORRECTED))
        ui.revertButton.connect("clicked()", self._revert)
        ui.undoButton.connect("clicked()", undo)
        ui.commentEdit.connect("textEdited(QString)", self._commented)
        ui.moveOnCheck.connect("toggled(bool)", self._move_on)
        self.say("")
        self.restore()

    @property
    def draft(self) -> Draft:
        """What has been entered for the shown image and is not on the server."""
        return self._logic.parameters().draft(self._image) if self._image else Draft()

    @property
    def correcting(self) -> bool:
        return self.draft.labels is not None

    def restore(self) -> None:
        """Take the choice of the parameter node."""
        self.ui.moveOnCheck.blockSignals(True)
        self.ui.moveOnCheck.checked = self._logic.parameters().moves_on
        self.ui.moveOnCheck.blockSignals(False)

    def show(self, image: str, item: Item | None) -> None:
        """Show what is known of the image that the views show; an empty id when they show none."""
        self._image, self._item = image, item
        comment = self.draft.comment or (item.review.comment if item is not None and item.review is not None else "")
        if str(self.ui.commentEdit.text) != comment:
            self.ui.commentEdit.text = comment
        told = words.review(item) if item is not None else ""
        if self.correcting and (item is None or item.open):
            told = CORRECTING
        self.ui.reviewLabel.text = escape(told)

    def edited(self, labels: Mapping[str, bool]) -> None:
        """The reader has changed a class."""
        self._keep(labels)

    def written(self, image: str) -> None:
        """The server has what was entered for an image."""
        self._logic.parameters().set_draft(image, Draft())

    def refresh(self, kind: str, reason: str) -> None:
        """Enable what can be used.

        Args:
            kind: of the model.
            reason: why nothing can be decided now; empty when it can.
        """
        reason = reason or (_("Writing to the server …") if self.busy else "")
        decided = self._item is not None and not self._item.open
        correcting = self.correcting and not decided
        ui = self.ui
        for button in (ui.acceptButton, ui.correctButton, ui.wrongButton):
            button.visible = not correcting
        ui.saveButton.visible = ui.revertButton.visible = correcting
        blocked = reason or (DECIDED if decided else "")
        unscored = "" if self._item is None or self._item.scored else NOT_SCORED
        enable(ui.acceptButton, blocked or unscored, _("The prediction is right (Alt+A)."))
        enable(ui.wrongButton, blocked, _("The prediction is wrong, without saying what is right (Alt+W)."))
        enable(
            ui.correctButton,
            blocked or ("" if kind == CLASSIFIER else NO_CLASSES),
            _("Say which classes are present: their boxes in the table can be changed then (Alt+C)."),
        )
        enable(ui.saveButton, blocked, _("Write the corrected classes to the server (Alt+S)."))
        enable(ui.revertButton, "" if not self.busy else reason, _("Forget the correction (Alt+R)."))
        nothing = "" if decided else _("Nothing has been decided yet.")
        enable(ui.undoButton, reason or nothing, _("Take the decision back, on the server too (Alt+U)."))
        enable(ui.commentEdit, DECIDED if decided else "", _("Is written with the decision."))

    def say(self, text: str) -> None:
        """Something that is neither good nor bad."""
        self._show(escape(text))

    def succeed(self, text: str) -> None:
        """Say what was written."""
        self._show(f"{coloured(_('Written'), GOOD)}: {escape(text)}")

    def fail(self, text: str) -> None:
        """The server has not taken the decision on the shown image; `text` says why and what to do."""
        said = _("{image}: {text} What you entered is kept.").format(image=escape(self._image), text=escape(text))
        self._show(f"{coloured(_('Not written'), BAD)}: {said}")

    def _show(self, rich_text: str) -> None:
        self.ui.decisionState.text = rich_text
        self.ui.decisionState.visible = bool(rich_text)

    def _send(self, decision: str) -> None:
        labels = self.draft.labels if decision == CORRECTED else None
        self._decide(decision, labels, str(self.ui.commentEdit.text).strip())

    def _correct(self) -> None:
        if self._item is not None:
            self._keep({one.label: one.predicted for one in self._item.classes})

    def _revert(self) -> None:
        self._keep(None)

    def _commented(self, _text: str) -> None:
        draft = Draft(str(self.ui.commentEdit.text), self.draft.labels)
        self._logic.parameters().set_draft(self._image, draft)

    def _keep(self, labels: Mapping[str, bool] | None) -> None:
        self._logic.parameters().set_draft(self._image, Draft(str(self.ui.commentEdit.text), labels))
        self._changed()

    def _move_on(self, checked: bool) -> None:
        self._logic.parameters().moves_on = bool(checked)
        self._changed()
