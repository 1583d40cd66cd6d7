"""Counterfactuals in a MRML scene: the one class that the panel talks to. No Qt and no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from XAILib.nrrd import Volume
from XAIPanels.belonging import IMAGES
from XAIPanels.colours import LESIONS
from XAIPanels.export import world_affine
from XAIPanels.images import show_like
from XAIPanels.map_display import paint, scale_of
from XAIPanels.nodes import in_scene, nodes_of_class, remove_with_parts
from XAIPanels.outlines import Outline, add_segmentation
from XAIPanels.picking import Picker, Point
from XAIPanels.result_logic import ResultLogic
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.side_views import Arrangement, SideViews
from XAIPanels.views import centre, pass_through
from XAIPanels.volumes import array_of

from .loading import CHANGES, load, taken
from .parameters import DIFFERENCE, FADE, SIDE, Drawing, Parameters, parameter_node
from .prepared import Prepared
from .results import ResultNode, result_nodes

SIDE_BY_SIDE = Arrangement("Counterfactual", 7400, 74, {3: 3})
VIEWS = ("original", "counterfactual", "difference")
PREDICTED = "Predicted lesions"
PREDICTED_ID = "predicted"


class CounterfactualLogic(ResultLogic[ResultNode, Prepared]):
    """Everything takes and returns nodes; call `close` when done.

    Attributes:
        on_point: called with (R, A, S) in mm when the user has picked a point.
    """

    def __init__(self, scene: Any = None) -> None:
        super().__init__(scene)
        self.on_point: Callable[[Point], None] | None = None
        self._side = SideViews(self.scene, SIDE_BY_SIDE)
        self._picker = Picker(self.scene, self.parameters, self._picked)

    def close(self) -> None:
        """Stop picking, remove every observer and put the layout back; nodes stay in the scene."""
        self._picker.stop()
        super().close()
        self._side.close()
        self.on_point = None

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
        return load(self.scene, prepared, source, own_source, self.parameters().drawing.threshold).node

    def _taken(self, found: ResultNode) -> Prepared | None:
        return taken(found)

    # --- views -------------------------------------------------------------------------------------------------------

    def choose(self, place: int) -> None:
        """Show another counterfactual of the shown result's gallery."""
        found = self.shown
        if found is not None:
            found.chosen = place
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
        image, change = found.image(found.chosen), found.change(found.chosen)
        if image is not None and found.source is not None:
            show_like(image, found.source)
        if found.colours is not None:
            paint(found.colours, drawing.threshold, CHANGES)
        if drawing.mode == SIDE:
            self._draw_side_by_side(found, image, change, drawing)
            return
        self._side.close()
        foreground, opacity = {FADE: (image, drawing.fade), DIFFERENCE: (change, drawing.opacity)}[drawing.mode]
        if self._layers.show(found.source, foreground, opacity):
            slicer.util.resetSliceViews()

    def _draw_side_by_side(self, found: ResultNode, image: Any, change: Any, drawing: Drawing) -> None:
        place = None if self._side.active else centre(self.scene)
        composites = self._side.open(list(VIEWS))
        if self._layers.show(found.source, None, 0.0) or place is not None:
            slicer.util.resetSliceViews()
        if place is not None:
            pass_through(self.scene, place)
        layers = ((None, 0.0), (image, drawing.fade), (change, drawing.opacity))
        for composite, (foreground, opacity) in zip(composites, layers):
            composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
            composite.SetForegroundOpacity(opacity)

    @property
    def scale(self) -> float | None:
        """The magnitude of change that is drawn in the strongest colours."""
        change = self.shown.change(self.shown.chosen) if self.shown is not None else None
        return None if change is None or change.GetDisplayNode() is None else scale_of(change)

    @property
    def place(self) -> Point | None:
        """Where the shown counterfactual changed most."""
        found = self.shown
        return found.places[found.chosen] if found is not None and found.places else None

    # --- segments ----------------------------------------------------------------------------------------------------

    def segments(self) -> list[tuple[Any, str, str]]:
        """Segmentation node, segment id and name for people of every segment of the scene."""
        found = []
        for node in nodes_of_class(self.scene, "vtkMRMLSegmentationNode"):
            segmentation = node.GetSegmentation()
            for index in range(segmentation.GetNumberOfSegments()):
                segment = segmentation.GetNthSegmentID(index)
                found.append((node, segment, f"{node.GetName()}: {segmentation.GetSegment(segment).GetName()}"))
        return found

    def segment_voxels(self, node: Any, segment: str) -> Volume | None:
        """A copy of a segment in world RAS mm; None when it has no voxels. Raises `ExportError`."""
        return segment_voxels(node, segment) if in_scene(self.scene, node) else None

    def change_voxels(self, node: Any) -> Volume | None:
        """The chosen change of a result in world RAS mm; None when it was deleted. Raises `ExportError`.

        The voxels may be read in any thread: they stay as they are, also when the node goes.
        """
        found = ResultNode(node)
        change = found.change(found.chosen)
        return None if change is None else Volume(array_of(change), world_affine(change))

    def show_prediction(self, prediction: Volume, image: Any = None) -> None:
        """Outline the predicted lesions, instead of those of an earlier image; they are seen with their image only."""
        for node in list(nodes_of_class(self.scene, "vtkMRMLSegmentationNode")):
            if node.GetSegmentation().GetSegment(PREDICTED_ID) is not None:
                remove_with_parts(self.scene, node)
        outlines = [Outline(PREDICTED_ID, PREDICTED, LESIONS, prediction)]
        node = add_segmentation(self.scene, outlines, f"{PREDICTED} (model)")
        if in_scene(self.scene, image):
            node.SetNodeReferenceID(IMAGES[0], image.GetID())

    # --- picking -----------------------------------------------------------------------------------------------------

    def start_pick(self) -> None:
        """Let the next click in a view place the point."""
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

    def _leave_views(self) -> None:
        self._side.close()

    def _closing(self) -> None:
        self._picker.stop()
        super()._closing()
