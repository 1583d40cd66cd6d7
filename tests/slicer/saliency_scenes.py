"""What the tests of the MRML layer share: scans with a landmark on many grids, and results as a server sends them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

EXTENSION = Path(__file__).parents[2] / "SlicerXAIExtension"
for folder in (EXTENSION, EXTENSION / "XAISaliency"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

LANDMARK = np.array([11.3, -7.1, 18.6])
"""RAS mm; the centre of the one lesion."""
RADIUS = 5.0
UNITS = "logit/mm³"


def rotation(axis: int, degrees: float) -> np.ndarray:
    """(3, 3)."""
    angle = np.radians(degrees)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def grid(directions: np.ndarray, spacing: tuple[float, float, float], shape: tuple[int, int, int]) -> np.ndarray:
    """The affine whose grid has its centre near the landmark, but not on a voxel of it."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(directions) * spacing
    middle = affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    affine[:3, 3] = LANDMARK + np.array([3.3, -2.2, 4.1]) - middle
    return affine


OBLIQUE = rotation(0, 20) @ rotation(2, 15)
GRIDS: dict[str, tuple[np.ndarray, tuple[int, int, int]]] = {
    name: (grid(directions, spacing, shape), shape)
    for name, directions, spacing, shape in (
        ("RAS", np.eye(3), (2, 2, 2), (30, 34, 28)),
        ("LPS", np.diag([-1, -1, 1]), (2, 2, 2), (30, 34, 28)),
        ("left-handed", np.diag([1, 1, -1]), (2, 2, 2), (30, 34, 28)),
        ("permuted", np.eye(3)[[1, 2, 0]], (2, 2, 2), (30, 34, 28)),
        ("oblique", OBLIQUE, (2, 2, 2), (30, 34, 28)),
        ("anisotropic", np.eye(3), (1.1, 1.3, 4), (54, 50, 16)),
        ("oblique, left-handed, anisotropic", OBLIQUE @ np.diag([-1, 1, 1]), (1.2, 1.7, 3.5), (50, 40, 18)),
    )
}


def centres(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """RAS mm of every voxel, (3, I, J, K)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    return np.einsum("rc,cijk->rijk", affine[:3, :3], index) + affine[:3, 3, None, None, None]


def blob(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """1 at the landmark, falling to 0 at twice the radius."""
    distance = np.linalg.norm(centres(affine, shape) - LANDMARK[:, None, None, None], axis=0)
    return np.clip(1 - distance / (2 * RADIUS), 0, 1).astype(np.float32)


def scan(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Tissue of about 100, with a texture that is even about the landmark, and a lesion of 200 there."""
    texture = np.cos((centres(affine, shape) - LANDMARK[:, None, None, None]) / 4).sum(0)
    return (76 + 8 * texture + 100 * blob(affine, shape)).astype(np.float32)


def centroid(weights: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """RAS mm of the centre of mass."""
    return (centres(affine, weights.shape) * weights).sum((1, 2, 3)) / weights.sum()


def half_voxel(affine: np.ndarray) -> float:
    """Half the smallest edge of a voxel, mm."""
    return float(np.linalg.norm(affine[:3, :3], axis=0).min()) / 2


def explanation(image: np.ndarray, affine: np.ndarray, point: tuple[float, float, float] | None = None) -> Any:
    """What a server would answer for a scan: the lesion is where it is bright, and the map is positive there.

    The image is the only thing that is known of the lesion's place, as for a model.
    """
    from slicerxai.data.volume import Volume
    from slicerxai.explain.contract import Check, Explanation, Flag, Overlay, Provenance, Table

    bright = np.clip((image - 130) / 70, 0, 1).astype(np.float32)
    lesion = (image > 150).astype(np.uint8)
    place = centroid(bright, affine)
    saliency = bright * 1e-3
    ring = np.abs(np.linalg.norm(centres(affine, image.shape) - place[:, None, None, None], axis=0) - 14) < 2
    saliency = np.where(ring & (saliency == 0), -4e-4, saliency).astype(np.float32)
    columns = ["number", "volume ml", "R mm", "A mm", "S mm", "mean probability"]
    columns += ["explained", "relevance share inside", "relevance share within 10 mm"]
    row = [1, 0.5, *(round(float(value), 1) for value in place), 0.9, True, 0.8, None]
    overlays = {
        "FLAIR": Overlay(Volume(image, affine), "image", "intensity", "FLAIR, as given."),
        "lesions": Overlay(Volume(lesion, affine), "labelmap", "label", "Lesions that the model predicts."),
        "probability": Overlay(Volume(bright, affine), "probability", "probability", "1 − P(background)."),
        "saliency": Overlay(Volume(saliency, affine), "saliency", UNITS, "Relevance for whole prediction."),
    }
    if point is not None:
        overlays["explained_lesion"] = Overlay(Volume(lesion, affine), "labelmap", "label", "The explained lesion 1.")
    return Explanation(
        method="saliency",
        parameters={"method": "lrp", "point": point},
        image_id="DOE^JANE_1970",
        overlays=overlays,
        tables={"lesions": Table(title="Predicted lesions", columns=columns, rows=[row])},
        flags=[Flag(subject="whole prediction", message="A flag “in words”.")],
        metrics={"lesions": 1.0},
        checks=[Check(name="completeness", value=0.3, limit=0.1, verdict="caution", reason="Ω ≠ Σ: 30 % <missing>.")],
        provenance=Provenance(
            package_version="1", model="tiny", model_digest="00", inputs={"DOE^JANE_1970/FLAIR": "ab" * 32}
        ),
    )


def as_result(found: Any) -> Any:
    """The explanation as the client receives it, through its bytes on the wire."""
    from slicerxai.explain.multipart import encode

    return parse(*encode(found))


def prepared(found: Any) -> Any:
    """The explanation as the logic takes it, through its bytes on the wire."""
    from XAISaliencyLib.prepared import prepare

    return prepare(as_result(found))


def export(logic: Any, volume: Any, folder: Path, name: str = "image") -> Path:
    """The file that is sent to a server."""
    from XAIPanels.export import write

    return write(logic.snapshot(volume, name), folder)


def parse(body: bytes, content_type: str) -> Any:
    """The client's view of a multipart body."""
    from XAILib.result import Result

    return Result.parse(body, content_type)


def add_volume(scene: Any, array: np.ndarray, affine: np.ndarray, name: str = "FLAIR") -> Any:
    """A volume node, as if loaded from a file."""
    import slicer
    from XAIPanels.volumes import make_volume

    node = make_volume(array, affine)
    node.SetName(name)
    node = scene.AddNode(node)
    assert isinstance(node, slicer.vtkMRMLScalarVolumeNode)
    node.CreateDefaultDisplayNodes()
    return node


def add_transform(scene: Any, matrix: np.ndarray) -> Any:
    """A linear transform node."""
    import slicer
    from XAIPanels.volumes import to_matrix

    node = scene.AddNode(slicer.vtkMRMLLinearTransformNode())
    node.SetMatrixTransformToParent(to_matrix(matrix))
    return node


def node_ids(scene: Any) -> set[str]:
    """All nodes of the scene."""
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def segment(segmentation: Any, segment_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (i, j, k) of a segment and their affine in the world, with the node's transform."""
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy
    from XAIPanels.volumes import from_matrix

    image = slicer.vtkOrientedImageData()
    assert segmentation.GetBinaryLabelmapRepresentation(segment_id, image)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    affine = from_matrix(matrix)
    extent = image.GetExtent()
    affine[:3, 3] += affine[:3, :3] @ [extent[0], extent[2], extent[4]]
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions(), order="F")
    return array, affine
