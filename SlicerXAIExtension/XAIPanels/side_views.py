"""A layout of linked views beside each other, one for each picture. Slicer's own views stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import slicer

from .nodes import nodes_of_class

WITHOUT = "image"
"""Label of a view that no picture is left for."""
ACCENTS = ("#ff3300", "#0033ff", "#00ffdd", "#bb77dd", "#993355", "#ffff00")
"""Colours of the views' bars."""


@dataclass(frozen=True)
class Arrangement:
    """A panel's own layouts.

    Attributes:
        prefix: of the names of the views; a number follows.
        layout: layouts have numbers; this one and as many as there are views are the panel's.
        group: linked views follow each other within a group.
        columns: of the layouts, by number of views.
    """

    prefix: str
    layout: int
    group: int
    columns: Mapping[int, int]

    @property
    def largest(self) -> int:
        """Most views."""
        return max(self.columns)

    def name(self, number: int) -> str:
        """Of a view, from 0."""
        return f"{self.prefix}{number + 1}"

    def description(self, count: int) -> str:
        """The layout of so many views, as Slicer reads it."""
        columns = self.columns[count]
        rows = [range(start, start + columns) for start in range(0, count, columns)]
        lines = [f'<item><layout type="horizontal">{"".join(map(self._view, row))}</layout></item>' for row in rows]
        return f'<layout type="vertical">{"".join(lines)}</layout>'

    def _view(self, number: int) -> str:
        return (
            f'<item><view class="vtkMRMLSliceNode" singletontag="{self.name(number)}">'
            '<property name="orientation" action="default">Axial</property>'
            f'<property name="viewlabel" action="default">{number + 1}</property>'
            f'<property name="viewcolor" action="default">{ACCENTS[number]}</property>'
            f'<property name="viewgroup" action="default">{self.group}</property></view></item>'
        )


class SideViews:
    """Opens the layout, and puts back the one that was there before."""

    def __init__(self, scene: Any, arrangement: Arrangement) -> None:
        self.scene = scene
        self._own = arrangement
        self._before: int | None = None

    @property
    def active(self) -> bool:
        """Whether the layout is open, and nobody has chosen another one meanwhile."""
        return self._before is not None and self.seen

    @property
    def seen(self) -> bool:
        """Whether the layout is one of ours, also in a scene that was saved so."""
        node = self._layout_node()
        return node is not None and 0 < node.GetViewArrangement() - self._own.layout <= self._own.largest

    def open(self, names: list[str]) -> list[Any]:
        """Show as many views as there are names, at most the largest layout's; their composite nodes in this order."""
        node = self._layout_node()
        if node is None:
            return []
        names = names[: self._own.largest]
        count = next(size for size in sorted(self._own.columns) if size >= len(names))
        layout = self._own.layout + count
        if not node.IsLayoutDescription(layout):
            node.AddLayoutDescription(layout, self._own.description(count))
        if not self.active:
            four_up = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
            self._before = four_up if self.seen else node.GetViewArrangement()
        node.SetViewArrangement(layout)
        for view, name in zip(self._nodes("vtkMRMLSliceNode"), [*names, *[WITHOUT] * (count - len(names))]):
            view.SetLayoutLabel(name)
        composites = self._nodes("vtkMRMLSliceCompositeNode")
        for composite in composites:
            composite.SetLinkedControl(True)
            composite.SetHotLinkedControl(True)
        return composites[: len(names)]

    @property
    def views(self) -> list[Any]:
        """The slice nodes of our views, in the order of their numbers."""
        return self._nodes("vtkMRMLSliceNode")

    def close(self) -> None:
        """Back to the earlier layout, unless somebody has chosen another one meanwhile."""
        node, active = self._layout_node(), self.active
        if active and node is not None:
            node.SetViewArrangement(self._before)
        self._before = None

    def _layout_node(self) -> Any:
        return next(nodes_of_class(self.scene, "vtkMRMLLayoutNode"), None)

    def _nodes(self, kind: str) -> list[Any]:
        """Our views or their composite nodes, in the order of their numbers."""
        named = {str(node.GetLayoutName()): node for node in nodes_of_class(self.scene, kind)}
        return [named[name] for name in map(self._own.name, range(self._own.largest)) if name in named]
