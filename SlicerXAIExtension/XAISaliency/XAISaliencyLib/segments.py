"""Predicted lesions as a segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer
from XAILib.nrrd import Volume
from XAIPanels.volumes import image_data, make_volume, to_matrix

from .colours import EXPLAINED, LESIONS, rgb
from .prepared import EXPLAINED_ID, LESIONS_ID

STYLES = {LESIONS_ID: ("Predicted lesions", LESIONS), EXPLAINED_ID: ("Explained lesion", EXPLAINED)}


def add_segmentation(scene: Any, labelmaps: Mapping[str, Volume], name: str) -> Any:
    """A segmentation node with one segment for each label map.

    Outlines only, and no closed surface until somebody asks for it: a filled segment would hide the map.

    Args:
        labelmaps: 0 and 1 (uint8) by segment id, `LESIONS_ID` or `EXPLAINED_ID`.
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
        first = next(iter(labelmaps.values()))
        node.SetReferenceImageGeometryParameterFromVolumeNode(make_volume(first.array, first.affine))
    display = node.GetDisplayNode()
    display.SetAllSegmentsVisibility2DFill(False)
    display.SetAllSegmentsVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(2)
    return node


def binary_labelmap() -> str:
    """Name of the representation that holds voxels."""
    return str(slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName())


def _oriented(volume: Volume) -> Any:
    """An oriented image that holds a copy of the voxels."""
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy(image_data(volume.array))
    image.SetGeometryFromImageToWorldMatrix(to_matrix(volume.affine))
    return image
