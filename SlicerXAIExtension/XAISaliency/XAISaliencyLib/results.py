"""Result nodes: what keeps a result's document, display choices and nodes together in a scene."""

from __future__ import annotations

from typing import Any

from XAIPanels import documents
from XAIPanels.documents import anonymous, document_of
from XAIPanels.parameters import read_fraction, write_fraction

from .lesions import Lesion, lesions_of
from .parameters import DEFAULT_OPACITY, DEFAULT_THRESHOLD

RESULT = "XAISaliencyResult"
"""Value of the attribute "ModuleName", by which result nodes are found; parameter nodes have the module's own name."""

_SOURCE, _SALIENCY, _COLOURS, _LESIONS = "Source", "Saliency", "Colours", "Lesions"
_OWN_SOURCE = "ownSource"


class ResultNode:
    """Typed access to one result node; every part may have been deleted by hand, and is None then."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def document(self) -> dict[str, Any]:
        """The parsed JSON of the result, without what identifies the patient."""
        return document_of(self.node)

    @property
    def lesions(self) -> list[Lesion]:
        return lesions_of(self.document)

    @property
    def source(self) -> Any:
        """The explained volume."""
        return self.node.GetNodeReference(_SOURCE)

    @property
    def own_source(self) -> bool:
        """Whether the explained volume came with the result, and goes with it."""
        return bool(self.node.GetParameter(_OWN_SOURCE))

    @property
    def saliency(self) -> Any:
        return self.node.GetNodeReference(_SALIENCY)

    @property
    def colours(self) -> Any:
        return self.node.GetNodeReference(_COLOURS)

    @property
    def segmentation(self) -> Any:
        return self.node.GetNodeReference(_LESIONS)

    @property
    def threshold(self) -> float:
        return read_fraction(self.node, "threshold", DEFAULT_THRESHOLD)

    @threshold.setter
    def threshold(self, fraction: float) -> None:
        write_fraction(self.node, "threshold", fraction)

    @property
    def opacity(self) -> float:
        return read_fraction(self.node, "opacity", DEFAULT_OPACITY)

    @opacity.setter
    def opacity(self, value: float) -> None:
        write_fraction(self.node, "opacity", value)

    def refer(self, source: Any, saliency: Any, colours: Any, segmentation: Any, own_source: bool) -> None:
        """Connect the parts; all of them are in the scene."""
        parts = {_SOURCE: source, _SALIENCY: saliency, _COLOURS: colours, _LESIONS: segmentation}
        for role, part in parts.items():
            self.node.SetNodeReferenceID(role, part.GetID() if part is not None else None)
        if own_source:
            self.node.SetParameter(_OWN_SOURCE, "true")


def add_result_node(scene: Any, document: dict[str, Any], name: str) -> ResultNode:
    """A new result node in the scene."""
    return ResultNode(documents.add_result_node(scene, RESULT, anonymous(document), name))


def result_nodes(scene: Any) -> list[Any]:
    """All result nodes of the scene whose document can be read, oldest first."""
    return documents.result_nodes(scene, RESULT)


def is_map(scene: Any, volume: Any) -> bool:
    """Whether a volume is the saliency map of a result."""
    return any(ResultNode(node).saliency is volume for node in result_nodes(scene))


def title_of(document: dict[str, Any]) -> str:
    """What was explained, in words: "whole prediction" or "lesion 3"."""
    lesions = lesions_of(document)
    chosen = [lesion.number for lesion in lesions if lesion.explained]
    if document.get("parameters", {}).get("point") is not None and len(chosen) == 1:
        return f"lesion {chosen[0]}"
    return "whole prediction" if "lesions" in document.get("overlays", {}) else "labels"
