"""The table of predicted lesions, typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Lesion:
    """One predicted lesion.

    Attributes:
        number: as in the table of the result, from 1.
        volume: ml.
        centre: R, A, S in mm, world coordinates.
        probability: the mean over its voxels; None where it is not defined.
        explained: whether the map explains it (all, or the chosen one).
        inside, near: its share of the map's positive relevance, in it and in its neighbourhood; None where not defined.
    """

    number: int
    volume: float
    centre: tuple[float, float, float]
    probability: float | None
    explained: bool
    inside: float | None
    near: float | None


def lesions_of(document: dict[str, Any]) -> list[Lesion]:
    """Rows of the "lesions" table; empty when a result has none (such as a classifier's).

    Columns are found by their names, because a newer server may add some.
    """
    table = document.get("tables", {}).get("lesions")
    if table is None:
        return []
    columns: list[str] = table["columns"]
    near = next((name for name in columns if name.startswith("relevance share within")), None)

    def lesion(row: list[Any]) -> Lesion:
        values = {name: row[place] for place, name in enumerate(columns)}
        return Lesion(
            number=int(values["number"]),
            volume=float(values["volume ml"]),
            centre=(float(values["R mm"]), float(values["A mm"]), float(values["S mm"])),
            probability=values.get("mean probability"),
            explained=bool(values.get("explained", True)),
            inside=values.get("relevance share inside"),
            near=values.get(near) if near else None,
        )

    return [lesion(row) for row in table["rows"]]
