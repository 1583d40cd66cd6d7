"""A hand that edits segments, where the test double has no segment editor."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from scipy.ndimage import binary_dilation


def drawn_label(segmentation: Any, image: Any) -> np.ndarray:
    """The first segment in the grid of an image, as Slicer shows it, 0 and 1."""
    identifier = segmentation.GetSegmentation().GetNthSegmentID(0)
    array: np.ndarray = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, image)
    return array


def grow(segmentation: Any, voxels: int) -> None:
    """Draw the first segment larger all around, in its own grid."""
    found = segmentation.GetSegmentation()
    identifier = found.GetNthSegmentID(0)
    labels = slicer.vtkOrientedImageData()
    labels.DeepCopy(segmentation.GetBinaryLabelmapInternalRepresentation(identifier))
    array = vtk.util.numpy_support.vtk_to_numpy(labels.GetPointData().GetScalars())
    extent = labels.GetExtent()
    shape = tuple(extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0))
    value = found.GetSegment(identifier).GetLabelValue()
    mine = binary_dilation(array.reshape(shape) == value, iterations=voxels)
    array[:] = mine.reshape(-1) * value
    labels.Modified()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(labels, segmentation, identifier, logic.MODE_REPLACE, labels.GetExtent())
