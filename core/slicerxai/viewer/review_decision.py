"""The decision on an image: that of the Slicer panel, where the lesions of a segmenter are corrected by painting."""

from __future__ import annotations

from XAILib.worklist import CLASSIFIER, SEGMENTER, Item
from XAIPanels.choosing import enable
from XAIReviewLib.decision_section import DecisionSection

PAINTING = "Paint the lesions that are there, erase what is none, and save."
PAINT = "Paint or erase lesions in the slice views (Alt+C)."


class Decision(DecisionSection):
    """A draft without classes means that lesions are being painted."""

    kind = ""

    def show(self, image: str, item: Item | None) -> None:
        super().show(image, item)
        if self.kind == SEGMENTER and self.correcting and (item is None or item.open):
            self.ui.reviewLabel.text = PAINTING

    def refresh(self, kind: str, reason: str) -> None:
        self.kind = kind
        super().refresh(CLASSIFIER if kind == SEGMENTER else kind, reason)
        if kind == SEGMENTER and self.ui.correctButton.enabled:
            enable(self.ui.correctButton, "", PAINT)
