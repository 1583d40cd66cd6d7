"""The voxels of one segment and their place in the world. MRML only."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy
from XAILib.nrrd import Volume

from .export import in_world
from .volumes import from_matrix


def segment_voxels(segmentation: Any, segment_id: str) -> Volume | None:
    """A copy of the binary label map, with its affine to world RAS mm; None when the segment has no voxels.

    Raises:
        ExportError: under a transform that is not linear.
    """
    if segmentation.GetSegmentation().GetSegment(segment_id) is None:
        return None
    image = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
    if 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        return None
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    affine = from_matrix(matrix)
    affine[:3, 3] += affine[:3, :3] @ image.GetExtent()[::2]
    labels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions(), order="F")
    return Volume(
        labels.copy(order="K"),
        in_world(affine, segmentation, _("The segmentation “{name}”").format(name=segmentation.GetName())),
    )
