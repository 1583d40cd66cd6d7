"""The tables of a result, typed. Columns are found by their names, because a newer server may add some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from XAIPanels.documents import model_of, rows


@dataclass(frozen=True)
class Entry:
    """One counterfactual of the gallery; None where the server did not say.

    Attributes:
        flipped: whether the decision is the other one.
        before, after: probability of what was asked about.
        share: of the change inside of the expert's mask.
        plausibility: 0 (unlike the training images) to 1.
    """

    number: int
    flipped: bool | None
    before: float | None
    after: float | None
    voxels: float | None
    share: float | None
    plausibility: float | None


@dataclass(frozen=True)
class Label:
    """What became of one label under the first counterfactual."""

    name: str
    before: float | None
    after: float | None
    threshold: float | None
    flipped: bool | None


@dataclass(frozen=True)
class Lesion:
    """A predicted lesion: number from 1, volume in ml, R, A, S in mm of its centre, mean probability."""

    number: int
    volume: float
    centre: tuple[float, float, float]
    probability: float | None


def entries(document: Mapping[str, Any]) -> list[Entry]:
    """The gallery."""
    return [
        Entry(
            number=int(row.get("number") or place),
            flipped=row.get("flipped"),
            before=row.get("probability_before"),
            after=row.get("probability_after"),
            voxels=row.get("changed_voxels"),
            share=row.get("share_inside_mask"),
            plausibility=row.get("plausibility"),
        )
        for place, row in enumerate(rows(document, "counterfactuals"), start=1)
    ]


def labels(document: Mapping[str, Any]) -> list[Label]:
    """Labels before and after; empty for a segmenter."""
    return [
        Label(str(row["label"]), row.get("before"), row.get("after"), row.get("threshold"), row.get("flipped"))
        for row in rows(document, "labels")
    ]


def lesions(document: Mapping[str, Any]) -> list[Lesion]:
    """Lesions of a prediction."""
    return [
        Lesion(
            int(row["number"]),
            float(row["volume ml"]),
            (float(row["R mm"]), float(row["A mm"]), float(row["S mm"])),
            row.get("mean probability"),
        )
        for row in rows(document, "lesions")
    ]


def title_of(document: Mapping[str, Any]) -> str:
    """What was explained, in words."""
    flipped = [label.name for label in labels(document) if label.flipped]
    asked = document.get("parameters", {}).get("label")
    model = model_of(document)
    what = asked or ", ".join(flipped[:2]) or ("lesion" if not labels(document) else "labels")
    return f"{what} ({model})" if model else str(what)
