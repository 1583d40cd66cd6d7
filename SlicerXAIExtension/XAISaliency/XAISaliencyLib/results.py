"""Result nodes: what keeps a result's document, display choices and nodes together in a scene."""

from __future__ import annotations

from typing import Any, ClassVar

from XAIPanels import documents
from XAIPanels.documents import anonymous
from XAIPanels.image_result import ImageResult
from XAIPanels.parameters import read_fraction, write_fraction

from .lesions import Lesion, lesions_of
from .parameters import DEFAULT_OPACITY, DEFAULT_THRESHOLD

RESULT = "XAISaliencyResult"
"""Value of the attribute "ModuleName", by which result nodes are found; parameter nodes have the module's own name."""

_SALIENCY, _COLOURS = "Saliency", "Colours"
_THRESHOLD, _OPACITY = "threshold", "opacity"


class ResultNode(ImageResult):
    """Typed access to one result node; every part may have been deleted by hand, and is None then."""

    CHOICES: ClassVar[tuple[str, ...]] = (_THRESHOLD, _OPACITY)
    OUTLINES: ClassVar[str] = "Lesions"

    @property
    def lesions(self) -> list[Lesion]:
        return lesions_of(self.document)

    @property
    def saliency(self) -> Any:
        return self.node.GetNodeReference(_SALIENCY)

    @property
    def colours(self) -> Any:
        return self.node.GetNodeReference(_COLOURS)

    @property
    def volumes(self) -> list[Any]:
        """The map, if it is still there."""
        return [self.saliency] if self.saliency is not None else []

    @property
    def parts(self) -> list[Any]:
        """All that goes with the result, but for the explained volume."""
        return [*super().parts, self.colours]

    @property
    def threshold(self) -> float:
        return read_fraction(self.node, _THRESHOLD, DEFAULT_THRESHOLD)

    @threshold.setter
    def threshold(self, fraction: float) -> None:
        write_fraction(self.node, _THRESHOLD, fraction)

    @property
    def opacity(self) -> float:
        return read_fraction(self.node, _OPACITY, DEFAULT_OPACITY)

    @opacity.setter
    def opacity(self, value: float) -> None:
        write_fraction(self.node, _OPACITY, value)

    def refer(self, source: Any, saliency: Any, colours: Any, outlines: Any, own_source: bool) -> None:
        """Connect the parts; all of them are in the scene."""
        self.refer_image(source, outlines, own_source)
        self._refer(_SALIENCY, saliency)
        self._refer(_COLOURS, colours)


def add_result_node(scene: Any, document: dict[str, Any], name: str) -> ResultNode:
    """A new result node in the scene."""
    return ResultNode(documents.add_result_node(scene, RESULT, anonymous(document), name))


def result_nodes(scene: Any) -> list[Any]:
    """All result nodes of the scene whose document can be read, oldest first."""
    return documents.result_nodes(scene, RESULT)


def title_of(document: dict[str, Any]) -> str:
    """What was explained, in words: "whole prediction" or "lesion 3"."""
    lesions = lesions_of(document)
    chosen = [lesion.number for lesion in lesions if lesion.explained]
    if document.get("parameters", {}).get("point") is not None and len(chosen) == 1:
        return f"lesion {chosen[0]}"
    return "whole prediction" if "lesions" in document.get("overlays", {}) else "labels"
