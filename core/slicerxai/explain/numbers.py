"""Numbers for people."""

from __future__ import annotations

import math

NARROW_SPACE = "\u202f"


def number(value: object, digits: int = 4) -> str:
    """A cell for people: `digits` significant digits, "not defined" for NaN and for nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "not defined"
    if isinstance(value, float):
        size = abs(value)
        text = (
            "∞"
            if math.isinf(size)
            else f"{size:,.0f}".replace(",", NARROW_SPACE)
            if size >= 1000
            else f"{size:.{digits}g}"
        )
        return ("−" if value < 0 else "") + text
    return str(value)
