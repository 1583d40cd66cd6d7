"""Label maps as segments that are drawn as outlines, or as faint areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import slicer
from XAILib.nrrd import Volume

from .colours import rgb
from .volumes import image_data, make_volume, to_matrix

FILL = 0.45
"""Opacity of an area."""


@dataclass(frozen=True)
class Outline:
    """A segment to be.

    Attributes:
        id: of the segment, unique within its segmentation.
        name, colour: for people; the colour as "#rrggbb".
        labelmap: 0 and 1 (uint8).
        filled: drawn as a faint area instead, which never hides an outline.
    """

    id: str
    name: str
    colour: str
    labelmap: Volume
    filled: bool = False


def add_segmentation(scene: Any, outlines: Sequence[Outline], name: str, whole: Volume | None = None) -> Any:
    """A segmentation node with one segment for each outline.

    No closed surface until somebody asks for it, and no opaque area, which would hide the image.

    Args:
        whole: a volume on the grid of the segmentation, where the label maps are cut out of it; by default the first.
    """
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(name)
    node.SetSourceRepresentationToBinaryLabelmap()
    for outline in outlines:  # before the scene has the node: then every view looks at it once, not at each segment
        _add_segment(node, outline)
    node = scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    modified = display.StartModify()
    for outline in outlines:
        _draw(display, outline)
    display.SetSliceIntersectionThickness(2)
    display.EndModify(modified)
    geometry = whole or (outlines[0].labelmap if outlines else None)
    if geometry is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(make_volume(geometry.array, geometry.affine))
    return node


def add_outline(node: Any, outline: Outline) -> None:
    """One more segment of a segmentation of `add_segmentation`."""
    _add_segment(node, outline)
    display = node.GetDisplayNode()
    modified = display.StartModify()
    _draw(display, outline)
    display.EndModify(modified)


def _add_segment(node: Any, outline: Outline) -> None:
    segment = slicer.vtkSegment()
    segment.SetName(outline.name)
    segment.SetColor(*rgb(outline.colour))
    segment.AddRepresentation(binary_labelmap(), _oriented(outline.labelmap))
    node.GetSegmentation().AddSegment(segment, outline.id)


def _draw(display: Any, outline: Outline) -> None:
    display.SetSegmentVisibility2DFill(outline.id, outline.filled)
    display.SetSegmentVisibility2DOutline(outline.id, not outline.filled)
    display.SetSegmentOpacity2DFill(outline.id, FILL)


def binary_labelmap() -> str:
    """Name of the representation that holds voxels."""
    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())


def _oriented(volume: Volume) -> Any:
    """An oriented image that holds a copy of the voxels."""
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy(image_data(volume.array))
    image.SetGeometryFromImageToWorldMatrix(to_matrix(volume.affine))
    return image
