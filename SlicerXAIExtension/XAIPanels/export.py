"""From a volume of the scene to a file that a server can read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from slicer.i18n import tr as _
from XAILib import nrrd
from XAILib.geometry import resample
from XAILib.nrrd import Volume

from .errors import ExportError
from .volumes import affine_of, array_of, from_matrix, is_orthogonal

FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Snapshot:
    """A copy of what is sent of a volume node; the node may change or go meanwhile.

    Attributes:
        name: what a server shall call it, such as the modality; never the node's name, which may be a patient's.
        title: what its user calls it, for messages.
        volume: voxels, and their place in the world (RAS mm) with the parent transform.
    """

    name: str
    title: str
    volume: Volume


def snapshot(node: Any, name: str) -> Snapshot:
    """Copy what is sent of a scalar volume node. In the main thread.

    Raises:
        ExportError: not one scalar image, or a transform that is not linear.
    """
    _check(node)
    return Snapshot(name, _name(node), Volume(array_of(node).copy(order="K"), world_affine(node)))


def write(image: Snapshot, folder: Path) -> Path:
    """Write `NAME.nrrd` in world RAS coordinates. In any thread.

    Where a transform made the grid oblique-angled (shear, or scaling across the axes), the volume is resampled linearly
    to a right-angled grid of about the same spacing.

    Raises:
        ExportError: voxels that are not finite, or a folder that cannot be written to.
    """
    volume = image.volume
    if volume.array.dtype.name in FLOATS and not np.isfinite(volume.array).all():
        msg = _("{title} has voxels that are not numbers (NaN or infinite), which no model can read.").format(
            title=image.title
        )
        raise ExportError(msg)
    if not is_orthogonal(volume.affine):
        volume = _straightened(volume)
    path = folder / f"{image.name}.nrrd"
    try:
        nrrd.write(path, volume)
    except OSError as error:
        msg = _("The image cannot be written to {path}; is the disk full? ({reason})").format(
            path=path, reason=error.strerror
        )
        raise ExportError(msg) from error
    return path


def world_affine(node: Any) -> np.ndarray:
    """Voxel index to world RAS mm, (4, 4). Raises `ExportError` under a transform that is not linear."""
    affine = in_world(affine_of(node), node, _name(node))
    if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        msg = _("{node} has no volume: two of its axes are parallel or an axis has no length.").format(node=_name(node))
        raise ExportError(msg)
    return affine


def in_world(affine: np.ndarray, node: Any, name: str) -> np.ndarray:
    """An affine of a node with its parent transform. Raises `ExportError` under a transform that is not linear."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return affine
    if not transform.IsTransformToWorldLinear():
        msg = _("{name} is under a non-linear transform; harden it (Transforms module) or remove it first.").format(
            name=name
        )
        raise ExportError(msg)
    to_world = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(to_world)
    return from_matrix(to_world) @ affine


def _check(node: Any) -> None:
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
        msg = _("Choose a volume to explain.")
        raise ExportError(msg)
    if node.IsA("vtkMRMLLabelMapVolumeNode"):
        msg = _("{node} is a label map; choose the image itself.").format(node=_name(node))
        raise ExportError(msg)
    image = node.GetImageData()
    if image is None or 0 in image.GetDimensions() or image.GetPointData().GetScalars() is None:
        msg = _("{node} has no voxels; load it again.").format(node=_name(node))
        raise ExportError(msg)
    if image.GetNumberOfScalarComponents() != 1:
        msg = _("{node} has {numberofscalarcomponents} values a voxel; choose a grey-level volume.").format(
            node=_name(node), numberofscalarcomponents=image.GetNumberOfScalarComponents()
        )
        raise ExportError(msg)
    if min(image.GetDimensions()) < 2:
        msg = _("{node} is a single slice; choose a 3D volume.").format(node=_name(node))
        raise ExportError(msg)


def _straightened(volume: Volume) -> Volume:
    """The volume on a right-angled grid that covers it, with the first axis kept and the handedness too."""
    array, affine = volume.array, volume.affine
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
    return Volume(resample(array.astype(np.float32), affine, (i, j, k), straight, 1), straight)


def _name(node: Any) -> str:
    return _("The volume “{name}”").format(name=node.GetName()) if node.GetName() else _("The volume")
