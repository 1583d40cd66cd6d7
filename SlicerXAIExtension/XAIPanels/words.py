"""What the panels say: durations, colours of good and bad, ranges of a schema. No Qt and no MRML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

RESEARCH_USE = "For research only. Not a medical device; not for diagnosis."
GOOD, BAD = "#2e8b57", "#d64545"


def duration(seconds: float) -> str:
    """Such as "8 s", "3 min" or "1 h 20 min"."""
    whole = round(seconds)
    if whole < 100:
        return f"{max(whole, 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def time_left(seconds: float | None) -> str:
    """A remaining time, rounded so that it does not flicker; empty while unknown."""
    if seconds is None:
        return ""
    if seconds < 5:
        return "a few seconds left"
    return f"about {duration(5 * round(seconds / 5) if seconds < 100 else seconds)} left"


def coloured(text: str, colour: str) -> str:
    """Rich text in a colour, in bold; `text` is plain."""
    return f'<b><span style="color: {colour}">{escape(text)}</span></b>'


def number_range(schema: Mapping[str, Any], name: str, fallback: tuple[float, float]) -> tuple[float, float]:
    """Minimum and maximum of a number in a method's JSON schema; `fallback` where the schema says nothing."""
    field = schema.get("properties", {}).get(name, {})
    return float(field.get("minimum", fallback[0])), float(field.get("maximum", fallback[1]))


def sentence(text: str) -> str:
    """The text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def shortened(text: str, length: int = 46) -> str:
    """The beginning of a text, for headers, whose width would widen the whole panel."""
    return text if len(text) <= length else f"{text[: length - 1].rstrip()}…"
