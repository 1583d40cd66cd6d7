"""The verdict of a result and its checks in words, as plain text and as the simple HTML that Qt's labels show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from .i18n import tr as _
from .readable import readable

COLOURS = {"reliable": "#2e8b57", "caution": "#c77700", "unreliable": "#d64545"}
"""The word always stands beside the colour."""
NAMES = {"reliable": _("reliable"), "caution": _("caution"), "unreliable": _("unreliable")}
"""For people."""

WORDS = {
    "reliable": _("The checks of this result are passed: the map shows what the model computed."),
    "caution": _("Use this result with caution: at least one of its checks is doubtful."),
    "unreliable": _("Do not rely on this result: at least one of its checks failed."),
}
NO_CHECKS = _("No check was made, so this result is not called reliable.")


def verdict_text(document: Mapping[str, Any]) -> str:
    """Verdict and what it means, then the reasons, worst first, a line each; flags at the end."""
    return "\n".join(
        [f"{NAMES[_name(document)].capitalize()}. {_meaning(document)}", *_reasons(document), *_flags(document)]
    )


def verdict_html(document: Mapping[str, Any], words: Mapping[str, str] = WORDS, flags: bool = True) -> str:
    """The same for a label.

    Args:
        words: what each verdict means.
        flags: whether the flags are told here.
    """
    name = _name(document)
    meaning = _meaning(document, words)
    lines = [
        f'<b><span style="color: {readable(COLOURS[name])}">{NAMES[name].capitalize()}</span></b> – {escape(meaning)}'
    ]
    lines += [escape(line) for line in (*_reasons(document), *(_flags(document) if flags else ()))]
    return "<br>".join(lines)


def checks_text(document: Mapping[str, Any]) -> str:
    """All checks, a line each."""
    return "\n".join(
        f"{check['name']}: {NAMES[check['verdict']]}. {check['reason']}{_numbers(check)}" for check in _checks(document)
    )


def checks_html(document: Mapping[str, Any]) -> str:
    """All checks, for a label."""
    lines = [
        f'<b><span style="color: {readable(COLOURS[check["verdict"]])}">{NAMES[check["verdict"]]}</span></b> · '
        f"<b>{escape(check['name'])}</b><br>{escape(check['reason'] + _numbers(check))}"
        for check in _checks(document)
    ]
    return "<br>".join(lines) or escape(NO_CHECKS)


def _name(document: Mapping[str, Any]) -> str:
    """The verdict; a word that this version does not know is never called reliable."""
    name = document.get("verdict")
    return name if isinstance(name, str) and name in COLOURS else "unreliable"


def _meaning(document: Mapping[str, Any], words: Mapping[str, str] = WORDS) -> str:
    return words[_name(document)] if document.get("checks") else NO_CHECKS


def _reasons(document: Mapping[str, Any]) -> list[str]:
    order = ("unreliable", "caution")
    doubtful = [check for check in _checks(document) if check["verdict"] in order]
    return [str(check["reason"]) for check in sorted(doubtful, key=lambda check: order.index(check["verdict"]))]


def _flags(document: Mapping[str, Any]) -> list[str]:
    return [f"{str(flag['subject']).capitalize()}: {flag['message']}" for flag in document.get("flags", ())]


def _checks(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The checks; one with a verdict that this version does not know counts as unreliable."""
    return [
        {**check, "verdict": check["verdict"] if check["verdict"] in COLOURS else "unreliable"}
        for check in document.get("checks", ())
    ]


def _numbers(check: Mapping[str, Any]) -> str:
    value = _number(check.get("value"))
    return (
        _(" (value {value}, limit {value2})").format(value=value, value2=_number(check.get("limit"))) if value else ""
    )


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3g}"
