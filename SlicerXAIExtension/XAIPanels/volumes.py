"""Volume nodes as voxels and a place in the world: arrays (i, j, k), affines voxel index to RAS mm."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

RIGHT_ANGLE = 1e-4
"""Largest cosine between two axes of a grid that counts as orthogonal; affines of headers are rounded."""


def to_matrix(affine: np.ndarray) -> Any:
    """A vtkMatrix4x4 of an array (4, 4)."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(affine, dtype=np.float64).ravel().tolist())
    return matrix


def from_matrix(matrix: Any) -> np.ndarray:
    """An array (4, 4) of a vtkMatrix4x4."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def affine_of(node: Any) -> np.ndarray:
    """Voxel index to RAS mm of a volume node, (4, 4), without its parent transform."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return from_matrix(matrix)


def array_of(node: Any) -> np.ndarray:
    """Voxels (i, j, k) of a scalar volume node: a view that shares the node's memory."""
    image = node.GetImageData()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions(), order="F")


def image_data(array: np.ndarray) -> Any:
    """A vtkImageData with unit spacing that holds a copy of an array (i, j, k)."""
    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape)
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel(order="F"), deep=True))
    return image


def make_volume(array: np.ndarray, affine: np.ndarray) -> Any:
    """A scalar volume node, not in any scene."""
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetIJKToRASMatrix(to_matrix(affine))
    node.SetAndObserveImageData(image_data(array))
    return node


def is_orthogonal(affine: np.ndarray) -> bool:
    """Whether the axes of the grid are at right angles."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < RIGHT_ANGLE)
