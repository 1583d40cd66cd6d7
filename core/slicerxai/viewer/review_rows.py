"""The tables of the worklist as plain values for the page; the words are those of the Slicer extension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from XAILib.worklist import ClassItem, Item, LesionItem
from XAIReviewLib import words

Row = dict[str, Any]


def worklist_rows(items: Sequence[Item], kind: str, shown: str) -> list[Row]:
    """One for each image, in the order of the list.

    Args:
        kind: of the model.
        shown: id of the image that the views show.
    """
    full = max([1.0, *(item.suspicion for item in items if item.suspicion is not None)])
    return [
        {
            "image": item.image,
            "suspicion": words.suspicion(item),
            "suspicion_hint": words.suspicion_hint(item, kind),
            "share": round(100 * (item.suspicion or 0.0) / full),
            "flagged": words.flagged(item),
            "reasons": words.flagged_hint(item),
            "state": words.state(item),
            "state_hint": words.review(item),
            "open": item.open,
            "shown": item.image == shown,
        }
        for item in items
    ]


def lesion_rows(lesions: Sequence[LesionItem]) -> list[Row]:
    """One for each predicted lesion, the most suspicious first."""
    ordered = sorted(lesions, key=lambda lesion: (-(lesion.suspicion or 0.0), lesion.number))
    return [
        {
            "number": lesion.number,
            "flagged": lesion.flagged,
            "suspicion": "not scored" if lesion.suspicion is None else f"{lesion.suspicion:.2f}",
            "volume": f"{lesion.volume_ml:.2f} ml",
            "probability": words.percent(lesion.probability),
            "reason": lesion.reason,
            "centre": list(lesion.centre),
        }
        for lesion in ordered
    ]


def class_rows(
    classes: Sequence[ClassItem], thresholds: Mapping[str, float], given: Mapping[str, bool] | None, chosen: str
) -> list[Row]:
    """One for each class, in the order of the model.

    Args:
        thresholds: from which probability each counts as present.
        given: which are present according to the reader; None as predicted.
        chosen: the class whose map is shown.
    """
    return [
        {
            "label": one.label,
            "chosen": one.label == chosen,
            "present": one.predicted if given is None else bool(given.get(one.label)),
            "probability": words.percent(one.probability),
            "threshold": words.threshold(thresholds.get(one.label)),
            "suspicion": "not scored" if one.suspicion is None else f"{one.suspicion:.2f}",
            "flagged": one.flagged,
            "reason": one.reason,
        }
        for one in classes
    ]
