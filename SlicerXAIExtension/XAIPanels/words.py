"""What the panels say: durations, colours of good and bad, ranges of a schema. No Qt and no MRML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from slicer.i18n import tr as _
from XAILib.readable import readable

RESEARCH_USE = _("For research only. Not a medical device; not for diagnosis.")
GOOD, BAD = "#2e8b57", "#d64545"


def duration(seconds: float) -> str:
    """Such as "8 s", "3 min" or "1 h 20 min"."""
    whole = round(seconds)
    if whole < 100:
        return f"{max(whole, 1)} s"
    minutes = round(seconds / 60)
    return (
        _("{minutes} min").format(minutes=minutes)
        if minutes < 60
        else _("{minutes} h {minutes2} min").format(minutes=minutes // 60, minutes2=minutes % 60)
    )


def time_left(seconds: float | None) -> str:
    """A remaining time, rounded so that it does not flicker; empty while unknown."""
    if seconds is None:
        return ""
    if seconds < 5:
        return _("a few seconds left")
    return _("about {time} left").format(time=duration(5 * round(seconds / 5) if seconds < 100 else seconds))


def coloured(text: str, colour: str) -> str:
    """Rich text in a colour, as far as that can be read on this ground, in bold; `text` is plain."""
    return f'<b><span style="color: {readable(colour)}">{escape(text)}</span></b>'


def percent(share: float | None) -> str:
    """Such as "12 %"; a dash where there is no number."""
    return "–" if share is None else f"{100 * share:.0f} %"


def number(value: float | None) -> str:
    """Three digits; a dash where there is no number."""
    return "–" if value is None else f"{value:.3g}"


def number_range(schema: Mapping[str, Any], name: str, fallback: tuple[float, float]) -> tuple[float, float]:
    """Minimum and maximum of a number in a method's JSON schema; `fallback` where the schema says nothing."""
    field = schema.get("properties", {}).get(name, {})
    return float(field.get("minimum", fallback[0])), float(field.get("maximum", fallback[1]))


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def counted(number: int, one: str, many: str) -> str:
    """How many there are, such as "3 cases".

    Args:
        one, many: the texts for one and for any other number, with `{number}` in them.
    """
    return (one if number == 1 else many).format(number=number)


def shortened(text: str, length: int = 46) -> str:
    """The beginning of a text, for headers, whose width would widen the whole panel."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
