"""Result nodes: what keeps a result's document and nodes together in a scene."""

from __future__ import annotations

import json
from typing import Any

from XAIPanels import documents
from XAIPanels.documents import anonymous
from XAIPanels.image_result import ImageResult

from .prepared import Point, Prepared

RESULT = "XAICounterfactualResult"
"""Value of the attribute "ModuleName", by which result nodes are found; parameter nodes have the module's own name."""

_COLOURS, _IMAGE, _CHANGE = "Colours", "Counterfactual", "Difference"
_CHOSEN, _PLACES = "chosen", "places"


class ResultNode(ImageResult):
    """Typed access to one result node; every part may have been deleted by hand, and is None then."""

    CHOICES = (_CHOSEN,)

    @property
    def colours(self) -> Any:
        return self.node.GetNodeReference(_COLOURS)

    @property
    def places(self) -> list[Point | None]:
        """Where each counterfactual changed most; as many as there are in the gallery."""
        return [None if place is None else (place[0], place[1], place[2]) for place in self._read(_PLACES, [])]

    @property
    def chosen(self) -> int:
        """Place of the shown counterfactual in the gallery, from 0."""
        chosen = self._read(_CHOSEN, 0)
        return chosen if isinstance(chosen, int) and 0 <= chosen < len(self.places) else 0

    @chosen.setter
    def chosen(self, place: int) -> None:
        self.node.SetParameter(_CHOSEN, str(place))

    def image(self, place: int) -> Any:
        """The changed volume of a counterfactual."""
        return self.node.GetNodeReference(f"{_IMAGE}{place}")

    def change(self, place: int) -> Any:
        """What was added to the image."""
        return self.node.GetNodeReference(f"{_CHANGE}{place}")

    @property
    def volumes(self) -> list[Any]:
        """All volumes of the gallery that are still there."""
        places = range(len(self.places))
        found = [*(self.image(place) for place in places), *(self.change(place) for place in places)]
        return [volume for volume in found if volume is not None]

    @property
    def parts(self) -> list[Any]:
        """All that goes with the result, but for the explained volume."""
        return [*super().parts, self.colours]

    def refer(self, source: Any, colours: Any, outlines: Any, own_source: bool) -> None:
        """Connect the parts that all counterfactuals share; all of them are in the scene."""
        self.refer_image(source, outlines, own_source)
        self._refer(_COLOURS, colours)

    def refer_pair(self, place: int, image: Any, change: Any) -> None:
        """Connect the volumes of a counterfactual."""
        self.node.SetNodeReferenceID(f"{_IMAGE}{place}", image.GetID())
        self.node.SetNodeReferenceID(f"{_CHANGE}{place}", change.GetID())


def add_result_node(scene: Any, prepared: Prepared, name: str) -> ResultNode:
    """A new result node in the scene, without its parts."""
    node = documents.add_result_node(scene, RESULT, anonymous(prepared.document), name)
    node.SetParameter(_PLACES, json.dumps([pair.place for pair in prepared.pairs]))
    return ResultNode(node)


def result_nodes(scene: Any) -> list[Any]:
    """All result nodes of the scene whose document can be read, oldest first."""
    return documents.result_nodes(scene, RESULT)
