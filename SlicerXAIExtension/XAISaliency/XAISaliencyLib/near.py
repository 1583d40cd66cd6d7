"""Whether a picked point belongs to a predicted lesion. MRML only."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy
from XAILib.geometry import lesion_at
from XAIPanels.volumes import from_matrix

from .prepared import LESIONS_ID

REACH_MM = 10.0
"""The server's own limit: it explains the nearest lesion within this distance."""


def is_near_lesion(segmentation: Any, point: tuple[float, float, float]) -> bool:
    """Whether a voxel of a predicted lesion lies within reach of a point (R, A, S in mm).

    True as well when the segmentation was deleted: then only the server knows.
    """
    if segmentation is None or segmentation.GetSegmentation().GetSegment(LESIONS_ID) is None:
        return True
    image = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(LESIONS_ID, image)
    if 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        return False
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    affine = from_matrix(matrix)
    first = image.GetExtent()[::2]
    affine[:3, 3] += affine[:3, :3] @ first
    labels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions(), order="F")
    return lesion_at(labels, affine, point, REACH_MM) is not None
