"""Walks along properties in a MRML scene: the one class that the panel talks to. No Qt and no HTTP."""

from __future__ import annotations

from typing import Any

import slicer
from XAIPanels.documents import model_of, same_image
from XAIPanels.images import show_like
from XAIPanels.nodes import in_scene, nodes_of_class
from XAIPanels.result_logic import ResultLogic
from XAIPanels.side_views import Arrangement, SideViews
from XAIPanels.views import centre, pass_through
from XAIPanels.volumes import affine_of

from .loading import load, part_outlines, place, show_prediction, taken
from .parameters import SIDE, Drawing, Parameters, parameter_node
from .prepared import Point, Prepared
from .results import ResultNode, result_nodes
from .tables import properties

SIDE_BY_SIDE = Arrangement("WhatIf", 7500, 75, {2: 2})
VIEWS = ("as it is", "at the slider")


class PropertyLogic(ResultLogic[ResultNode, Prepared]):
    """Everything takes and returns nodes; call `close` when done."""

    def __init__(self, scene: Any = None) -> None:
        super().__init__(scene)
        self._side = SideViews(self.scene, SIDE_BY_SIDE)

    def close(self) -> None:
        """Remove every observer and put the layout back; nodes stay in the scene."""
        super().close()
        self._side.close()

    def parameters(self) -> Parameters:
        """Typed access to the parameter node; ask again after the scene was closed."""
        return Parameters(parameter_node(self.scene))

    def results(self) -> list[Any]:
        """All result nodes, oldest first."""
        return result_nodes(self.scene)

    def result(self, node: Any) -> ResultNode:
        """Typed access to a result node."""
        return ResultNode(node)

    def _load(self, prepared: Prepared, source: Any, own_source: bool) -> Any:
        return load(self.scene, prepared, source, own_source).node

    def _taken(self, found: ResultNode) -> Prepared | None:
        return taken(found)

    def stamp(self, volume: Any) -> Any:
        """What differs as soon as a volume's voxels or place were changed; None without a volume."""
        if not in_scene(self.scene, volume) or volume.GetImageData() is None:
            return None
        return volume.GetImageData().GetMTime(), affine_of(volume).tolist(), volume.GetTransformNodeID()

    # --- views -------------------------------------------------------------------------------------------------------

    def set_drawing(self, drawing: Drawing) -> None:
        """Draw differently, now and in future."""
        self.parameters().drawing = drawing
        self.draw()

    def set_step(self, number: int) -> None:
        """Move to a step of the shown result, from 0. Nothing is made anew: the views get other voxels."""
        found = self.shown
        if found is not None:
            found.step = number
            self._place(found, number)

    def draw(self) -> None:
        """Show the shown result as it is wished; what is not there is not shown."""
        found, drawing = self.shown, self.parameters().drawing
        if found is None:
            return
        image = found.image if found.walked else None
        if image is not None and found.source is not None:
            show_like(image, found.source)
        if drawing.mode == SIDE and image is not None:
            self._draw_beside(found, image)
            return
        self._side.close()
        self._part_outlines(found, None)
        if self._layers.show(found.source, image, 1.0):
            slicer.util.resetSliceViews()

    def _part_outlines(self, found: ResultNode, aside: Any) -> None:
        outlines = found.outlines
        if outlines is not None:
            views = [*nodes_of_class(self.scene, "vtkMRMLSliceNode"), *nodes_of_class(self.scene, "vtkMRMLViewNode")]
            part_outlines(outlines, views, aside)
        self._place(found, found.step)

    def _place(self, found: ResultNode, step: int) -> None:
        image, frames, outlines = found.image, found.frames, found.outlines
        if image is not None and frames is not None:
            place(image, frames, step)
        if outlines is not None:
            steps = frames.GetNumberOfDataNodes() if frames is not None else 0
            show_prediction(outlines, step, steps, self.parameters().drawing.unchanged)

    def _draw_beside(self, found: ResultNode, image: Any) -> None:
        where = None if self._side.active else centre(self.scene)
        composites = self._side.open(list(VIEWS))
        self._part_outlines(found, next(iter(self._side.views), None))
        if self._layers.show(found.source, None, 0.0) or where is not None:
            slicer.util.resetSliceViews()
        if where is not None:
            pass_through(self.scene, where)
        for composite, layer in zip(composites, (None, image)):
            composite.SetForegroundVolumeID(layer.GetID() if layer is not None else None)
            composite.SetForegroundOpacity(0.0 if layer is None else 1.0)

    @property
    def point(self) -> Point | None:
        """Where the shown walk changes most."""
        return self.shown.place if self.shown is not None else None

    def _leave_views(self) -> None:
        self._side.close()

    # --- results of one image ----------------------------------------------------------------------------------------

    def walk_along(self, node: Any, property_name: str) -> Any:
        """The newest walk along a property, with its images, of the same image and model; None without one."""
        return self._beside(node, lambda one: one.walked and properties(one.document) == [property_name])

    def ranking_of(self, node: Any) -> Any:
        """The newest ranking of the same image and model; None without one."""
        return self._beside(node, lambda one: len(properties(one.document)) > 1)

    def _beside(self, node: Any, wanted: Any) -> Any:
        document = self.result(node).document
        for other in reversed(self.results()):
            found = self.result(other)
            same = same_image(found.document, document) and model_of(found.document) == model_of(document)
            if other is not node and same and wanted(found):
                return other
        return None
