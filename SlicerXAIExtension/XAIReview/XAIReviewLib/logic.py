"""Opened images of a worklist in a MRML scene: the one class that the panel talks to. No Qt and no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import slicer
from XAILib.nrrd import Volume
from XAIPanels.belonging import set_visible
from XAIPanels.map_display import scale_of
from XAIPanels.nodes import in_scene
from XAIPanels.scene_watch import SceneWatch
from XAIPanels.side_views import Arrangement, SideViews
from XAIPanels.turns import taken_at_once
from XAIPanels.views import Layers, centre, jump_to, pass_through
from XAIPanels.volumes import affine_of, array_of

from . import opened as nodes
from .opened import Opened, Origin, opened_nodes
from .parameters import BLEND, SIDE, Drawing, Parameters, parameter_node
from .prepared import Image, Map, Point, Prepared

SIDE_BY_SIDE = Arrangement("Review", 7300, 73, {1: 1, 2: 2, 4: 2, 6: 3})
KEPT = 3
"""Images that stay open; the one that was opened before them goes with its maps."""


class ReviewLogic:
    """Opened images by id; call `close` when done.

    Attributes:
        on_change: called when nodes came or went by another hand (deleted, scene closed, scene loaded).
    """

    def __init__(self, scene: Any = None) -> None:
        self.scene = scene if scene is not None else slicer.mrmlScene
        self.on_change: Callable[[], None] | None = None
        self._layers = Layers(self.scene)
        self._side = SideViews(self.scene, SIDE_BY_SIDE)
        self._watch = SceneWatch(self.scene, self._closing, self._changed)

    def close(self) -> None:
        """Remove every observer and put the views back; nodes stay in the scene."""
        self._watch.close()
        self._side.close()
        self.on_change = None

    def parameters(self) -> Parameters:
        """Typed access to the parameter node; ask again after the scene was closed."""
        return Parameters(parameter_node(self.scene))

    def opened(self, origin: Origin) -> Opened | None:
        """An opened image of a server, whatever model its maps are of; None when it is not open."""
        place = (origin.server, origin.image)
        found = opened_nodes(self.scene)
        return next((one for one in found if (one.origin.server, one.origin.image) == place), None)

    @property
    def shown(self) -> Opened | None:
        """The opened image that the views show."""
        node = self.parameters().shown
        return next((found for found in opened_nodes(self.scene) if found.node is node), None)

    def open(self, origin: Origin, image: Image) -> Opened:
        """Add an image to the scene and show it; of the earlier ones, the newest stay."""
        return taken_at_once(self.opening(origin, image))

    def opening(self, origin: Origin, image: Image) -> Generator[None, None, Opened]:
        """The same step by step, so that the window never waits long."""
        found = nodes.add_item(self.scene, origin, image)
        yield
        self.show(found)
        for old in opened_nodes(self.scene)[:-KEPT]:
            yield
            nodes.remove(self.scene, old)
        return found

    def begin(self, found: Opened, prepared: Prepared) -> None:
        """Keep a result; its maps are added afterwards, one by one, so that the window never waits long."""
        nodes.begin(self.scene, found, prepared)
        if prepared.lesions:
            nodes.add_lesions(self.scene, found, prepared.lesions)

    def add_map(self, found: Opened, label: str, map_: Map) -> None:
        """Add the map of a class, not shown yet."""
        if in_scene(self.scene, found.node):
            nodes.add_map(self.scene, found, label, map_, self.parameters().drawing.threshold)

    def finish(self, found: Opened) -> None:
        """All maps are there."""
        if in_scene(self.scene, found.node):
            nodes.finish(found)

    def reuse(self, found: Opened, digest: str) -> None:
        """Keep the image alone when its maps are of another model."""
        if found.origin.digest != digest:
            nodes.clear(self.scene, found, digest)

    def show(self, found: Opened) -> None:
        """Show an opened image, and no other one, without a map."""
        for other in opened_nodes(self.scene):
            if other.lesions is not None:
                set_visible(other.lesions, other.node is found.node)
        self.parameters().shown = found.node
        if self._layers.show(found.image, None, 0.0):
            slicer.util.resetSliceViews()

    def draw(self, found: Opened, drawing: Drawing) -> None:
        """Show maps of an opened image as they are wished; what is not there is not shown."""
        nodes.paint_maps(found, drawing.threshold)
        maps = found.maps
        if drawing.mode == SIDE and maps:
            self._draw_side_by_side(found, drawing)
            return
        if drawing.mode != SIDE or found.complete:  # while maps are being waited for, the layout stays
            self._side.close()
        overlay = maps.get(drawing.first)
        if drawing.mode == BLEND:
            overlay = found.blend if found.blended_pair == (drawing.first, drawing.second) else None
        if self._layers.show(found.image, overlay, drawing.opacity):
            slicer.util.resetSliceViews()

    def pair(self, found: Opened, drawing: Drawing) -> tuple[tuple[Volume, float], ...]:
        """Voxels and scale of the two classes that are to be blended; empty when a map is missing, or nothing is to do.

        The voxels may be read in any thread: they stay as they are, also when the node goes.
        """
        names = (drawing.first, drawing.second)
        maps = found.maps
        if drawing.mode != BLEND or names == found.blended_pair or not set(names) <= set(maps):
            return ()
        return tuple((Volume(array_of(maps[name]), affine_of(maps[name])), scale_of(maps[name])) for name in names)

    def set_blend(self, found: Opened, pair: tuple[str, str], indices: Volume) -> None:
        """Keep two classes in one volume; of an image that was closed meanwhile, nothing is kept."""
        if in_scene(self.scene, found.node):
            nodes.set_blend(self.scene, found, pair, indices, self.parameters().drawing.threshold)

    def place(self, found: Opened, label: str) -> Point | None:
        """Where the map of a class is strongest."""
        volume = found.maps.get(label)
        return None if volume is None else nodes.place(volume)

    def pass_through(self, place: Point) -> None:
        """Let all slice views show the slice through a point, mm."""
        pass_through(self.scene, place)

    def jump_to(self, place: Point) -> None:
        """Centre all slice views on a point, mm."""
        jump_to(self.scene, place)

    def _draw_side_by_side(self, found: Opened, drawing: Drawing) -> None:
        maps = found.maps
        names = list(maps)
        if (
            len(names) > SIDE_BY_SIDE.largest and drawing.first in maps
        ):  # the chosen one must not be among those that find no view
            names.sort(key=lambda name: name != drawing.first)
        place = None if self._side.active else centre(self.scene)
        composites = self._side.open(names)
        if self._layers.show(found.image, None, drawing.opacity) or place is not None:
            slicer.util.resetSliceViews()
        if place is not None:
            pass_through(self.scene, place)
        for composite, name in zip(composites, names):
            composite.SetForegroundVolumeID(maps[name].GetID())
            composite.SetForegroundOpacity(drawing.opacity)

    def _closing(self) -> None:
        self._side.close()
        self._layers.forget()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()
