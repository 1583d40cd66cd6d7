"""Saliency results in a MRML scene: the one class that the panel, or another viewer, talks to. No Qt and no HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
from XAIPanels.belonging import set_visible
from XAIPanels.errors import ExportError
from XAIPanels.export import Snapshot, snapshot
from XAIPanels.map_display import paint
from XAIPanels.nodes import in_scene, remove_with_parts
from XAIPanels.picking import Picker, Point
from XAIPanels.scene_watch import SceneWatch
from XAIPanels.views import Layers, jump_to

from .lesions import Lesion
from .loading import load as load_result
from .loading import taken
from .parameters import Parameters, parameter_node
from .prepared import Prepared
from .results import ResultNode, is_map, result_nodes


@dataclass(frozen=True)
class Removed:
    """A result that can be brought back."""

    name: str
    prepared: Prepared
    source: Any
    threshold: float
    opacity: float


class SaliencyLogic:
    """Everything takes and returns nodes; call `close` when done.

    Attributes:
        on_point: called with (R, A, S) in mm when the user has picked a point.
        on_change: called when result nodes came or went by another hand (deleted, scene closed, scene loaded).
        removed: what `undo` brings back.
    """

    def __init__(self, scene: Any = None) -> None:
        self.scene = scene if scene is not None else slicer.mrmlScene
        self.on_point: Callable[[Point], None] | None = None
        self.on_change: Callable[[], None] | None = None
        self.removed: Removed | None = None
        self._layers = Layers(self.scene)
        self._picker = Picker(self.scene, self.parameters, self._picked)
        self._watch = SceneWatch(self.scene, self._closing, self._changed)

    def close(self) -> None:
        """Stop picking and remove every observer; nodes stay in the scene."""
        self._picker.stop()
        self._watch.close()
        self.on_point = self.on_change = None

    def parameter_node(self) -> Any:
        """The module's vtkMRMLScriptedModuleNode, which is saved with the scene."""
        return parameter_node(self.scene)

    def parameters(self) -> Parameters:
        """Typed access to the parameter node; ask again after the scene was closed."""
        return Parameters(self.parameter_node())

    def snapshot(self, volume: Any, name: str = "image") -> Snapshot:
        """A copy of a volume that `export.write` can write in any thread, in world RAS coordinates.

        Args:
            name: what a server shall call it, such as the modality; never the node's name, which may be a patient's.

        Raises:
            ExportError: why it cannot be sent, in words.
        """
        return snapshot(volume, name)

    def load(self, prepared: Prepared, volume: Any = None) -> Any:
        """Add a result to the scene, without showing it, and return its node.

        Args:
            volume: the volume that was explained; when it is None or was deleted meanwhile, the image that came with
                the result is loaded.

        On any exception no node was added.
        """
        source = volume if in_scene(self.scene, volume) else None
        choices = self.parameters()
        return load_result(self.scene, prepared, source, choices.threshold, choices.opacity).node

    def results(self) -> list[Any]:
        """All result nodes, oldest first."""
        return result_nodes(self.scene)

    def result(self, node: Any) -> ResultNode:
        """Typed access to a result node: document, lesions, source, saliency, segmentation, threshold, opacity."""
        return ResultNode(node)

    def is_map(self, volume: Any) -> bool:
        """Whether a volume is the saliency map of a result."""
        return is_map(self.scene, volume)

    def show(self, node: Any) -> bool:
        """Show one result, and hide the one that was shown, in all slice views.

        Returns whether a view's background changed; the views may then have to be fitted to it.
        """
        self.hide()
        result = ResultNode(node)
        self._set_segmentation_visible(result, True)
        self.parameters().shown = node
        return self._layers.show(result.source, result.saliency, result.opacity)

    def hide(self) -> None:
        """Show no result; the views get back what they showed before."""
        shown = self.parameters().shown
        for node in self.results():
            self._set_segmentation_visible(ResultNode(node), False)
        if shown is not None:
            self._layers.hide(ResultNode(shown).saliency)
            self.parameters().shown = None

    def remove(self, node: Any) -> None:
        """Remove a result and all that came with it; the explained volume stays if it was there before. `undo` brings
        it back."""
        if not in_scene(self.scene, node):
            return
        self.removed = _kept(ResultNode(node))
        if self.parameters().shown is node:
            self.hide()
        result = ResultNode(node)
        parts = [result.saliency, result.colours, result.segmentation]
        if result.own_source and not self._is_source_of_another(result):
            parts.append(result.source)
        for part in parts:
            remove_with_parts(self.scene, part)
        self.scene.RemoveNode(node)

    def undo(self) -> Any:
        """Bring back what was removed last; returns its node, or None."""
        removed, self.removed = self.removed, None
        if removed is None:
            return None
        node = self.load(removed.prepared, removed.source)
        node.SetName(removed.name)
        self.set_threshold(node, removed.threshold)
        self.set_opacity(node, removed.opacity)
        return node

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

    def document(self, node: Any) -> dict[str, Any]:
        """The result's JSON: verdict, checks, flags, metrics, parameters, tables, provenance; no patient's name."""
        return ResultNode(node).document

    def lesions(self, node: Any) -> list[Lesion]:
        """The predicted lesions of a result."""
        return ResultNode(node).lesions

    def jump_to(self, ras: Point) -> None:
        """Centre all slice views on a point, mm."""
        jump_to(self.scene, ras)

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

    def _set_segmentation_visible(self, result: ResultNode, visible: bool) -> None:
        if result.segmentation is not None:
            set_visible(result.segmentation, visible)

    def _is_source_of_another(self, result: ResultNode) -> bool:
        others = (ResultNode(node) for node in self.results() if node is not result.node)
        return any(other.source is result.source for other in others)

    def _closing(self) -> None:
        self._picker.stop()
        self._layers.forget()
        self.removed = None

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()


def _kept(found: ResultNode) -> Removed | None:
    try:
        prepared = taken(found)
    except ExportError:  # an outline under a transform that is not linear cannot be kept
        return None
    if prepared is None:
        return None
    return Removed(found.node.GetName(), prepared, found.source, found.threshold, found.opacity)
