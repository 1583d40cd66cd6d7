"""What is explained, as the method needs it: an image, or a cohort of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _
from XAILib.catalogue import CASE, COHORT, Method
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.image_section import ImageSection

from .logic import MethodsLogic
from .server import MethodsServer
from .words import NO_COHORT, UNKNOWN_SUBJECT


class CohortSection:
    """Shows the controls of the image or those of the cohort.

    Args:
        image: the controls of an image, which this shows or hides.
        changed: called whenever another cohort was chosen.
    """

    def __init__(self, ui: Any, logic: MethodsLogic, image: ImageSection, changed: Callable[[], None]) -> None:
        self.ui = ui
        self._logic = logic
        self._image = image
        self._changed = changed
        self._server: MethodsServer | None = None
        ui.cohortCombo.connect("currentIndexChanged(int)", self._chosen)

    @property
    def cohort(self) -> str:
        """Name of the chosen cohort; empty without one."""
        return str(chosen(self.ui.cohortCombo) or "")

    def fill(self, server: MethodsServer | None) -> None:
        """Offer the cohorts of a server."""
        self._server = server
        names = list(server.cohorts.sizes) if server is not None else []
        offer(self.ui.cohortCombo, names, self.cohort or self._logic.parameters().cohort)

    def restore(self) -> None:
        """Take the choice of the parameter node."""
        names = list(self._server.cohorts.sizes) if self._server is not None else []
        offer(self.ui.cohortCombo, names, self._logic.parameters().cohort)

    def reason(self, method: Method | None) -> str:
        """Why the method has nothing to explain; empty when it has."""
        if method is None or method.subject == CASE:
            return self._image.reason
        if method.subject != COHORT:
            return UNKNOWN_SUBJECT
        if self._server is not None and not self._server.catalogue.models:
            return _("The server has no model yet; whoever runs it can train one.")
        return "" if self.cohort else NO_COHORT

    def refresh(self, method: Method | None) -> None:
        """Show what the method needs."""
        of_cohort = method is not None and method.subject == COHORT
        self.ui.imageSection.text = _("Model and cohort") if of_cohort else _("Image")
        for widget in (self.ui.volumeButton, self.ui.inputSelector, self.ui.studyButton, self.ui.studyCombo):
            widget.visible = not of_cohort
        for widget in (self.ui.cohortLabel, self.ui.cohortCombo):
            widget.visible = of_cohort
        reason = "" if self.cohort else NO_COHORT
        enable(self.ui.cohortCombo, reason, _("The cohort of the server that the method looks at."))

    def _chosen(self, *_unused: Any) -> None:
        self._logic.parameters().cohort = self.cohort
        self._changed()
