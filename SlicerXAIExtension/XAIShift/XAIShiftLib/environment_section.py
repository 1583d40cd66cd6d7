"""The section of an environment: rater and conditions on metadata, and how many cases that makes."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.cohorts import Between, Case, Cohort, Condition, Environment, OneOf, Value, shown
from XAIPanels.choosing import chosen, offer
from XAIPanels.words import BAD, coloured, shortened

from .logic import ShiftLogic
from .words import cases

LISTED = 10
"""Numbers with more distinct values than this are chosen by their range."""
ROLES = {"source": _("Source"), "target": _("Target")}
"""For people, by the name with which the widgets begin."""


class EnvironmentSection:
    """Keeps the environment on the parameter node.

    Args:
        role: "source" or "target", with which the names of its widgets begin.
        preferred: which of the cohort's raters is proposed, when none was chosen.
        changed: called whenever the environment changed.

    Attributes:
        environment: what is chosen.
    """

    def __init__(
        self, ui: Any, role: str, logic: ShiftLogic, preferred: Callable[[list[str]], str], changed: Callable[[], None]
    ) -> None:
        self.role = role
        self.environment = Environment()
        self._logic = logic
        self._preferred = preferred
        self._changed = changed
        self._cohort: Cohort | None = None
        self._values: list[Value] = []
        self._ui = {name: getattr(ui, f"{role}{name}") for name in _WIDGETS}
        self._ui["RaterCombo"].connect("currentIndexChanged(int)", self._rater_chosen)
        self._ui["KeyCombo"].connect("currentIndexChanged(int)", self._show_condition)
        self._ui["Values"].connect("itemChanged(QListWidgetItem*)", self._values_chosen)
        self._ui["FromEdit"].connect("textEdited(QString)", self._range_typed)
        self._ui["ToEdit"].connect("textEdited(QString)", self._range_typed)
        self._ui["ClearButton"].connect("clicked()", self._clear)

    @property
    def selected(self) -> tuple[Case, ...]:
        """The selected cases; none while the cohort is not known."""
        return self._cohort.selected(self.environment) if self._cohort is not None else ()

    @property
    def reason(self) -> str:
        """Why this selection cannot be used; empty when it can."""
        if self._cohort is None or self.selected:
            return ""
        return _("The {role} selects no case; change its rater or its conditions.").format(
            role=ROLES[self.role].lower()
        )

    def fill(self, cohort: Cohort | None) -> None:
        """Offer what a cohort has; what was chosen stays as far as it is still offered."""
        self._cohort = cohort
        if cohort is not None:
            raters, where = list(cohort.raters), self.environment.where
            rater = self.environment.rater if self.environment.rater in raters else self._preferred(raters)
            self._set(Environment(rater, {key: test for key, test in where.items() if key in cohort.keys}))
        self._show()

    def restore(self) -> None:
        """Take the environment of the parameter node, as of a scene that was just loaded."""
        self.environment = self._logic.parameters().environment(self.role)
        self.fill(self._cohort)

    def refresh(self, running: bool, reason: str) -> None:
        """Enable what can be used.

        Args:
            reason: why nothing can be chosen, or empty.
        """
        usable = self._cohort is not None and not running
        for name in ("RaterCombo", "KeyCombo", "Values", "FromEdit", "ToEdit"):
            self._ui[name].enabled = usable
        self._ui["ClearButton"].enabled = usable and bool(self.environment.where)
        self._ui["State"].text = self._words() if self._cohort is not None else escape(reason)
        chosen_cases = "" if self._cohort is None else f" – {cases(len(self.selected))}: {self.environment}"
        self._ui["Section"].text = shortened(f"{ROLES[self.role]}{chosen_cases}")

    def collapse(self) -> None:
        """Show the header alone, which says what is selected."""
        self._ui["Section"].collapsed = True

    def _words(self) -> str:
        count = len(self.selected)
        if not count:
            return f"{coloured(_('No case'), BAD)}: {escape(str(self.environment))}."
        return f"<b>{cases(count)}</b>: {escape(str(self.environment))}."

    @property
    def _key(self) -> str:
        return str(chosen(self._ui["KeyCombo"]) or "")

    def _set(self, environment: Environment) -> None:
        self.environment = environment
        self._logic.parameters().set_environment(self.role, environment)

    def _show(self) -> None:
        cohort = self._cohort
        raters = cohort.raters if cohort is not None else {}
        names = [f"{rater}  ({cases(count)})" for rater, count in raters.items()]
        offer(self._ui["RaterCombo"], names, self.environment.rater, raters)
        first = next(iter(self.environment.where), "")
        self._offer_keys(self._key or first or _likely(cohort.keys if cohort is not None else ()))
        self._show_condition()

    def _offer_keys(self, wanted: str) -> None:
        keys = self._cohort.keys if self._cohort is not None else ()
        names = [f"{key}  ✓" if key in self.environment.where else key for key in keys]
        offer(self._ui["KeyCombo"], names, wanted, keys)

    def _show_condition(self, *_unused: Any) -> None:
        """The chosen key's values to check, or the ends of its range."""
        cohort, key = self._cohort, self._key
        counts = cohort.values(key) if cohort is not None and key else {}
        by_range = cohort is not None and len(counts) > LISTED and cohort.numeric(key)
        self._ui["Values"].visible = not by_range
        self._ui["Range"].visible = by_range
        self._ui["Indent"].visible, self._ui["RangeIndent"].visible = not by_range, by_range
        condition = self.environment.where.get(key)
        self._show_values({} if by_range else counts, condition)
        ends = (condition.minimum, condition.maximum) if isinstance(condition, Between) else (None, None)
        limits = (min(counts), max(counts)) if by_range else ("", "")
        for name, end, limit in zip(("FromEdit", "ToEdit"), ends, limits):
            self._ui[name].text = "" if end is None else shown(end)
            self._ui[name].placeholderText = shown(limit)

    def _show_values(self, counts: Any, condition: Condition | None) -> None:
        self._values = list(counts)
        widget = self._ui["Values"]
        widget.blockSignals(True)
        widget.clear()
        for value, count in counts.items():
            item = qt.QListWidgetItem(f"{shown(value)} ({count})")
            item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            checked = isinstance(condition, OneOf) and value in condition.values
            item.setCheckState(qt.Qt.Checked if checked else qt.Qt.Unchecked)
            widget.addItem(item)
        widget.blockSignals(False)

    def _rater_chosen(self, _index: int) -> None:
        self._set(Environment(str(chosen(self._ui["RaterCombo"]) or ""), self.environment.where))
        self._changed()

    def _values_chosen(self, _item: Any) -> None:
        widget = self._ui["Values"]
        states = [widget.item(row).checkState() == qt.Qt.Checked for row in range(len(self._values))]
        values = tuple(value for value, checked in zip(self._values, states) if checked)
        self._set_condition(OneOf(values) if values else None)

    def _range_typed(self, _text: str) -> None:
        ends = [_number(self._ui[name].text) for name in ("FromEdit", "ToEdit")]
        self._set_condition(None if ends == [None, None] else Between(*ends))

    def _set_condition(self, condition: Condition | None) -> None:
        where = {key: test for key, test in self.environment.where.items() if key != self._key}
        if condition is not None:
            where[self._key] = condition
        self._set(Environment(self.environment.rater, where))
        self._offer_keys(self._key)
        self._changed()

    def _clear(self) -> None:
        self._set(Environment(self.environment.rater))
        self._offer_keys(self._key)
        self._show_condition()
        self._changed()


_WIDGETS = (
    "Section",
    "RaterCombo",
    "KeyCombo",
    "ClearButton",
    "Indent",
    "Values",
    "RangeIndent",
    "Range",
    "FromEdit",
    "ToEdit",
    "State",
)


def _likely(keys: tuple[str, ...]) -> str:
    """What environments most often differ in."""
    words = ("centre", "center", "site", "hospital", "scanner", "vendor")
    found = (key for word in words for key in keys if word in key.lower())
    return next(found, keys[0] if keys else "")


def _number(text: str) -> float | None:
    """What was typed so far; None while it is no number."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
