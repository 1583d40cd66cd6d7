"""Which images are shown, and which one comes next. No Qt and no MRML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from XAILib.worklist import Item


@dataclass(frozen=True)
class Filters:
    """Which images to show.

    Attributes:
        label: only images in which this class is predicted or flagged; empty for any.
        flagged, open: only such images.
    """

    label: str = ""
    flagged: bool = False
    open: bool = False

    def show(self, item: Item) -> bool:
        """Whether an image is shown."""
        if self.open and not item.open:
            return False
        if not self.label:
            return item.flagged or not self.flagged
        concerned = [one for one in item.classes if one.label == self.label]
        return any(one.flagged or (one.predicted and not self.flagged) for one in concerned)


def following(items: Sequence[Item], current: str, step: int) -> Item | None:
    """The next open image in the order of the list, and from its end on again from its beginning.

    Args:
        current: id of the image to start from; with one that is not in the list, from the list's beginning.
        step: 1 for the next, -1 for the one before.

    Returns:
        None when no other image is open.
    """
    names = [item.image for item in items]
    start = names.index(current) if current in names else (-1 if step > 0 else len(items))
    for distance in range(1, len(items) + 1):
        item = items[(start + step * distance) % len(items)]
        if item.open and item.image != current:
            return item
    return None
