"""The views are real: volumes, segments and markups are drawn by MRML's displayable managers, the same each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture
def scan(slicer_app: Any) -> Any:
    """A scan of 3 mm with a bright cube of 30 mm around (15, 15, 15) RAS in a grey block; all slices go there."""
    import slicer

    voxels = np.zeros((40, 50, 60), np.float32)
    voxels[10:30, 10:40, 10:50] = 100
    voxels[20:30, 25:35, 30:40] = 200
    matrix = np.diag([3.0, 3.0, 3.0, 1.0])
    matrix[:3, 3] = [-90, -75, -60]
    volume = slicer.util.addVolumeFromArray(voxels, matrix, "scan")
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevelMinMax(0, 200)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        node.JumpSlice(15, 15, 15)
    return volume


def _add_segment(volume: Any) -> Any:
    import slicer

    labels = slicer.util.addVolumeFromArray(
        (slicer.util.arrayFromVolume(volume) > 150).astype(np.uint8), None, "labels", "vtkMRMLLabelMapVolumeNode"
    )
    labels.CopyOrientation(volume)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "lesions")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, segmentation)
    segmentation.GetSegmentation().GetNthSegment(0).SetColor(1, 0, 0)
    segmentation.CreateClosedSurfaceRepresentation()
    slicer.mrmlScene.RemoveNode(labels)
    return segmentation


def test_volume_is_drawn_where_it_is(slicer_app: Any, scan: Any) -> None:
    from slicer_double.helpers import render

    view = slicer_app.layoutManager().sliceWidget("Red").sliceView()
    pixels = render(view)
    x, y = view.display_position((15, 15, 15))
    assert pixels[pixels.shape[0] - 1 - y, x].tolist() == [255, 255, 255]
    x, y = view.display_position((-30, -30, 15))
    assert pixels[pixels.shape[0] - 1 - y, x].tolist() == [127, 127, 127]


def test_four_views_with_segment_and_point_are_the_same_to_the_byte(slicer_app: Any, scan: Any) -> None:
    import slicer
    from slicer_double.helpers import compare_exact, render_all

    _add_segment(scan)
    point = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "p")
    point.CreateDefaultDisplayNodes()
    point.AddControlPoint(15, 15, 15)
    slicer_app.layoutManager().resetThreeDViews()
    compare_exact(render_all(slicer_app), "double_four_up")


def test_foreground_with_opacity_changes_the_picture(slicer_app: Any, scan: Any) -> None:
    import slicer
    from slicer_double.helpers import render

    before = render(slicer_app.layoutManager().sliceWidget("Green"))
    overlay = slicer.util.addVolumeFromArray(slicer.util.arrayFromVolume(scan) * 0 + 1, None, "overlay")
    overlay.CopyOrientation(scan)
    slicer.util.setSliceViewerLayers(foreground=overlay, foregroundOpacity=0.5)
    after = render(slicer_app.layoutManager().sliceWidget("Green"))
    assert (before != after).any()
    slicer.util.setSliceViewerLayers(foregroundOpacity=0.0)
    assert (render(slicer_app.layoutManager().sliceWidget("Green")) == before).all()


@pytest.mark.parametrize("name", ["Red", "Green", "Yellow"])
def test_a_click_places_a_point_where_one_clicked(slicer_app: Any, scan: Any, name: str) -> None:
    import slicer
    from slicer_double.helpers import click_slice

    target = np.array([15.0, 15.0, 15.0])
    point = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "p")
    point.CreateDefaultDisplayNodes()
    slicer_app.applicationLogic().GetSelectionNode().SetReferenceActivePlaceNodeClassName("vtkMRMLMarkupsFiducialNode")
    slicer_app.applicationLogic().GetSelectionNode().SetActivePlaceNodeID(point.GetID())
    slicer_app.applicationLogic().GetInteractionNode().SetCurrentInteractionMode(slicer.vtkMRMLInteractionNode.Place)
    click_slice(slicer_app.layoutManager().sliceWidget(name), target)
    assert point.GetNumberOfDefinedControlPoints() == 1
    pixel = slicer_app.layoutManager().sliceWidget(name).mrmlSliceNode().GetFieldOfView()[0] / 300
    assert np.abs(np.array(point.GetNthControlPointPositionWorld(0)) - target).max() < pixel


def test_a_click_outside_the_view_is_refused(slicer_app: Any, scan: Any) -> None:
    from slicer_double.helpers import click_slice

    with pytest.raises(AssertionError, match="outside"):
        click_slice(slicer_app.layoutManager().sliceWidget("Red"), (1000, 0, 15))


def test_golden_that_is_missing_fails(slicer_app: Any) -> None:
    from slicer_double.helpers import compare_exact

    with pytest.raises(AssertionError, match="no golden picture"):
        compare_exact(np.zeros((2, 2, 3), np.uint8), "no_such_golden")


def test_one_different_pixel_fails_exact_and_passes_tolerant(slicer_app: Any, tmp_path: Any, monkeypatch: Any) -> None:
    from PIL import Image
    from slicer_double import helpers

    monkeypatch.setattr(helpers, "GOLDENS", tmp_path)
    pixels = np.zeros((20, 20, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "g.png")
    pixels[3, 4] = 200
    with pytest.raises(AssertionError, match="1 of 400"):
        helpers.compare_exact(pixels, "g")
    helpers.compare_tolerant(pixels, "g")
    pixels[:5] = 200
    with pytest.raises(AssertionError, match="golden picture"):
        helpers.compare_tolerant(pixels, "g")
