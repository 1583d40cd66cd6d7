"""Predicted lesions as a segmentation."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from .colours import EXPLAINED, LESIONS, rgb

LESIONS_ID = "lesions"
EXPLAINED_ID = "explained_lesion"
STYLES = {LESIONS_ID: ("Predicted lesions", LESIONS), EXPLAINED_ID: ("Explained lesion", EXPLAINED)}


def add_segmentation(scene: Any, labelmaps: dict[str, Any], name: str) -> Any:
    """A segmentation node with one segment for each label map.

    Outlines only, and no closed surface until somebody asks for it: a filled segment would hide the map.

    Args:
        labelmaps: volume nodes, not in a scene, by segment id ("lesions", "explained_lesion"); 1 and more is inside.
    """
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(name)
    node = scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.SetSourceRepresentationToBinaryLabelmap()
    for segment_id, labelmap in labelmaps.items():
        title, colour = STYLES[segment_id]
        segment = slicer.vtkSegment()
        segment.SetName(title)
        segment.SetColor(*rgb(colour))
        segment.AddRepresentation(binary_labelmap(), _oriented(labelmap))
        node.GetSegmentation().AddSegment(segment, segment_id)
    if labelmaps:
        node.SetReferenceImageGeometryParameterFromVolumeNode(next(iter(labelmaps.values())))
    display = node.GetDisplayNode()
    display.SetAllSegmentsVisibility2DFill(False)
    display.SetAllSegmentsVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(2)
    return node


def binary_labelmap() -> str:
    """Name of the representation that holds voxels."""
    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())


def _oriented(volume: Any) -> Any:
    """The voxels of at least 1 of a volume node, as an oriented image of 0 and 1."""
    threshold = vtk.vtkImageThreshold()
    threshold.SetInputData(volume.GetImageData())
    threshold.ThresholdByUpper(1)  # the filter rounds a bound of 0.5 down to 0 for integers
    threshold.SetInValue(1)
    threshold.SetOutValue(0)
    threshold.SetOutputScalarTypeToUnsignedChar()
    threshold.Update()
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(threshold.GetOutput())
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
