"""Result nodes: what keeps a result's document and its opened cases together in a scene."""

from __future__ import annotations

from typing import Any

from XAIPanels import documents
from XAIPanels.documents import document_of

from .opened import case_of

RESULT = "XAIShiftResult"
"""Value of the attribute "ModuleName", by which result nodes are found; parameter nodes have the module's own name."""

_CASES = "Case"


class ResultNode:
    """Typed access to one result node."""

    def __init__(self, node: Any) -> None:
        self.node = node

    @property
    def document(self) -> dict[str, Any]:
        """The parsed JSON of the result."""
        return document_of(self.node)

    @property
    def opened(self) -> list[Any]:
        """Segmentations of the cases that were opened and are still there."""
        count = self.node.GetNumberOfNodeReferences(_CASES)
        nodes = [self.node.GetNthNodeReference(_CASES, index) for index in range(count)]
        return [node for node in nodes if node is not None]

    def opened_case(self, case: str) -> Any:
        """The segmentation of a case; None when it is not open."""
        return next((node for node in self.opened if case_of(node) == case), None)

    def refer(self, segmentation: Any) -> None:
        """Keep an opened case."""
        self.node.AddNodeReferenceID(_CASES, segmentation.GetID())


def add_result_node(scene: Any, document: dict[str, Any], name: str) -> Any:
    """A new result node in the scene."""
    return documents.add_result_node(scene, RESULT, _kept(document), name)


def result_nodes(scene: Any) -> list[Any]:
    """All result nodes of the scene whose document can be read, oldest first."""
    return documents.result_nodes(scene, RESULT)


def _kept(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the digests of all files of the cohort and without pictures, which the scene has not."""
    kept = {**document, "figures": {}}
    if kept.get("provenance"):
        kept["provenance"] = {**kept["provenance"], "inputs": {}}
    return kept
