"""Counterfactuals in a MRML scene: the one class that the panel talks to. No Qt and no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
from XAILib.nrrd import Volume
from XAIPanels.colours import LESIONS
from XAIPanels.documents import anonymous
from XAIPanels.errors import ExportError
from XAIPanels.export import Snapshot, snapshot, world_affine
from XAIPanels.map_display import paint, scale_of
from XAIPanels.nodes import in_scene, nodes_of_class, remove_with_parts
from XAIPanels.outlines import Outline, add_segmentation
from XAIPanels.picking import Picker, Point
from XAIPanels.scene_watch import SceneWatch
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.side_views import Arrangement, SideViews
from XAIPanels.views import Layers, centre, jump_to, pass_through
from XAIPanels.volumes import array_of

from .loading import CHANGES, load, show_like, taken
from .parameters import DIFFERENCE, FADE, SIDE, Drawing, Parameters, parameter_node
from .prepared import Prepared
from .results import ResultNode, result_nodes
from .tables import same_image

SIDE_BY_SIDE = Arrangement("Counterfactual", 7400, 74, {3: 3})
VIEWS = ("original", "counterfactual", "difference")
PREDICTED = "Predicted lesions"
PREDICTED_ID = "predicted"


@dataclass(frozen=True)
class Removed:
    """A result that can be brought back."""

    name: str
    prepared: Prepared
    source: Any
    chosen: int


class CounterfactualLogic:
    """Everything takes and returns nodes; call `close` when done.

    Attributes:
        on_point: called with (R, A, S) in mm when the user has picked a point.
        on_change: called when nodes came or went by another hand (deleted, scene closed, scene loaded).
        removed: what `undo` brings back.
    """

    def __init__(self, scene: Any = None) -> None:
        self.scene = scene if scene is not None else slicer.mrmlScene
        self.on_point: Callable[[Point], None] | None = None
        self.on_change: Callable[[], None] | None = None
        self.removed: tuple[Removed, ...] = ()
        self._layers = Layers(self.scene)
        self._side = SideViews(self.scene, SIDE_BY_SIDE)
        self._picker = Picker(self.scene, self.parameters, self._picked)
        self._watch = SceneWatch(self.scene, self._closing, self._changed)

    def close(self) -> None:
        """Stop picking, remove every observer and put the layout back; nodes stay in the scene."""
        self._picker.stop()
        self._watch.close()
        self._side.close()
        self.on_point = self.on_change = None

    def parameters(self) -> Parameters:
        """Typed access to the parameter node; ask again after the scene was closed."""
        return Parameters(parameter_node(self.scene))

    def snapshot(self, volume: Any, name: str) -> Snapshot:
        """A copy of a volume that can be written in any thread. Raises `ExportError`: why it cannot be sent."""
        return snapshot(volume, name)

    def results(self) -> list[Any]:
        """All result nodes, oldest first."""
        return result_nodes(self.scene)

    def result(self, node: Any) -> ResultNode:
        """Typed access to a result node."""
        return ResultNode(node)

    @property
    def shown(self) -> ResultNode | None:
        """The result that the views show."""
        node = self.parameters().shown
        return ResultNode(node) if node is not None and node in self.results() else None

    def is_map(self, volume: Any) -> bool:
        """Whether a volume belongs to a result."""
        return any(volume in ResultNode(node).volumes for node in self.results())

    def load(self, prepared: Prepared, volume: Any = None) -> Any:
        """Add a result to the scene, without showing it, and return its node. On any exception no node was added.

        Args:
            volume: the volume that was explained; when it is None or was deleted meanwhile, the image that came with
                the result is loaded, unless another result of the scene has brought it.
        """
        own_source = not in_scene(self.scene, volume)
        source = self._brought(prepared) if own_source else volume
        return load(self.scene, prepared, source, own_source, self.parameters().drawing.threshold).node

    def _brought(self, prepared: Prepared) -> Any:
        """The same image, where another result has brought it; else None."""
        results = [ResultNode(node) for node in self.results()]
        own = [one for one in results if one.own_source and one.source is not None]
        return next((one.source for one in own if same_image(one.document, anonymous(prepared.document))), None)

    # --- views -------------------------------------------------------------------------------------------------------

    def show(self, node: Any) -> None:
        """Show one result, and hide the one that was shown."""
        for other in self.results():
            outlines = ResultNode(other).outlines
            if outlines is not None:
                outlines.SetDisplayVisibility(other is node)
        self.parameters().shown = node
        self.draw()

    def hide(self) -> None:
        """Show no result; the views get back what they showed before."""
        for node in self.results():
            outlines = ResultNode(node).outlines
            if outlines is not None:
                outlines.SetDisplayVisibility(False)
        self._side.close()
        if self.parameters().shown is not None:
            self._layers.hide(None)
            self.parameters().shown = None

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

    def jump_to(self, ras: Point) -> None:
        """Centre all slice views on a point, mm."""
        jump_to(self.scene, ras)

    # --- removing ----------------------------------------------------------------------------------------------------

    def remove(self, nodes: list[Any]) -> None:
        """Remove results and all that came with them; `undo` brings them back."""
        kept = []
        for node in nodes:
            found = ResultNode(node)
            try:
                prepared = taken(found)
            except ExportError:  # an outline under a transform that is not linear cannot be kept
                prepared = None
            if prepared is not None:
                kept.append(Removed(node.GetName(), prepared, found.source, found.chosen))
        if self.parameters().shown in nodes:
            self.hide()
        for node in nodes:
            self._remove(ResultNode(node))
        self.removed = tuple(kept)

    def undo(self) -> list[Any]:
        """Bring back what was removed last; returns the nodes."""
        removed, self.removed = self.removed, ()
        nodes = []
        for one in removed:
            node = self.load(one.prepared, one.source)
            node.SetName(one.name)
            ResultNode(node).chosen = one.chosen
            nodes.append(node)
        return nodes

    def _remove(self, found: ResultNode) -> None:
        others = [ResultNode(node).source for node in self.results() if node is not found.node]
        parts = [*found.volumes, found.colours, found.outlines]
        if found.own_source and found.source not in others:
            parts.append(found.source)
        for part in parts:
            remove_with_parts(self.scene, part)
        self.scene.RemoveNode(found.node)

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

    def show_prediction(self, prediction: Volume) -> None:
        """Outline the predicted lesions, instead of those of an earlier image."""
        for node in list(nodes_of_class(self.scene, "vtkMRMLSegmentationNode")):
            if node.GetSegmentation().GetSegment(PREDICTED_ID) is not None:
                remove_with_parts(self.scene, node)
        add_segmentation(self.scene, [Outline(PREDICTED_ID, PREDICTED, LESIONS, prediction)], f"{PREDICTED} (model)")

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

    def _closing(self) -> None:
        self._picker.stop()
        self._side.close()
        self._layers.forget()
        self.removed = ()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()
