"""A curve as a table. No Qt and no MRML."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from .tables import Curve, columns


def table(document: Mapping[str, Any], curve: Curve) -> str:
    """The whole curve as CSV: step, value of the property, and every output; units are in the header."""
    names, lines = columns(document, curve.effect.property)
    unit = f" ({curve.effect.units})" if curve.effect.units else ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{curve.effect.property}{unit}" if name == "value" else name for name in names])
    writer.writerows(["" if value is None else value for value in line] for line in lines)
    return text.getvalue()
