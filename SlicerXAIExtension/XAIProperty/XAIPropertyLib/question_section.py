"""The section of the question: which property, how far and how finely, the buttons and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from slicer.i18n import tr as _
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.image_server import ImageServer
from XAIPanels.job_state import JobState
from XAIPanels.words import number_range

from .logic import PropertyLogic
from .tables import Effect
from .words import METHOD, property_title

RUNNING = _("A computation is running; cancel it, or put it in the background in “Jobs” below.")
NO_PROPERTY = _("Connect to a server that knows properties first.")
RANGE = _("The walk must begin below its end.")
NEEDS_IMAGES = frozenset({"recorded"})
"""Properties that need images of their own, which this panel does not send."""


class QuestionSection(JobState):
    """Shows a job; it does not know how jobs are made.

    Args:
        rank, walk, cancel: what the buttons do.
        changed: called whenever a choice changed.
    """

    def __init__(
        self,
        ui: Any,
        logic: PropertyLogic,
        rank: Callable[[], None],
        walk: Callable[[], None],
        cancel: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        super().__init__(ui, _("Not measured"))
        self._logic = logic
        self._changed = changed
        self._titles: dict[str, str] = {}
        self._names: list[str] = []
        self._proposed: tuple[str, str] = ("", "")
        ui.runButton.connect("clicked()", rank)
        ui.walkButton.connect("clicked()", walk)
        ui.cancelButton.connect("clicked()", cancel)
        ui.propertyCombo.connect("currentIndexChanged(int)", self._chosen)
        ui.rangeBox.connect("toggled(bool)", self._chosen)
        for spin in (ui.stepsSpin, ui.controlsSpin):
            spin.connect("valueChanged(int)", self._chosen)
        for spin in (ui.lowSpin, ui.highSpin):
            spin.connect("valueChanged(double)", self._chosen)

    @property
    def property_name(self) -> str:
        """The property to walk along; empty while none is offered."""
        return chosen(self.ui.propertyCombo) or ""

    @property
    def ranking(self) -> dict[str, Any]:
        """Parameters of the method, for all properties."""
        return {"steps": int(self.ui.stepsSpin.value), "controls": int(self.ui.controlsSpin.value)}

    @property
    def walk(self) -> dict[str, Any]:
        """Parameters of the method, for the chosen property."""
        found: dict[str, Any] = {**self.ranking, "properties": [self.property_name]}
        if self.ui.rangeBox.checked:
            found["low"], found["high"] = float(self.ui.lowSpin.value), float(self.ui.highSpin.value)
        return found

    def fill(self, server: ImageServer | None) -> None:
        """Offer what the server's schema offers."""
        method = server.method(METHOD) if server is not None else None
        if method is None:
            return
        names = _names(method.parameters.get("properties", {}).get("properties", {}))
        self._names = [name for name in names if name not in NEEDS_IMAGES]
        self._offer(self.property_name or self._kept().get("property", ""))
        for spin, name in ((self.ui.stepsSpin, "steps"), (self.ui.controlsSpin, "controls")):
            low, high = number_range(method.parameters, name, (spin.minimum, spin.maximum))
            spin.minimum, spin.maximum = int(low), int(high)

    def follow(self, node: Any, effect: Effect | None, effects: list[Effect]) -> None:
        """Another property of a result is looked at: propose to walk along it, once.

        Args:
            node: the result node. effect: what is looked at. effects: all of the result, for their titles.
        """
        titles = {one.property: one.title for one in effects}
        if not titles.items() <= self._titles.items():
            self._titles.update(titles)
            self._offer(self.property_name)
        if effect is None or (node.GetID(), effect.property) == self._proposed:
            return
        self._proposed = (node.GetID(), effect.property)
        self._offer(effect.property)
        if not self.ui.rangeBox.checked and effect.low is not None and effect.high is not None:
            self._set({self.ui.lowSpin: effect.low, self.ui.highSpin: effect.high})

    def restore(self) -> None:
        """Take the choices of the parameter node."""
        kept = self._kept()
        spins = {self.ui.stepsSpin: "steps", self.ui.controlsSpin: "controls"}
        self._set({spin: kept[name] for spin, name in spins.items() if type(kept.get(name)) is int})
        spins = {self.ui.lowSpin: "low", self.ui.highSpin: "high"}
        self._set({spin: float(kept[name]) for spin, name in spins.items() if type(kept.get(name)) in (int, float)})
        self.ui.rangeBox.blockSignals(True)
        self.ui.rangeBox.checked = kept.get("range") is True
        self.ui.rangeBox.blockSignals(False)
        self._offer(str(kept.get("property", "")))

    def refresh(self, running: bool, stopping: bool, connected: bool, reason: str) -> None:
        """Enable what can be used.

        Args:
            reason: why nothing can be asked now, or empty.
        """
        busy = RUNNING if running else ""
        enable(
            self.ui.runButton, busy or reason, _("Change every property that this image allows, and compare effects.")
        )
        self.ui.runButton.text = _("Rank all &properties") if connected else _("Connect and rank all &properties")
        title = self._title(self.property_name)
        along = f"{title[:1].lower()}{title[1:]}" if title else "it"
        self.ui.walkButton.text = _("&Walk along {along}").format(along=along)
        self.ui.walkButton.visible = connected
        which = busy or reason or ("" if self.property_name else NO_PROPERTY) or self._range_reason()
        enable(self.ui.walkButton, which, _("Show image and prediction at every step along this one property."))
        stop = "" if running and not stopping else _("Nothing is running.")
        enable(self.ui.cancelButton, stop, _("Stop the computation on the server too."))
        for widget in (self.ui.propertyCombo, self.ui.rangeBox, self.ui.stepsSpin, self.ui.controlsSpin):
            widget.enabled = not running
        for widget in (self.ui.lowSpin, self.ui.highSpin):
            widget.enabled = not running and bool(self.ui.rangeBox.checked)
        hint = reason or self._range_reason()
        self.ui.hintLabel.visible = bool(hint) and not running
        self.ui.hintLabel.text = escape(hint)

    def _range_reason(self) -> str:
        return RANGE if self.ui.rangeBox.checked and self.ui.lowSpin.value >= self.ui.highSpin.value else ""

    def _title(self, name: str) -> str:
        return self._titles.get(name) or property_title(name)

    def _offer(self, wanted: str) -> None:
        offer(self.ui.propertyCombo, [self._title(name) for name in self._names], wanted, self._names)

    def _kept(self) -> dict[str, Any]:
        return self._logic.parameters().method_parameters

    def _set(self, values: dict[Any, Any]) -> None:
        for spin, value in values.items():
            spin.blockSignals(True)
            spin.value = value
            spin.blockSignals(False)

    def _chosen(self, *_unused: Any) -> None:
        self._logic.parameters().method_parameters = {
            **self.ranking,
            "property": self.property_name,
            "range": bool(self.ui.rangeBox.checked),
            "low": float(self.ui.lowSpin.value),
            "high": float(self.ui.highSpin.value),
        }
        self._changed()


def _names(schema: Any) -> list[str]:
    """The first list of names that a JSON schema accepts, wherever in it that is."""
    if isinstance(schema, dict):
        if isinstance(schema.get("enum"), list):
            return [str(name) for name in schema["enum"]]
        schema = list(schema.values())
    if isinstance(schema, list):
        return next((found for found in map(_names, schema) if found), [])
    return []
