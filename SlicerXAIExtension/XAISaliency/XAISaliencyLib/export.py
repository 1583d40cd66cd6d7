"""From a volume of the scene to a file that a server can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from .errors import ExportError
from .volumes import affine_of, array_of, from_matrix, is_orthogonal, make_volume, to_matrix, write_nrrd

FLOATS = ("float32", "float64")


def export_volume(node: Any, path: Path) -> Path:
    """Write a scalar volume as NRRD in world RAS coordinates.

    A linear parent transform is composed with the grid; where that makes the grid oblique-angled (shear, or scaling
    across the axes), the volume is resampled linearly to a right-angled grid of about the same spacing.

    Raises:
        ExportError: not one scalar image, voxels that are not finite, or a transform that is not linear.
    """
    _check(node)
    world = world_affine(node)
    array = array_of(node)
    if array.dtype.name in FLOATS and not np.isfinite(array).all():
        msg = f"{_name(node)} has voxels that are not numbers (NaN or infinite), which no model can read."
        raise ExportError(msg)
    if is_orthogonal(world):
        placed = slicer.vtkMRMLScalarVolumeNode()
        placed.SetAndObserveImageData(node.GetImageData())
        placed.SetIJKToRASMatrix(to_matrix(world))
    else:
        placed = _straightened(array, world)
    return write_nrrd(placed, path)


def world_affine(node: Any) -> np.ndarray:
    """Voxel index to world RAS mm, (4, 4). Raises `ExportError` under a transform that is not linear."""
    affine = affine_of(node)
    transform = node.GetParentTransformNode()
    if transform is not None:
        if not transform.IsTransformToWorldLinear():
            msg = f"{_name(node)} is under a non-linear transform; harden it (Transforms module) or remove it first."
            raise ExportError(msg)
        to_world = vtk.vtkMatrix4x4()
        transform.GetMatrixTransformToWorld(to_world)
        affine = from_matrix(to_world) @ affine
    if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        msg = f"{_name(node)} has no volume: two of its axes are parallel or an axis has no length."
        raise ExportError(msg)
    return affine


def _check(node: Any) -> None:
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
        msg = "Choose a volume to explain."
        raise ExportError(msg)
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        msg = f"{_name(node)} is a label map; choose the image itself."
        raise ExportError(msg)
    image = node.GetImageData()
    if image is None or 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        msg = f"{_name(node)} has no voxels; load it again."
        raise ExportError(msg)
    if image.GetNumberOfScalarComponents() != 1:
        msg = f"{_name(node)} has {image.GetNumberOfScalarComponents()} values a voxel; choose a grey-level volume."
        raise ExportError(msg)
    if min(image.GetDimensions()) < 2:
        msg = f"{_name(node)} is a single slice; choose a 3D volume."
        raise ExportError(msg)


def _straightened(array: np.ndarray, affine: np.ndarray) -> Any:
    """The volume on a right-angled grid that covers it, with the first axis kept and the handedness too."""
    from XAILib.geometry import resample

    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    axes, upper = np.linalg.qr(affine[:3, :3])
    axes = axes * np.sign(np.diag(upper))  # QR leaves the signs open; these follow the volume's own axes
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in array.shape], indexing="ij")).reshape(3, -1)
    along = (axes.T @ (affine[:3, :3] @ corners)) / spacing[:, None]
    low, high = along.min(axis=1), along.max(axis=1)
    i, j, k = (int(n) for n in np.ceil(high - low - 1e-6))
    straight = np.eye(4)
    straight[:3, :3] = axes * spacing
    straight[:3, 3] = affine[:3, 3] + straight[:3, :3] @ (low + 0.5)
    return make_volume(np.asarray(resample(array.astype(np.float32), affine, (i, j, k), straight, 1)), straight)


def _name(node: Any) -> str:
    return f"The volume “{node.GetName()}”" if node.GetName() else "The volume"
