"""The section of the method: what is compared, and how it is estimated. Offers what the server's schema offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.catalogue import Method
from XAILib.cohorts import Case, Cohort, Environment
from XAIPanels.choosing import chosen, offer
from XAIPanels.words import counted

from .logic import ShiftLogic
from .words import ESTIMATORS, EXCHANGE_HINTS, EXCHANGES, METRICS, estimator, exchange, metric

NO_BURDEN = "none"
NAMES: Mapping[str, tuple[Sequence[str], Callable[[str], str]]] = {
    "metric": (list(METRICS), metric),
    "estimator": (list(ESTIMATORS), estimator),
    "exchange": (list(EXCHANGES), exchange),
}
"""Usual values of each option and what they are called."""
BURDEN_WORDS = ("ml", "load", "burden", "volume")
"""One of these is in the name of a metadata key that holds a disease burden in ml."""
HINTS = {
    "metric": _("What is compared between source and target."),
    "estimator": _("How the shares of patients, scanner and rater are estimated."),
    "exchange": _("What is measured by an exchange instead of estimated."),
}
"""While the server has not said more."""


class OptionsSection:
    """Keeps the options on the parameter node.

    Args:
        changed: called whenever one changed.
    """

    def __init__(self, ui: Any, logic: ShiftLogic, changed: Callable[[], None]) -> None:
        self.ui = ui
        self._logic = logic
        self._changed = changed
        self._combos = {name: getattr(ui, f"{name}Combo") for name in (*NAMES, "burden")}
        self.fill(None)
        self.offer_burdens((), ())
        for combo in self._combos.values():
            combo.connect("currentIndexChanged(int)", self._chosen)

    @property
    def options(self) -> dict[str, str]:
        """Parameters of the method that are chosen here, as far as the server knows them."""
        return {name: str(chosen(combo)) for name, combo in self._combos.items() if name in self._known}

    def fill(self, method: Method | None) -> None:
        """Offer the values of the server's schema, or the usual ones."""
        fields = method.parameters.get("properties", {}) if method is not None else {}
        self._known = set(self._combos) if method is None else set(fields)
        saved = self._logic.parameters().options
        for name, (usual, say) in NAMES.items():
            field, combo = fields.get(name, {}), self._combos[name]
            values = [str(value) for value in field.get("enum", usual)]
            offer(combo, [say(value) for value in values], saved.get(name, str(field.get("default", usual[0]))), values)
            combo.toolTip = str(field.get("description", HINTS[name]))
        for index in range(self.ui.exchangeCombo.count):
            hint = EXCHANGE_HINTS.get(str(self.ui.exchangeCombo.itemData(index)), "")
            self.ui.exchangeCombo.setItemData(index, hint, qt.Qt.ToolTipRole)
        self.ui.burdenCombo.toolTip = str(
            fields.get("burden", {}).get("description", _("Where the patients' disease burden is read."))
        )

    def restore(self, method: Method | None) -> None:
        """Take the options of the parameter node."""
        self.fill(method)

    def offer_burdens(self, keys: Sequence[str], raters: Sequence[str]) -> None:
        """Where disease burden can be read: metadata in ml, and masks of raters who are not compared."""
        values = [NO_BURDEN, *(f"metadata:{key}" for key in keys), *(f"mask:{rater}" for rater in raters)]
        names = [
            _("Not used"),
            *(_("Metadata: {key}").format(key=key) for key in keys),
            *(_("Masks of rater {rater}").format(rater=rater) for rater in raters),
        ]
        offer(self.ui.burdenCombo, names, self._logic.parameters().options.get("burden", NO_BURDEN), values)

    def refresh(self, running: bool) -> None:
        """What may be chosen now, and the choice in the section's title."""
        for name, combo in self._combos.items():
            combo.enabled = not running and name in self._known
        self.ui.optionsSection.text = _("Method – {metric}, {estimator}").format(
            metric=self.ui.metricCombo.currentText, estimator=chosen(self.ui.estimatorCombo)
        )

    def collapse(self) -> None:
        """Fold the section."""
        self.ui.optionsSection.collapsed = True

    def _chosen(self, _index: int) -> None:
        self._logic.parameters().options = self.options
        self._changed()


def burdens(cohort: Cohort, selected: Sequence[Case], raters: Sequence[str]) -> tuple[list[str], list[str]]:
    """Metadata keys, and raters who are not compared, from which every selected case's burden can be read."""
    if not selected:
        return [], []
    keys = [key for key in cohort.keys if cohort.numeric(key) and any(word in key.lower() for word in BURDEN_WORDS)]
    keys = [key for key in keys if all(key in case.metadata for case in selected)]
    compared = raters if len(set(raters)) > 1 else ()
    everywhere = [rater for rater in cohort.raters if all(rater in case.raters for case in selected)]
    return keys, [rater for rater in everywhere if rater not in compared]


def pair_words(source: Environment, target: Environment, chosen_cases: tuple[Sequence[Case], Sequence[Case]]) -> str:
    """What the two selections have to do with each other; empty when there is nothing to say."""
    if not all(chosen_cases):
        return ""
    both = {case.id for case in chosen_cases[0]} & {case.id for case in chosen_cases[1]}
    words = []
    if both and len(both) == len(chosen_cases[0]) == len(chosen_cases[1]):
        words.append(_("Both select the same cases"))
    elif both:
        words.append(counted(len(both), _("{number} case is in both"), _("{number} cases are in both")))
    raters = (source.rater, target.rater)
    if raters[0] == raters[1]:
        words.append(_("rater {raters} drew all masks").format(raters=raters[0]))
    elif all(rater in case.raters for cases in chosen_cases for case in cases for rater in raters):
        words.append(_("every case has the masks of both raters, so that what the rater costs can be observed"))
    text = "; ".join(words)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
