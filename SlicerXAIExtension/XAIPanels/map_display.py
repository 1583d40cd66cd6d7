"""How a signed map is drawn: a colour table of its own and a window that is symmetric about zero."""

from __future__ import annotations

from typing import Any

import slicer

from .map_colours import AGAINST, FOR, fractions, table

Palette = tuple[tuple[str, ...], tuple[str, ...]]
"""Colours for positive and for negative values, each from weak to strong."""
RELEVANCE: Palette = (FOR, AGAINST)


def add_display(scene: Any, volume: Any, scale: float, threshold: float) -> tuple[Any, Any]:
    """Give a saliency volume of the scene a colour table and a display node; returns both.

    Args:
        scale: the magnitude that is drawn in the strongest colours.
    """
    colours = add_colours(scene, f"{volume.GetName()} colours", threshold)
    return colours, display_with(scene, volume, colours, scale)


def add_colours(scene: Any, name: str, threshold: float, palette: Palette = RELEVANCE) -> Any:
    """A colour table node of the scene, which several maps may share."""
    colours = slicer.vtkMRMLColorTableNode()
    colours.SetTypeToUser()
    colours.SetName(name)
    colours.SetNumberOfColors(len(fractions()))
    paint(colours, threshold, palette)
    return scene.AddNode(colours)


def display_with(scene: Any, volume: Any, colours: Any, scale: float) -> Any:
    """Give a volume of the scene a display node with these colours and a window from -scale to +scale."""
    display = slicer.vtkMRMLScalarVolumeDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(2 * scale, 0.0)
    display = scene.AddNode(display)
    display.SetAndObserveColorNodeID(colours.GetID())
    volume.SetAndObserveDisplayNodeID(display.GetID())
    return display


def paint(colours: Any, threshold: float, palette: Palette = RELEVANCE) -> None:
    """Set the entries of a colour table node for a threshold, as a fraction of the scale."""
    modified = colours.StartModify()
    rgba = table(threshold, *palette).tolist()
    for entry, value in enumerate(fractions()):
        colours.SetColor(entry, f"{100 * value:+.0f}%", *rgba[entry])
    colours.GetLookupTable().SetRange(0, len(fractions()) - 1)
    colours.EndModify(modified)


def scale_of(volume: Any) -> float:
    """The magnitude that is drawn in the strongest colours, in the map's units."""
    return float(volume.GetDisplayNode().GetWindow()) / 2
