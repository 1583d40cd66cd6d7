"""The tables of a result, typed. Columns are found by their names, because a newer server may add some."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from XAILib.worklist import ClassItem, Item, LesionItem

from .prepared import labels_of

Document = Mapping[str, Any]


def classes_of(document: Document) -> tuple[ClassItem, ...]:
    """The classes of a result, in the order of the model; empty when it has none."""
    order = labels_of(document)
    found = (
        ClassItem(
            label=str(row["class"]),
            probability=_number(row.get("probability")) or 0.0,
            predicted=row.get("predicted") is True,
            distinctiveness=_number(row.get("distinctiveness")),
            suspicion=_number(row.get("suspicion")),
            flagged=row.get("flagged") is True,
            reason=str(row.get("reason") or ""),
        )
        for row in _rows(document, "classes")
        if "class" in row
    )
    return tuple(sorted(found, key=lambda one: order.index(one.label) if one.label in order else len(order)))


def nearest_of(document: Document, label: str) -> str:
    """The class whose map is most like that of another one; empty where the result does not say."""
    row = next((row for row in _rows(document, "distances") if label in list(row.values())[:1]), {})
    distances = {name: _number(value) for name, value in list(row.items())[1:] if name != label}
    known = {name: value for name, value in distances.items() if value is not None}
    return min(known, key=lambda name: known[name]) if known else ""


def thresholds_of(document: Document) -> dict[str, float]:
    """From which probability each class counts as present, as far as a result says so."""
    found = {str(row.get("class")): _number(row.get("threshold")) for row in _rows(document, "classes")}
    return {label: value for label, value in found.items() if value is not None}


def lesions_of(document: Document) -> tuple[LesionItem, ...]:
    """The predicted lesions of a result; empty when it has none."""
    return tuple(_lesion(row) for row in _rows(document, "lesions") if "number" in row)


def completed(item: Item, document: Document | None) -> Item:
    """An item with what the result of its image says, where it is not scored itself."""
    if document is None or "tables" not in document or item.scored:
        return item
    return replace(item, classes=classes_of(document), lesions=lesions_of(document))


def _lesion(row: Mapping[str, Any]) -> LesionItem:
    right, anterior, superior = (_number(row.get(f"{axis} mm")) or 0.0 for axis in "RAS")
    return LesionItem(
        number=int(row["number"]),
        volume_ml=_number(row.get("volume ml")) or 0.0,
        probability=_number(row.get("mean probability")) or 0.0,
        suspicion=_number(row.get("suspicion")),
        flagged=row.get("flagged") is True,
        reason=str(row.get("reason") or ""),
        centre=(right, anterior, superior),
    )


def _rows(document: Document, name: str) -> list[dict[str, Any]]:
    table = document.get("tables", {}).get(name)
    return [] if table is None else [dict(zip(table["columns"], row)) for row in table["rows"]]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
