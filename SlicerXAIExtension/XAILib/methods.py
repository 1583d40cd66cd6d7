"""What can be shown of the result of any method: its numbers and tables as texts. Knows nothing of Qt or MRML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .i18n import tr as _

Point = tuple[float, float, float]

METRICS = "metrics"
"""Key of the table that is made of the metrics; a result's own tables have their own keys."""
METRICS_TITLE = _("Measures")
METRICS_COLUMNS = (_("Measure"), _("Value"))
COORDINATES = ("R mm", "A mm", "S mm")
"""Columns by which a row of a table has a place in the world."""
NOTHING = "–"


@dataclass(frozen=True)
class ShownTable:
    """A table as texts.

    Attributes:
        key: its name in the document.
        rows: as many texts as there are columns.
        places: of each row, R, A, S in mm where the row has a place, else None.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    places: tuple[Point | None, ...]

    def csv(self) -> str:
        """The table as text of comma-separated values, RFC 4180."""
        lines = [self.columns, *self.rows]
        return "".join(",".join(map(_quoted, line)) + "\r\n" for line in lines)


def tables_of(document: Mapping[str, Any]) -> tuple[ShownTable, ...]:
    """All tables of a result's document; its metrics are the first where there are any."""
    found = [_table(str(key), table) for key, table in document.get("tables", {}).items()]
    metrics = document.get("metrics", {})
    if metrics:
        rows = tuple((words_of(str(name)), shown(value)) for name, value in metrics.items())
        found.insert(0, ShownTable(METRICS, METRICS_TITLE, METRICS_COLUMNS, rows, (None,) * len(rows)))
    return tuple(found)


def shown(value: Any) -> str:
    """A value of a table, for people: four digits, a dash where there is none."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return NOTHING if math.isnan(value) else f"{value:.4g}".replace("-", "−")
    return str(value)


def words_of(name: str) -> str:
    """The name of a measure or of a volume, for people."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def asked_of(document: Mapping[str, Any]) -> str:
    """What a result is of: the method's name, and the point where it was asked about one."""
    point = document.get("parameters", {}).get("point")
    name = words_of(str(document.get("method", "result")))
    if isinstance(point, list) and len(point) == 3 and all(isinstance(part, (int, float)) for part in point):
        return _("{name} at {list} mm").format(name=name, list=", ".join(f"{part:.0f}" for part in point))
    return name


def _table(key: str, table: Mapping[str, Any]) -> ShownTable:
    columns = tuple(str(column) for column in table["columns"])
    rows = tuple(tuple(shown(value) for value in row) for row in table["rows"])
    places = tuple(_place(columns, row) for row in table["rows"])
    return ShownTable(key, str(table.get("title") or words_of(key)), columns, rows, places)


def _place(columns: Sequence[str], row: Sequence[Any]) -> Point | None:
    found = [row[columns.index(name)] for name in COORDINATES if name in columns]
    if len(found) < 3 or not all(isinstance(value, (int, float)) and math.isfinite(value) for value in found):
        return None
    return float(found[0]), float(found[1]), float(found[2])


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\r\n') else text
