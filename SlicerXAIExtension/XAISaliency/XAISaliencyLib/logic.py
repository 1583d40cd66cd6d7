"""Saliency results in a MRML scene: the one class that the panel, or another viewer, talks to. No Qt and no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from XAIPanels.map_display import paint
from XAIPanels.picking import Picker, Point
from XAIPanels.result_logic import ResultLogic

from .lesions import Lesion
from .loading import load, taken
from .parameters import Parameters, parameter_node
from .prepared import Prepared
from .results import ResultNode, result_nodes


class SaliencyLogic(ResultLogic[ResultNode, Prepared]):
    """Everything takes and returns nodes; call `close` when done.

    Attributes:
        on_point: called with (R, A, S) in mm when the user has picked a point.
    """

    def __init__(self, scene: Any = None) -> None:
        super().__init__(scene)
        self.on_point: Callable[[Point], None] | None = None
        self._picker = Picker(self.scene, self.parameters, self._picked)

    def close(self) -> None:
        """Stop picking and remove every observer; nodes stay in the scene."""
        self._picker.stop()
        self.on_point = None
        super().close()

    def parameter_node(self) -> Any:
        """The module's vtkMRMLScriptedModuleNode, which is saved with the scene."""
        return parameter_node(self.scene)

    def parameters(self) -> Parameters:
        """Typed access to the parameter node; ask again after the scene was closed."""
        return Parameters(self.parameter_node())

    def results(self) -> list[Any]:
        """All result nodes, oldest first."""
        return result_nodes(self.scene)

    def result(self, node: Any) -> ResultNode:
        """Typed access to a result node: document, lesions, source, saliency, outlines, threshold, opacity."""
        return ResultNode(node)

    def document(self, node: Any) -> dict[str, Any]:
        """The result's JSON: verdict, checks, flags, metrics, parameters, tables, provenance; no patient's name."""
        return ResultNode(node).document

    def lesions(self, node: Any) -> list[Lesion]:
        """The predicted lesions of a result."""
        return ResultNode(node).lesions

    def _load(self, prepared: Prepared, source: Any, own_source: bool) -> Any:
        choices = self.parameters()
        return load(self.scene, prepared, source, own_source, choices.threshold, choices.opacity).node

    def _taken(self, found: ResultNode) -> Prepared | None:
        return taken(found)

    # --- views -------------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Show the map of the shown result over its image; what is not there is not shown."""
        found = self.shown
        if found is None:
            return
        if found.colours is not None:
            paint(found.colours, found.threshold)
        if self._layers.show(found.source, found.saliency, found.opacity):
            slicer.util.resetSliceViews()

    def set_threshold(self, node: Any, fraction: float) -> None:
        """Draw only values of at least this fraction (0 … 1) of the scale; kept for the results to come."""
        result = ResultNode(node)
        result.threshold = self.parameters().threshold = fraction
        if result.colours is not None:
            paint(result.colours, fraction)

    def set_opacity(self, node: Any, value: float) -> None:
        """Opacity (0 … 1) of the map over the image; kept for the results to come."""
        result = ResultNode(node)
        result.opacity = self.parameters().opacity = value
        if self.parameters().shown is node and result.saliency is not None:
            self._layers.set_opacity(result.saliency, value)

    # --- picking -----------------------------------------------------------------------------------------------------

    def start_pick(self) -> None:
        """Let the next click in a view place the explained point."""
        self._picker.start()

    def stop_pick(self) -> None:
        """Leave the place mode; a placed point stays."""
        self._picker.stop()

    @property
    def picking(self) -> bool:
        """Whether a click in a view is waited for."""
        return self._picker.active

    def _picked(self, point: Point) -> None:
        if self.on_point is not None:
            self.on_point(point)

    def _closing(self) -> None:
        self._picker.stop()
        super()._closing()
