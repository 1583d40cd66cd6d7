"""How a saliency volume is drawn: a colour table of its own and a window that is symmetric about zero."""

from __future__ import annotations

from typing import Any

import slicer

from .map_colours import fractions, table


def add_display(scene: Any, volume: Any, scale: float, threshold: float) -> tuple[Any, Any]:
    """Give a saliency volume of the scene a colour table and a display node; returns both.

    Args:
        scale: the magnitude that is drawn in the strongest colours.
    """
    colours = slicer.vtkMRMLColorTableNode()
    colours.SetTypeToUser()
    colours.SetName(f"{volume.GetName()} colours")
    colours.SetNumberOfColors(len(fractions()))
    paint(colours, threshold)
    colours = scene.AddNode(colours)
    display = slicer.vtkMRMLScalarVolumeDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(2 * scale, 0.0)
    display = scene.AddNode(display)
    display.SetAndObserveColorNodeID(colours.GetID())
    volume.SetAndObserveDisplayNodeID(display.GetID())
    return colours, display


def paint(colours: Any, threshold: float) -> None:
    """Set the entries of a colour table node for a threshold, as a fraction of the scale."""
    modified = colours.StartModify()
    rgba = table(threshold).tolist()
    for entry, value in enumerate(fractions()):
        colours.SetColor(entry, f"{100 * value:+.0f}%", *rgba[entry])
    colours.GetLookupTable().SetRange(0, len(fractions()) - 1)
    colours.EndModify(modified)


def scale_of(volume: Any) -> float:
    """The magnitude that is drawn in the strongest colours, in the map's units."""
    return float(volume.GetDisplayNode().GetWindow()) / 2
