"""A layout of linked axial views, one for each class. Slicer's own views stay as they are."""

from __future__ import annotations

from typing import Any

from XAIPanels.nodes import nodes_of_class

PREFIX = "Review"
"""Of the names of the views; a number follows."""
COLUMNS = {1: 1, 2: 2, 4: 2, 6: 3}
"""Columns of the layouts, by number of views."""
LARGEST = max(COLUMNS)
LAYOUT = 7300
"""Layouts have numbers; this one and as many as there are views are ours."""
GROUP = 73
"""Linked views follow each other within a group."""
WITHOUT = "image"
"""Label of a view that no class is left for."""
ACCENTS = ("#f34a33", "#6eb04b", "#edd54c", "#4aa3df", "#b56edc", "#e8833a")
"""Colours of the views' bars."""


class SideViews:
    """Opens the layout, and puts back the one that was there before."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self._before: int | None = None

    @property
    def active(self) -> bool:
        """Whether the layout is open, and nobody has chosen another one meanwhile."""
        node = self._layout_node()
        return self._before is not None and node is not None and node.GetViewArrangement() > LAYOUT

    def open(self, names: list[str]) -> list[Any]:
        """Show as many views as there are names, at most `LARGEST`; returns their composite nodes in this order."""
        node = self._layout_node()
        if node is None:
            return []
        names = names[:LARGEST]
        count = next(size for size in sorted(COLUMNS) if size >= len(names))
        if not node.IsLayoutDescription(LAYOUT + count):
            node.AddLayoutDescription(LAYOUT + count, description(count))
        if not self.active:
            self._before = node.GetViewArrangement()
        node.SetViewArrangement(LAYOUT + count)
        for view, name in zip(self._nodes("vtkMRMLSliceNode"), [*names, *[WITHOUT] * (count - len(names))]):
            view.SetLayoutLabel(name)
        composites = self._nodes("vtkMRMLSliceCompositeNode")
        for composite in composites:
            composite.SetLinkedControl(True)
            composite.SetHotLinkedControl(True)
        return composites[: len(names)]

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
        return [named[name] for name in map(_name, range(LARGEST)) if name in named]


def description(count: int) -> str:
    """The layout of so many views, as Slicer reads it."""
    columns = COLUMNS[count]
    rows = [range(start, start + columns) for start in range(0, count, columns)]
    lines = "".join(f'<item><layout type="horizontal">{"".join(map(_view, row))}</layout></item>' for row in rows)
    return f'<layout type="vertical">{lines}</layout>'


def _view(number: int) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{_name(number)}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{number + 1}</property>'
        f'<property name="viewcolor" action="default">{ACCENTS[number]}</property>'
        f'<property name="viewgroup" action="default">{GROUP}</property></view></item>'
    )


def _name(number: int) -> str:
    return f"{PREFIX}{number + 1}"
