"""The layers and the position of all slice views, through their nodes."""

from __future__ import annotations

from typing import Any

import slicer

from .belonging import may_lie_over
from .nodes import nodes_of_class

Before = tuple[str, float, int]
"""Foreground volume id, foreground opacity and compositing mode of a view before a map was put over it."""


class Layers:
    """Puts a map over an image in every slice view, and puts back what was there."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self._before: dict[str, Before] = {}

    def show(self, background: Any, foreground: Any, opacity: float) -> bool:
        """Returns whether the background of a view changed, so that the caller may want to fit the views to it."""
        changed = False
        for composite in nodes_of_class(self.scene, "vtkMRMLSliceCompositeNode"):
            self._before.setdefault(
                composite.GetID(),
                (
                    composite.GetForegroundVolumeID() or "",
                    composite.GetForegroundOpacity(),
                    composite.GetCompositing(),
                ),
            )
            if background is not None and composite.GetBackgroundVolumeID() != background.GetID():
                composite.SetBackgroundVolumeID(background.GetID())
                changed = True
            composite.SetCompositing(slicer.vtkMRMLSliceCompositeNode.Alpha)
            composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
            composite.SetForegroundOpacity(opacity)
        return changed

    def set_opacity(self, foreground: Any, opacity: float) -> None:
        """Change the opacity in the views where that map is the foreground."""
        for composite in nodes_of_class(self.scene, "vtkMRMLSliceCompositeNode"):
            if composite.GetForegroundVolumeID() == foreground.GetID():
                composite.SetForegroundOpacity(opacity)

    def hide(self, foreground: Any) -> None:
        """Put back what each view showed before, unless somebody has put another volume there meanwhile."""
        for composite in nodes_of_class(self.scene, "vtkMRMLSliceCompositeNode"):
            volume, opacity, compositing = self._before.pop(composite.GetID(), ("", 0.0, composite.GetCompositing()))
            if foreground is not None and composite.GetForegroundVolumeID() != foreground.GetID():
                continue
            there = self.scene.GetNodeByID(volume) and may_lie_over(
                self.scene, volume, composite.GetBackgroundVolumeID()
            )
            composite.SetForegroundVolumeID(volume if there else None)
            composite.SetForegroundOpacity(opacity)
            composite.SetCompositing(compositing)

    def forget(self) -> None:
        """The scene was closed: there is nothing to put back."""
        self._before.clear()


def centre(scene: Any) -> tuple[float, float, float]:
    """Where the slices that are shown meet: R, A, S in mm of the middle of the first view of each orientation."""
    place = [0.0, 0.0, 0.0]
    for view in reversed(list(nodes_of_class(scene, "vtkMRMLSliceNode"))):
        to_world = view.GetSliceToRAS()
        normal = [abs(to_world.GetElement(row, 2)) for row in range(3)]
        axis = normal.index(max(normal))
        place[axis] = to_world.GetElement(axis, 3)
    return place[0], place[1], place[2]


def pass_through(scene: Any, ras: tuple[float, float, float]) -> None:
    """Let all slice views of the scene show the slice through a point, mm, without moving what they show aside."""
    for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
        view.JumpSliceByOffsetting(*ras)


def jump_to(scene: Any, ras: tuple[float, float, float]) -> None:
    """Centre all slice views of the scene on a point, mm."""
    for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
        view.JumpSliceByCentering(*ras)
