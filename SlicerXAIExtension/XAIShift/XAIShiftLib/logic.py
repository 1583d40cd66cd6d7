"""Shift attributions in a MRML scene: the one class that the panel talks to. No Qt and no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from XAIPanels.belonging import set_visible
from XAIPanels.nodes import in_scene, remove_with_parts
from XAIPanels.scene_watch import SceneWatch
from XAIPanels.turns import Steps, taken_at_once
from XAIPanels.views import Layers, jump_to

from .attribution import raters_of, title_of
from .opened import add_case, add_prediction, image_of
from .parameters import Parameters, parameter_node
from .prepared import PreparedCase
from .results import ResultNode, add_result_node, result_nodes


class ShiftLogic:
    """Everything takes and returns nodes; call `close` when done.

    Attributes:
        on_change: called when nodes came or went by another hand (deleted, scene closed, scene loaded).
    """

    def __init__(self, scene: Any = None) -> None:
        self.scene = scene if scene is not None else slicer.mrmlScene
        self.on_change: Callable[[], None] | None = None
        self._layers = Layers(self.scene)
        self._watch = SceneWatch(self.scene, self._closing, self._changed)

    def close(self) -> None:
        """Remove every observer; nodes stay in the scene."""
        self._watch.close()
        self.on_change = None

    def parameters(self) -> Parameters:
        """Typed access to the parameter node; ask again after the scene was closed."""
        return Parameters(parameter_node(self.scene))

    def add(self, document: dict[str, Any]) -> Any:
        """Keep a result in the scene and return its node."""
        return add_result_node(self.scene, document, self.scene.GenerateUniqueName(title_of(document)))

    def results(self) -> list[Any]:
        """All result nodes, oldest first."""
        return result_nodes(self.scene)

    def document(self, node: Any) -> dict[str, Any]:
        """The result's JSON: verdict, checks, flags, metrics, parameters, tables, provenance."""
        return ResultNode(node).document

    def opened(self, node: Any, case: str) -> Any:
        """The segmentation of an opened case of a result; None when it is not open or its image was deleted."""
        found = ResultNode(node).opened_case(case)
        return found if found is not None and image_of(found) is not None else None

    def open(self, node: Any, prepared: PreparedCase) -> Any:
        """Add a case of a result to the scene, show it, and return its segmentation."""
        return taken_at_once(self.opening(node, prepared))

    def opening(self, node: Any, prepared: PreparedCase) -> Steps:
        """The same step by step, so that the window never waits long."""
        self._close_case(ResultNode(node).opened_case(prepared.case))
        segmentation = add_case(self.scene, prepared, raters_of(self.document(node)))
        ResultNode(node).refer(segmentation)
        yield
        self.show(segmentation)
        if prepared.place is not None:
            yield
            jump_to(self.scene, prepared.place)
        return segmentation

    def show(self, segmentation: Any) -> None:
        """Show an opened case, and no other one, in all slice views."""
        for node in self.results():
            for other in ResultNode(node).opened:
                set_visible(other, other is segmentation)
        if self._layers.show(image_of(segmentation), None, 0.0):
            slicer.util.resetSliceViews()

    def predict(self, segmentation: Any, labelmap: Any) -> None:
        """Draw the prediction of an opened case; of one that was removed meanwhile nothing is drawn."""
        if in_scene(self.scene, segmentation):
            add_prediction(segmentation, labelmap)

    def remove(self, node: Any) -> None:
        """Remove a result with the cases that were opened from it."""
        if not in_scene(self.scene, node):
            return
        for segmentation in ResultNode(node).opened:
            self._close_case(segmentation)
        if self.parameters().shown is node:
            self.parameters().shown = None
        self.scene.RemoveNode(node)

    def _close_case(self, segmentation: Any) -> None:
        if segmentation is not None:
            image = image_of(segmentation)
            self._layers.hide(None)
            remove_with_parts(self.scene, segmentation)
            remove_with_parts(self.scene, image)

    def _closing(self) -> None:
        self._layers.forget()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()
