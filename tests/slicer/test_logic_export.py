"""Volumes that can be sent, and those that cannot and why; picking a point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
from saliency_scenes import GRIDS, add_transform, add_volume, export, scan

from slicerxai.data.io import read_volume


@pytest.fixture
def logic(slicer_app: Any) -> Iterator[Any]:
    from XAISaliencyLib.logic import SaliencyLogic

    made = SaliencyLogic()
    yield made
    made.close()


@pytest.fixture
def volume(slicer_app: Any) -> Any:
    import slicer

    return add_volume(slicer.mrmlScene, scan(*GRIDS["RAS"]), GRIDS["RAS"][0], "DOE^JANE flair")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_voxels_and_type_are_kept(logic: Any, slicer_app: Any, tmp_path: Path, dtype: str) -> None:
    import slicer

    affine, shape = GRIDS["oblique, left-handed, anisotropic"]
    array = scan(affine, shape).astype(dtype)
    sent = read_volume(export(logic, add_volume(slicer.mrmlScene, array, affine), tmp_path, "FLAIR"))
    assert sent.array.dtype == dtype
    assert np.array_equal(sent.array, array)
    assert sent.affine == pytest.approx(affine, abs=1e-9)


def test_file_names_no_patient(logic: Any, volume: Any, tmp_path: Path) -> None:
    volume.SetAttribute("DICOM.instanceUIDs", "1.2.3.4.5")
    volume.SetDescription("DOE^JANE")
    path = export(logic, volume, tmp_path, "FLAIR")
    assert path == tmp_path / "FLAIR.nrrd"
    _, header = nrrd.read(str(path))
    assert not {"JANE", "1.2.3.4.5"} & set(str(header).replace("'", " ").split())
    assert b"JANE" not in path.read_bytes()[:4096]
    assert b"1.2.3" not in path.read_bytes()[:4096]


def test_export_changes_nothing(logic: Any, volume: Any, tmp_path: Path) -> None:
    import slicer
    from saliency_scenes import node_ids

    shear = np.eye(4)
    shear[0, 1] = 0.3
    volume.SetAndObserveTransformNodeID(add_transform(slicer.mrmlScene, shear).GetID())
    before, time = node_ids(slicer.mrmlScene), volume.GetImageData().GetMTime()
    export(logic, volume, tmp_path)
    assert node_ids(slicer.mrmlScene) == before
    assert volume.GetImageData().GetMTime() == time


def nothing(_volume: Any) -> Any:
    return None


def label_map(volume: Any) -> Any:
    import slicer

    node = slicer.mrmlScene.AddNode(slicer.vtkMRMLLabelMapVolumeNode())
    node.SetAndObserveImageData(volume.GetImageData())
    return node


def model(_volume: Any) -> Any:
    import slicer

    return slicer.mrmlScene.AddNode(slicer.vtkMRMLModelNode())


def empty(_volume: Any) -> Any:
    import slicer

    return slicer.mrmlScene.AddNode(slicer.vtkMRMLScalarVolumeNode())


def colour(volume: Any) -> Any:
    import slicer
    import vtk

    image = vtk.vtkImageData()
    image.SetDimensions(4, 4, 4)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node = slicer.mrmlScene.AddNode(slicer.vtkMRMLVectorVolumeNode())
    node.SetAndObserveImageData(image)
    return node


def one_slice(_volume: Any) -> Any:
    import slicer

    return add_volume(slicer.mrmlScene, np.ones((5, 5, 1), np.float32), np.eye(4))


def not_finite(volume: Any) -> Any:
    from XAIPanels.volumes import array_of

    array_of(volume)[3, 4, 5] = np.nan
    return volume


def flat_grid(volume: Any) -> Any:
    import slicer

    flat = np.eye(4)
    flat[2, 2] = 0
    volume.SetAndObserveTransformNodeID(add_transform(slicer.mrmlScene, flat).GetID())
    return volume


def bent(volume: Any) -> Any:
    import slicer
    import vtk

    transform = vtk.vtkThinPlateSplineTransform()
    points = [vtk.vtkPoints(), vtk.vtkPoints()]
    for point in np.random.default_rng(0).uniform(-50, 50, (6, 3)):
        points[0].InsertNextPoint(point)
        points[1].InsertNextPoint(point + np.sin(point))
    transform.SetSourceLandmarks(points[0])
    transform.SetTargetLandmarks(points[1])
    node = slicer.mrmlScene.AddNode(slicer.vtkMRMLTransformNode())
    node.SetAndObserveTransformToParent(transform)
    volume.SetAndObserveTransformNodeID(node.GetID())
    return volume


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nothing, "Choose a volume"),
        (model, "Choose a volume"),
        (label_map, "is a label map"),
        (empty, "has no voxels"),
        (colour, "has 3 values a voxel"),
        (one_slice, "is a single slice"),
        (not_finite, "not numbers"),
        (flat_grid, "has no volume"),
        (bent, "non-linear transform; harden it"),
    ],
)
def test_refused_in_words(make: Any, words: str, logic: Any, volume: Any, tmp_path: Path) -> None:
    from XAIPanels.errors import ExportError

    with pytest.raises(ExportError, match=words):
        export(logic, make(volume), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder_missing(logic: Any, volume: Any, tmp_path: Path) -> None:
    from XAIPanels.errors import ExportError

    with pytest.raises(ExportError, match="cannot be written"):
        export(logic, volume, tmp_path / "missing")


def test_pick(logic: Any, slicer_app: Any) -> None:
    import slicer

    found: list[tuple[float, float, float]] = []
    logic.on_point = found.append
    logic.start_pick()
    assert logic.picking
    selection = slicer.mrmlScene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    node = logic.parameters().point
    assert (selection.GetActivePlaceNodeID(), node.GetName()) == (node.GetID(), "Explained point")
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    node.AddControlPointWorld(1, 2, 3)
    assert found == [(1.0, 2.0, 3.0)]
    assert not logic.picking
    logic.start_pick()
    assert logic.parameters().point is node
    assert node.GetNumberOfControlPoints() == 0
    node.AddControlPointWorld(4, 5, 6)
    node.AddControlPointWorld(7, 8, 9)  # by somebody else: nobody asked for it
    assert found == [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)]


def test_pick_under_a_transform_gives_world_coordinates(logic: Any, slicer_app: Any) -> None:
    import slicer

    found: list[tuple[float, float, float]] = []
    logic.on_point = found.append
    logic.start_pick()
    moved = np.eye(4)
    moved[:3, 3] = 10, 20, 30
    node = logic.parameters().point
    node.SetAndObserveTransformNodeID(add_transform(slicer.mrmlScene, moved).GetID())
    node.AddControlPoint(1, 2, 3)
    assert found == [(11.0, 22.0, 33.0)]


def test_stop_pick(logic: Any, slicer_app: Any) -> None:
    import slicer

    found: list[Any] = []
    logic.on_point = found.append
    logic.stop_pick()
    logic.start_pick()
    logic.stop_pick()
    interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    logic.parameters().point.AddControlPointWorld(1, 2, 3)
    assert found == []
    logic.start_pick()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # the user pressed Escape
    assert not logic.picking


def test_stop_leaves_another_tool_s_place_mode(logic: Any, slicer_app: Any) -> None:
    import slicer

    logic.start_pick()
    other = slicer.mrmlScene.AddNode(slicer.vtkMRMLMarkupsFiducialNode())
    selection = slicer.mrmlScene.GetNodeByID("vtkMRMLSelectionNodeSingleton")
    interaction = slicer.mrmlScene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
    selection.SetReferenceActivePlaceNodeID(other.GetID())
    assert not logic.picking
    logic.stop_pick()
    assert interaction.GetCurrentInteractionMode() == interaction.Place


def test_point_deleted_by_hand(logic: Any, slicer_app: Any) -> None:
    import slicer

    logic.start_pick()
    slicer.mrmlScene.RemoveNode(logic.parameters().point)
    assert not logic.picking
    logic.stop_pick()
    logic.start_pick()
    assert logic.picking


def test_parameters_survive_rubbish(logic: Any, slicer_app: Any) -> None:
    from XAISaliencyLib.parameters import DEFAULT_OPACITY, DEFAULT_THRESHOLD

    parameters = logic.parameters()
    for text in ("{", "[1]", "null"):
        parameters.node.SetParameter("parameters", text)
        assert parameters.method_parameters == {}
    for text in ("x", "2", "nan", "-1", ""):
        parameters.node.SetParameter("threshold", text)
        parameters.node.SetParameter("opacity", text)
        assert (parameters.threshold, parameters.opacity) == (DEFAULT_THRESHOLD, DEFAULT_OPACITY)
    parameters.volume = None
    assert parameters.volume is None
    assert logic.parameter_node() is parameters.node


def test_jump_centres_all_slice_views(logic: Any, slicer_app: Any) -> None:
    point = (12.0, -5.0, 33.0)
    logic.jump_to(point)
    for name in ("Red", "Green", "Yellow"):
        node = slicer_app.layoutManager().sliceWidget(name).mrmlSliceNode()
        width, height, _ = node.GetDimensions()
        middle = node.GetXYToRAS().MultiplyPoint((width / 2, height / 2, 0, 1))[:3]
        assert middle == pytest.approx(point, abs=1.0)
