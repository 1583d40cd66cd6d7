"""A curve as a file. No Qt and no MRML."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

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


def write(path: Path, save: Callable[[Path], bool]) -> str:
    """Write under a temporary name, then rename; why it failed, or nothing.

    Args:
        save: writes to the path it is given; False when it could not.
    """
    unfinished = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if not save(unfinished):
            return _("{path} cannot be written; choose another place.").format(path=path)
        unfinished.replace(path)
    except OSError as error:
        return _("{path} cannot be written ({reason}); choose another place.").format(path=path, reason=error.strerror)
    return ""
