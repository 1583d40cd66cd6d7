"""What the logics of panels that explain one image at a time have in common: results come, are shown, go, come back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import slicer

from .belonging import set_visible
from .documents import anonymous, same_image
from .errors import ExportError
from .export import Snapshot, snapshot
from .image_result import ImageResult
from .nodes import in_scene, remove_with_parts
from .parameters import ImageParameters
from .scene_watch import SceneWatch
from .views import Layers, jump_to


class Ready(Protocol):
    """A result made ready for the scene."""

    @property
    def document(self) -> Mapping[str, Any]:
        """The JSON of the result."""
        ...


R = TypeVar("R", bound=ImageResult)
P = TypeVar("P", bound=Ready)


@dataclass(frozen=True)
class Removed(Generic[P]):
    """A result that can be brought back."""

    name: str
    prepared: P
    source: Any
    choices: Mapping[str, str]


class ResultLogic(ABC, Generic[R, P]):
    """Everything takes and returns nodes; call `close` when done.

    Attributes:
        on_change: called when nodes came or went by another hand (deleted, scene closed, scene loaded).
        removed: what `undo` brings back.
    """

    def __init__(self, scene: Any = None) -> None:
        self.scene = scene if scene is not None else slicer.mrmlScene
        self.on_change: Callable[[], None] | None = None
        self.removed: tuple[Removed[P], ...] = ()
        self._layers = Layers(self.scene)
        self._watch = SceneWatch(self.scene, self._closing, self._changed)

    @abstractmethod
    def parameters(self) -> ImageParameters:
        """Typed access to the parameter node; ask again after the scene was closed."""

    @abstractmethod
    def results(self) -> list[Any]:
        """All result nodes, oldest first."""

    @abstractmethod
    def result(self, node: Any) -> R:
        """Typed access to a result node."""

    @abstractmethod
    def draw(self) -> None:
        """Show the shown result as it is wished; what is not there is not shown."""

    @abstractmethod
    def _load(self, prepared: P, source: Any, own_source: bool) -> Any:
        """Add the nodes of a result; on any exception none was added.

        Args:
            source: the explained volume; None loads the image that came with the result.
            own_source: whether the explained volume goes with the last of its results.
        """

    @abstractmethod
    def _taken(self, found: R) -> P | None:
        """What a result's nodes hold, to load it again; None when a part of it was deleted by hand.

        Raises `ExportError` where a part cannot be kept.
        """

    def close(self) -> None:
        """Remove every observer; nodes stay in the scene."""
        self._watch.close()
        self.on_change = None

    def snapshot(self, volume: Any, name: str) -> Snapshot:
        """A copy of a volume that can be written in any thread. Raises `ExportError`: why it cannot be sent."""
        return snapshot(volume, name)

    @property
    def shown(self) -> R | None:
        """The result that the views show."""
        node = self.parameters().shown
        return self.result(node) if node is not None and node in self.results() else None

    def is_map(self, volume: Any) -> bool:
        """Whether a volume belongs to a result."""
        return any(volume in self.result(node).volumes for node in self.results())

    def load(self, prepared: P, volume: Any = None) -> Any:
        """Add a result to the scene, without showing it, and return its node. On any exception no node was added.

        Args:
            volume: the volume that was explained; when it is None or was deleted meanwhile, the image that came with
                the result is loaded, unless another result of the scene has brought it.
        """
        own_source = not in_scene(self.scene, volume)
        return self._load(prepared, self._brought(prepared) if own_source else volume, own_source)

    def _brought(self, prepared: P) -> Any:
        """The same image, where another result has brought it; else None."""
        results = [self.result(node) for node in self.results()]
        own = [one for one in results if one.own_source and one.source is not None]
        return next((one.source for one in own if same_image(one.document, anonymous(prepared.document))), None)

    def show(self, node: Any) -> None:
        """Show one result, and hide the one that was shown."""
        self._show_outlines(node)
        self.parameters().shown = node
        self.draw()

    def hide(self) -> None:
        """Show no result; the views get back what they showed before."""
        self._show_outlines(None)
        self._leave_views()
        if self.parameters().shown is not None:
            self._layers.hide(None)
            self.parameters().shown = None

    def jump_to(self, ras: tuple[float, float, float]) -> None:
        """Centre all slice views on a point, mm."""
        jump_to(self.scene, ras)

    def remove(self, nodes: list[Any]) -> None:
        """Remove results and all that came with them; `undo` brings them back."""
        nodes = [node for node in nodes if in_scene(self.scene, node)]
        kept = [one for one in map(self._kept, nodes) if one is not None]
        if self.parameters().shown in nodes:
            self.hide()
        for node in nodes:
            self._remove(self.result(node))
        self.removed = tuple(kept)

    def undo(self) -> list[Any]:
        """Bring back what was removed last; returns the nodes."""
        return list(self.undoing())

    def undoing(self) -> Iterator[Any]:
        """The same, a result at a time; what has not come back yet is still in `removed`."""
        while self.removed:
            one, *rest = self.removed
            node = self.load(one.prepared, one.source)
            node.SetName(one.name)
            self.result(node).choices = dict(one.choices)
            self.removed = tuple(rest)
            yield node

    def _kept(self, node: Any) -> Removed[P] | None:
        found = self.result(node)
        try:
            prepared = self._taken(found)
        except ExportError:  # an outline under a transform that is not linear cannot be kept
            return None
        return None if prepared is None else Removed(node.GetName(), prepared, found.source, found.choices)

    def _remove(self, found: R) -> None:
        others = [self.result(node).source for node in self.results() if node is not found.node]
        parts = found.parts
        if found.own_source and found.source not in others:
            parts.append(found.source)
        for part in parts:
            remove_with_parts(self.scene, part)
        self.scene.RemoveNode(found.node)

    def _show_outlines(self, shown: Any) -> None:
        """Those of one result alone."""
        for node in self.results():
            outlines = self.result(node).outlines
            if outlines is not None:
                set_visible(outlines, node is shown)

    def _leave_views(self) -> None:
        """Nothing is shown any more: put back layouts."""

    def _closing(self) -> None:
        self._leave_views()
        self._layers.forget()
        self.removed = ()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()
