"""Results of any method in a MRML scene: the one class that the panel, or another viewer, talks to. No Qt, no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from XAILib.methods import ShownTable, tables_of
from XAIPanels.belonging import set_visible
from XAIPanels.map_display import paint, scale_of
from XAIPanels.picking import Picker, Point
from XAIPanels.result_logic import ResultLogic

from .loading import load, palette_of, taken
from .parameters import Drawing, Parameters, parameter_node
from .prepared import Prepared
from .results import ResultNode, result_nodes


class MethodsLogic(ResultLogic[ResultNode, Prepared]):
    """Everything takes and returns nodes; call `close` when done."""

    def __init__(self, scene: Any = None) -> None:
        super().__init__(scene)
        self._picker = Picker(self.scene, self.parameters)

    def close(self) -> None:
        """Stop picking and remove every observer; nodes stay in the scene."""
        self._picker.stop()
        super().close()

    def parameters(self) -> Parameters:
        """Typed access to the parameter node; ask again after the scene was closed."""
        return Parameters(parameter_node(self.scene))

    def results(self) -> list[Any]:
        """All result nodes, oldest first."""
        return result_nodes(self.scene)

    def result(self, node: Any) -> ResultNode:
        """Typed access to a result node."""
        return ResultNode(node)

    def tables(self, node: Any) -> tuple[ShownTable, ...]:
        """The numbers and tables of a result."""
        return tables_of(ResultNode(node).document)

    def _load(self, prepared: Prepared, source: Any, own_source: bool) -> Any:
        return load(self.scene, prepared, source, own_source, self.parameters().drawing.threshold).node

    def _taken(self, found: ResultNode) -> Prepared | None:
        return taken(found)

    # --- views -------------------------------------------------------------------------------------------------------

    def choose(self, layer: str) -> None:
        """Show another layer of the shown result over the image; empty for none."""
        found = self.shown
        if found is not None:
            found.chosen = layer
            self.draw()

    def show_outlines(self, shown: bool) -> None:
        """Draw the outlines of the shown result, or not."""
        found = self.shown
        if found is not None:
            found.outlines_hidden = not shown
            self.draw()

    def set_drawing(self, drawing: Drawing) -> None:
        """Draw differently, now and in future."""
        self.parameters().drawing = drawing
        self.draw()

    def draw(self) -> None:
        """Show the shown result as it is wished; what is not there is not shown."""
        found, drawing = self.shown, self.parameters().drawing
        if found is None:
            return
        if found.outlines is not None:
            set_visible(found.outlines, not found.outlines_hidden)
        layer = found.layer(found.chosen) if found.chosen else None
        colours = found.colours(found.chosen) if found.chosen else None
        if colours is not None:
            paint(colours, drawing.threshold, palette_of(found.kinds[found.chosen]))
        if found.source is None and layer is None:
            self._layers.hide(None)
        elif self._layers.show(found.source, layer, drawing.opacity):
            slicer.util.resetSliceViews()

    @property
    def scale(self) -> float | None:
        """The magnitude that the shown layer draws in the strongest colours; None for grey levels."""
        found = self.shown
        if found is None or not found.chosen or found.colours(found.chosen) is None:
            return None
        return scale_of(found.layer(found.chosen))

    # --- picking -----------------------------------------------------------------------------------------------------

    def start_pick(self, picked: Callable[[Point], None]) -> None:
        """Let the next click in a view give a point, R, A, S in mm."""
        self._picker.on_point = picked
        self._picker.start()

    def stop_pick(self) -> None:
        """Wait for no click any more."""
        self._picker.stop()
        self._picker.on_point = None

    @property
    def picking(self) -> bool:
        """Whether a click in a view is waited for."""
        return self._picker.active

    def _closing(self) -> None:
        self._picker.stop()
        super()._closing()
