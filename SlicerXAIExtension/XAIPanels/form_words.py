"""What a form says of its fields. No Qt and no MRML."""

from __future__ import annotations

import math

from slicer.i18n import tr as _
from XAILib.schema import Field

MOST_DECIMALS = 12


def hint(field: Field) -> str:
    """The tooltip of a field: what it is, and what is accepted."""
    limits = range_words(field)
    return "\n".join(filter(None, (field.help, limits)))


def range_words(field: Field) -> str:
    """The limits of a number; empty where there are none."""
    limits = field.limits
    if field.kind not in ("integer", "number"):
        return ""
    low = None if limits.minimum is None else f"{limits.minimum:g}"
    high = None if limits.maximum is None else f"{limits.maximum:g}"
    if low is not None and high is not None:
        return _("From {low} to {high}.").format(low=low, high=high)
    if low is not None:
        return _("At least {low}.").format(low=low)
    return "" if high is None else _("At most {high}.").format(high=high)


def decimals(*numbers: float | None) -> int:
    """Digits behind the point that show all of these numbers as they are."""
    most = 0
    for number in numbers:
        if number is not None and math.isfinite(number):
            text = f"{number:.{MOST_DECIMALS}f}".rstrip("0")
            most = max(most, len(text) - text.index(".") - 1)
    return most


def fault_text(title: str, words: str) -> str:
    """A fault with the title of its field."""
    return f"{title}: {words}" if title else words
