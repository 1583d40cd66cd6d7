"""What the panel says: durations, names of methods, and why a control cannot be used. No Qt and no MRML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

METHOD = "saliency"
"""The server's method that this panel asks for."""

RESEARCH_USE = "For research only. Not a medical device; not for diagnosis."

VARIANTS = {
    "lrp": "Layer-wise relevance",
    "input_x_gradient": "Input × Gradient (fastest)",
    "integrated_gradients": "Integrated gradients (slower)",
    "occlusion": "Occlusion (slowest)",
}
VARIANT_HINTS = {
    "lrp": "Passes the decision back through the network, layer by layer. The usual choice.",
    "input_x_gradient": "The gradient of the decision times the intensity. Fast and often noisy.",
    "integrated_gradients": "Averages gradients on the way from a blurred image to this one.",
    "occlusion": "Hides one box after the other and measures what the decision loses. Takes minutes.",
}


def variant(name: str) -> str:
    """A way to compute saliency, for people; a name that this version does not know is shown as it is."""
    return VARIANTS.get(name, name.replace("_", " "))


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


def legend(opposed: tuple[str, ...], supporting: tuple[str, ...], lesions: str, explained: str) -> str:
    """Rich text that explains the colours of the views.

    Args:
        opposed, supporting: colours of the map from weak to strong.
        lesions, explained: colours of the outlines.
    """
    cells = "".join(
        f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;&nbsp;</td>' for colour in (*reversed(opposed), *supporting)
    )
    lines = (
        f'<table cellspacing="0" cellpadding="1"><tr><td>against&nbsp;</td>{cells}'
        "<td>&nbsp;for a lesion</td></tr></table>"
    )
    outlines = "".join(
        f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;&nbsp;</td><td>&nbsp;{name}&nbsp;&nbsp;</td>'
        for colour, name in ((lesions, "predicted lesion"), (explained, "explained lesion"))
    )
    return f'{lines}<table cellspacing="0" cellpadding="1"><tr>{outlines}</tr></table>'


def number_range(schema: Mapping[str, Any], name: str, fallback: tuple[float, float]) -> tuple[float, float]:
    """Minimum and maximum of a number in a method's JSON schema; `fallback` where the schema says nothing."""
    field = schema.get("properties", {}).get(name, {})
    return float(field.get("minimum", fallback[0])), float(field.get("maximum", fallback[1]))
