"""A point that the user picks in the views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from .nodes import in_scene
from .parameters import ImageParameters

NAME = "Explained point"
Point = tuple[float, float, float]


class Picker:
    """One markups node with at most one control point, and the view's place mode.

    Args:
        parameters: gives the parameters that refer to the node.
        on_point: called with (R, A, S) in mm, world coordinates, when a point was placed.
    """

    def __init__(
        self, scene: Any, parameters: Callable[[], ImageParameters], on_point: Callable[[Point], None] | None = None
    ) -> None:
        self.scene = scene
        self._parameters = parameters
        self.on_point = on_point
        self._observed: Any = None
        self._tag = 0

    def start(self) -> None:
        """Let the next click in a view place the point; an earlier point is dropped."""
        self.stop()
        node = self.node()
        node.RemoveAllControlPoints()
        self._observed = node
        self._tag = node.AddObserver(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, self._placed)
        selection, interaction = self._mode_nodes()
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetReferenceActivePlaceNodeID(node.GetID())
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)

    def stop(self) -> None:
        """Leave the place mode, if it is this point's; the point stays."""
        node = self._release()
        if node is None:
            return
        if self._places(node):
            _, interaction = self._mode_nodes()
            interaction.SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.ViewTransform)

    @property
    def active(self) -> bool:
        """Whether a click is waited for; not so any more when the user or another tool has ended the place mode."""
        return self._observed is not None and in_scene(self.scene, self._observed) and self._places(self._observed)

    def node(self) -> Any:
        """The markups node; made when it is missing."""
        parameters = self._parameters()
        if parameters.point is None:
            node = slicer.vtkMRMLMarkupsFiducialNode()
            node.SetName(NAME)
            node = self.scene.AddNode(node)
            node.CreateDefaultDisplayNodes()
            parameters.point = node
        return parameters.point

    def _placed(self, node: Any, _event: str) -> None:
        """The place mode is left alone: the view that handles the click ends it after this event."""
        if node.GetNumberOfDefinedControlPoints() == 0:
            return
        position = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(node.GetNumberOfControlPoints() - 1, position)
        self._release()
        if self.on_point is not None:
            self.on_point((position[0], position[1], position[2]))

    def _places(self, node: Any) -> bool:
        """Whether the next click in a view places a point of this node."""
        selection, interaction = self._mode_nodes()
        placing = interaction.GetCurrentInteractionMode() == slicer.vtkMRMLInteractionNode.Place
        return bool(placing and selection.GetActivePlaceNodeID() == node.GetID())

    def _release(self) -> Any:
        """Stop observing; returns the markups node that was observed, or None."""
        node, self._observed = self._observed, None
        if node is not None:
            node.RemoveObserver(self._tag)
        return node

    def _mode_nodes(self) -> tuple[Any, Any]:
        nodes = []
        for name in ("Selection", "Interaction"):
            node = self.scene.GetSingletonNode("Singleton", f"vtkMRML{name}Node")
            nodes.append(node or self.scene.AddNode(getattr(slicer, f"vtkMRML{name}Node")()))
        return nodes[0], nodes[1]
