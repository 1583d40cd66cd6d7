"""The order of the worklist: which image should be read again first. No files, no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slicerxai.server.worklist_schemas import ClassView, Item, LesionView, Review
from slicerxai.server.worklist_store import Record


def item(image: str, record: Record | None, review: Review | None) -> Item:
    """An image with what is known of it."""
    if record is None:
        return Item(image=image, scored=False, suspicion=None, classes=None, lesions=None, error=None, review=review)
    return Item(
        image=image,
        scored=record.error is None,
        suspicion=record.suspicion,
        classes=record.classes,
        lesions=record.lesions,
        error=record.error,
        review=review,
    )


def ordered(items: Iterable[Item]) -> list[Item]:
    """Not reviewed before reviewed; inside by suspicion, highest first; without a score last; then by name."""

    def place(one: Item) -> tuple[bool, bool, float, str]:
        return one.review is not None, one.suspicion is None, -(one.suspicion or 0.0), one.image

    return sorted(items, key=place)


def why(one: Item) -> str:
    """In words, why an image is where it is in the worklist."""
    if one.suspicion is None:
        return one.error or "not scored yet"
    parts: Sequence[ClassView | LesionView] = one.classes if one.classes is not None else one.lesions or []
    flagged = sorted((part for part in parts if part.flagged), key=lambda part: -part.suspicion)
    if flagged:
        return "; ".join(part.reason for part in flagged)
    if not parts:
        return "nothing is predicted, so nothing is suspicious"
    return f"nothing flagged; most suspicious: {max(parts, key=lambda part: part.suspicion).reason}"
