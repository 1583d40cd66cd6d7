"""Result nodes: what keeps a result's document and nodes together in a scene."""

from __future__ import annotations

from typing import Any

from XAIPanels import documents
from XAIPanels.documents import anonymous
from XAIPanels.image_result import ImageResult

from .prepared import FIRST_SHOWN, Prepared

RESULT = "XAIMethodsResult"
"""Value of the attribute "ModuleName", by which result nodes are found; parameter nodes have the module's own name."""
NOTHING = "-"
"""In place of a layer's name: nothing is shown over the image."""

_LAYER, _COLOURS = "Layer-", "Colours-"
_CHOSEN, _HIDDEN = "layer", "outlinesHidden"


class ResultNode(ImageResult):
    """Typed access to one result node; every part may have been deleted by hand, and is None then."""

    CHOICES = (_CHOSEN, _HIDDEN)

    @property
    def method(self) -> str:
        """Name of the method that it is of."""
        return str(self.document.get("method", ""))

    @property
    def kinds(self) -> dict[str, str]:
        """Kind of every volume that can be shown over the image and is still there, by its name."""
        overlays = self.document.get("overlays", {})
        return {name: str(entry["kind"]) for name, entry in overlays.items() if self.layer(name) is not None}

    def layer(self, name: str) -> Any:
        """A volume that can be shown over the image."""
        return self.node.GetNodeReference(f"{_LAYER}{name}")

    def colours(self, name: str) -> Any:
        """The colour table of a layer; None for grey levels."""
        return self.node.GetNodeReference(f"{_COLOURS}{name}")

    @property
    def chosen(self) -> str:
        """Name of the layer over the image; empty for none."""
        kept, kinds = str(self.node.GetParameter(_CHOSEN)), self.kinds
        if kept == NOTHING or not kinds:
            return ""
        if kept in kinds:
            return kept
        order = [*FIRST_SHOWN, *kinds.values()]
        return min(kinds, key=lambda name: order.index(kinds[name]))

    @chosen.setter
    def chosen(self, name: str) -> None:
        self.node.SetParameter(_CHOSEN, name or NOTHING)

    @property
    def outlines_hidden(self) -> bool:
        """Whether the outlines are not to be drawn."""
        return bool(self.node.GetParameter(_HIDDEN))

    @outlines_hidden.setter
    def outlines_hidden(self, hidden: bool) -> None:
        self.node.SetParameter(_HIDDEN, "true" if hidden else "")

    @property
    def volumes(self) -> list[Any]:
        """All layers that are still there."""
        return [self.layer(name) for name in self.kinds]

    @property
    def parts(self) -> list[Any]:
        """All that goes with the result, but for the explained volume."""
        return [*super().parts, *(self.colours(name) for name in self.kinds)]

    def refer_layer(self, name: str, layer: Any, colours: Any) -> None:
        """Connect a layer; it is in the scene."""
        self._refer(f"{_LAYER}{name}", layer)
        self._refer(f"{_COLOURS}{name}", colours)


def add_result_node(scene: Any, prepared: Prepared, name: str) -> ResultNode:
    """A new result node in the scene, without its parts."""
    return ResultNode(documents.add_result_node(scene, RESULT, anonymous(prepared.document), name))


def result_nodes(scene: Any) -> list[Any]:
    """All result nodes of the scene whose document can be read, oldest first."""
    return documents.result_nodes(scene, RESULT)
