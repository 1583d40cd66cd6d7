"""Cases of a cohort in a MRML scene: the one class that the panel talks to. No Qt and no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

import slicer
from XAILib.agreement import DERIVED, Agreement, measure, votes
from XAILib.nrrd import Volume
from XAIPanels.belonging import set_visible
from XAIPanels.nodes import in_scene
from XAIPanels.scene_watch import SceneWatch
from XAIPanels.side_views import Arrangement, SideViews
from XAIPanels.turns import Steps, taken_at_once
from XAIPanels.views import centre, jump_to, pass_through

from . import case_node
from .case_node import CaseNode, fingerprint
from .layers import CaseLayers
from .parameters import Drawing, Parameters, parameter_node
from .prepared import Origin, Point, PreparedCase

SIDE_BY_SIDE = Arrangement("Cohort", 7200, 72, {1: 1, 2: 2, 3: 3, 4: 2, 6: 3})
KEPT = 3
"""Opened cases that stay; a case of five modalities of 1 mm takes about 150 MB."""


class CohortLogic:
    """Everything takes and returns nodes; call `close` when done.

    Attributes:
        on_change: called when nodes came or went by another hand (deleted, scene closed, scene loaded).
        removed: what `undo` brings back.
        beside: whether views beside each other may be opened: only while the module is looked at.
    """

    def __init__(self, scene: Any = None) -> None:
        self.scene = scene if scene is not None else slicer.mrmlScene
        self.on_change: Callable[[], None] | None = None
        self.removed: tuple[PreparedCase, ...] = ()
        self.beside = True
        self._layers = CaseLayers(self.scene)
        self._side = SideViews(self.scene, SIDE_BY_SIDE)
        self._watch = SceneWatch(self.scene, self._closing, self._changed)

    def close(self) -> None:
        """Remove every observer; nodes stay in the scene."""
        self._watch.close()
        self.on_change = None

    def parameters(self) -> Parameters:
        """Typed access to the parameter node; ask again after the scene was closed."""
        return Parameters(parameter_node(self.scene))

    def results(self) -> list[Any]:
        """The nodes of all opened cases, oldest first."""
        return case_node.case_nodes(self.scene)

    def case(self, node: Any) -> CaseNode:
        """Typed access to the node of a case."""
        return CaseNode(node)

    def opened(self, origin: Origin) -> Any:
        """The node of a case that is open already; None when it is not, or when parts of it were deleted."""
        found = [node for node in self.results() if CaseNode(node).origin == origin]
        return next((node for node in found if CaseNode(node).masks is not None and CaseNode(node).images), None)

    @property
    def shown(self) -> CaseNode | None:
        """The case that the views show."""
        node = self.parameters().shown
        return CaseNode(node) if node is not None and node in self.results() else None

    def load_case(self, case: PreparedCase) -> Any:
        """Add a case to the scene, show it, and return its node, see `CaseNode`. At once; see `loading`."""
        node = taken_at_once(self.loading(case))
        self.show(node)
        return node

    def loading(self, case: PreparedCase) -> Generator[float, None, Any]:
        """Add a case bit by bit, one with each `next`, so that the window never waits long.

        Yields the share that is done, and returns the node. Closed before its end, it leaves nothing behind.
        """
        return case_node.adding(self.scene, case)

    def agreement_map(self, node: Any) -> Any:
        """The label map of how many raters marked each voxel, made anew; None where nobody marked any."""
        return self.keep_votes(node, votes(CaseNode(node).drawn()))

    def agreement_table(self, node: Any) -> Agreement:
        """Volumes, lesions and overlaps of the raters as they are drawn now; they are kept with the case."""
        drawn = CaseNode(node).drawn()
        agreement = measure(drawn)
        CaseNode(node).measured(agreement, fingerprint(drawn))
        return agreement

    def keep_votes(self, node: Any, counted: Volume | None) -> Any:
        """Put the result of `votes` into the scene; of a case that was removed meanwhile nothing is kept."""
        if counted is None or not in_scene(self.scene, node):
            return None
        found = CaseNode(node)
        return case_node.set_votes(self.scene, found, counted, self.voters(node))

    def keep_agreement(self, node: Any, agreement: Agreement, drawn: Mapping[str, list[float]]) -> None:
        """Keep what was measured of drawings with this `fingerprint`; of a case that has gone nothing is kept."""
        if in_scene(self.scene, node):
            CaseNode(node).measured(agreement, drawn)

    def voters(self, node: Any) -> int:
        """Number of raters who have a vote."""
        return len([rater for rater in CaseNode(node).segments if rater not in DERIVED])

    def show(self, node: Any) -> None:
        """Show one case, and hide the others; the slices go where most is drawn when it is another one than before."""
        if not in_scene(self.scene, node):
            return
        before = self.parameters().shown
        for other in self.results():
            masks = CaseNode(other).masks
            if masks is not None:
                set_visible(masks, other is node)
        self.parameters().shown = node
        self.draw()
        place = CaseNode(node).place
        if before is not node and place is not None:
            pass_through(self.scene, place)

    def draw(self) -> None:
        """Draw the shown case as it is wished; what is not there is not shown."""
        found = self.shown
        if found is None:
            return
        drawing, images = self.parameters().drawing, found.images
        self._draw_raters(found, drawing)
        place = centre(self.scene)
        if images and self._draw_images(images, drawing):
            slicer.util.resetSliceViews()
            pass_through(self.scene, place)  # the views go on where they were
        self._layers.lay(found.votes if drawing.agreement else None, self.parameters().opacity)
        if found.votes is not None:
            case_node.show_legend(found.votes, drawing.agreement)

    def wish_agreement(self, on: bool) -> None:
        """Draw the map of agreement or not; it says what the raters' outlines say: they make room for it."""
        found, drawing = self.shown, self.parameters().drawing
        voters = tuple(name for name in found.segments if name not in DERIVED) if found is not None else ()
        hidden = drawing.hidden
        if on and not hidden:
            hidden = voters
        elif not on and hidden == voters:
            hidden = ()
        self.parameters().drawing = replace(drawing, agreement=on, hidden=hidden)
        self.draw()

    def hide(self) -> None:
        """Show no case; layouts and views get back what they showed before."""
        for node in self.results():
            masks = CaseNode(node).masks
            if masks is not None:
                set_visible(masks, False)
        self._leave_views()
        self.parameters().shown = None

    def look_away(self) -> None:
        """Another module is looked at, which knows nothing of our layout: back to the earlier one."""
        self.beside = False
        self._side.close()

    def look_back(self) -> None:
        """The module is looked at again: draw the shown case as it is wished."""
        if not self.beside:
            self.beside = True
            self.draw()

    def jump_to(self, place: Point) -> None:
        """Centre all slice views on a point, mm."""
        jump_to(self.scene, place)

    def remove(self, nodes: list[Any]) -> None:
        """Remove cases with all that came with them; `undo` brings them back."""
        taken_at_once(self.removing(nodes))

    def removing(self, nodes: list[Any]) -> Steps:
        """The same, a case in each step."""
        self.removed = ()
        if self.parameters().shown in nodes:
            self.hide()
        for node in nodes:
            if in_scene(self.scene, node):
                case = case_node.taken(CaseNode(node))
                case_node.remove(self.scene, CaseNode(node))
                self.removed += () if case is None else (case,)
                yield

    def undo(self) -> list[Any]:
        """Bring back what was removed last; returns the nodes. At once; see `loading`."""
        return [self.load_case(case) for case in self.take_removed()]

    def take_removed(self) -> tuple[PreparedCase, ...]:
        """What `undo` would bring back, for a caller who loads it bit by bit."""
        removed, self.removed = self.removed, ()
        return removed

    def make_room(self) -> None:
        """Remove the oldest cases beyond `KEPT`, except the shown one and those whose masks were edited."""
        nodes, shown = self.results(), self.parameters().shown
        for node in nodes[: max(0, len(nodes) - KEPT)]:
            found = CaseNode(node)
            if node is not shown and not found.is_touched(found.drawn()):
                case_node.remove(self.scene, found)

    def _draw_raters(self, found: CaseNode, drawing: Drawing) -> None:
        display: Any = found.masks.GetDisplayNode() if found.masks is not None else None
        for rater, identifier in found.segments.items() if display is not None else ():
            display.SetSegmentVisibility(identifier, rater not in drawing.hidden)

    def _draw_images(self, images: Mapping[str, Any], drawing: Drawing) -> bool:
        """Whether views came or show something else than before."""
        if not (drawing.side and self.beside):
            self._side.close()
            return self._layers.show({}, images.get(drawing.modality) or next(iter(images.values())))
        new = not self._side.seen
        names = list(images)[: SIDE_BY_SIDE.largest]
        composites = self._side.open(names)
        own = {composite.GetID(): images[name] for composite, name in zip(composites, names)}
        return self._layers.show(own, images[names[0]]) or new

    def _leave_views(self) -> None:
        self._side.close()
        self._layers.hide()

    def _closing(self) -> None:
        self._side.close()
        self._layers.forget()
        self.removed = ()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()
