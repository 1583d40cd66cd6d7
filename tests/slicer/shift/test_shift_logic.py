"""Results and opened cases as nodes, from a result that was made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from made_by_hand import document
from saliency_scenes import GRIDS, LANDMARK, blob, centroid, node_ids, scan, segment
from XAILib.nrrd import Volume
from XAIShiftLib.prepared import PreparedCase, place_of


@pytest.fixture
def logic(slicer_app: Any) -> Any:
    from XAIShiftLib.logic import ShiftLogic

    made = ShiftLogic()
    yield made
    made.close()


def prepared(grid: str = "RAS", case: str = "03_01", raters: tuple[str, ...] = ("3", "5")) -> PreparedCase:
    """A scan whose masks are balls around the landmark, the second rater's the larger one."""
    affine, shape = GRIDS[grid]
    distance = blob(affine, shape)
    masks = {
        rater: Volume((distance > limit).astype(np.uint8), affine)
        for rater, limit in zip(raters, (0.6, 0.3), strict=False)
    }
    place = place_of(list(masks.values()))
    return PreparedCase(case, "FLAIR", Volume(scan(affine, shape), affine), masks, place)


def prediction(grid: str = "RAS") -> Volume:
    affine, shape = GRIDS[grid]
    return Volume((blob(affine, shape) > 0.8).astype(np.uint8), affine)


def views() -> list[Any]:
    return list(slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"))


@pytest.mark.parametrize("grid", GRIDS)
def test_an_opened_case_lies_where_it_belongs(logic: Any, grid: str) -> None:
    node = logic.add(document())
    case = prepared(grid)
    segmentation = logic.open(node, case)
    logic.predict(segmentation, prediction(grid))
    masks = {"prediction": prediction(grid), "rater 3": case.masks["3"], "rater 5": case.masks["5"]}
    for name, mask in masks.items():
        array, where = segment(segmentation, name)
        assert array.sum() == mask.array.sum() > 0
        np.testing.assert_allclose(centroid(array, where), centroid(mask.array, mask.affine), atol=1e-3)
        assert np.linalg.norm(centroid(array, where) - LANDMARK) < 2.5
    image = segmentation.GetNodeReference("XAIShift.Image")
    assert np.array_equal(slicer.util.arrayFromVolume(image).T, case.image.array)
    assert [view.GetBackgroundVolumeID() for view in views()] == [image.GetID()] * 3
    assert case.place is not None
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        matrix = view.GetSliceToRAS()
        normal, origin = (np.array([matrix.GetElement(row, column) for row in range(3)]) for column in (2, 3))
        assert abs(normal @ (np.array(case.place) - origin)) < 1e-3


def test_the_place_is_where_most_is_drawn() -> None:
    array = np.zeros((8, 9, 10), np.uint8)
    array[1, 1, 2] = 1
    array[4:7, 5, 7] = 1
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    assert place_of([Volume(np.zeros_like(array), affine), Volume(array, affine)]) == (10.0, 15.0, 28.0)
    assert place_of([Volume(np.zeros_like(array), affine)]) is None
    assert place_of([]) is None


def test_outlines_say_whose_they_are(logic: Any) -> None:
    segmentation = logic.open(logic.add(document()), prepared())
    logic.predict(segmentation, prediction())
    logic.predict(segmentation, prediction())
    segments = segmentation.GetSegmentation()
    names = [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())]
    assert names == ["Rater 3 (source)", "Rater 5 (target)", "Prediction"]
    assert len({segments.GetNthSegment(n).GetColor() for n in range(3)}) == 3
    display = segmentation.GetDisplayNode()
    for n, filled in enumerate((False, False, True)):
        assert display.GetSegmentVisibility2DFill(segments.GetNthSegmentID(n)) == filled
        assert display.GetSegmentVisibility2DOutline(segments.GetNthSegmentID(n)) != filled


def test_one_rater_in_both_environments(logic: Any) -> None:
    same = {name: {"rater": "3", "where": {}} for name in ("source", "target")}
    segmentation = logic.open(logic.add(document(parameters=same)), prepared(raters=("3",)))
    segments = segmentation.GetSegmentation()
    assert [segments.GetNthSegment(n).GetName() for n in range(segments.GetNumberOfSegments())] == ["Rater 3"]


def test_one_case_is_seen_at_a_time(logic: Any) -> None:
    node = logic.add(document())
    first, second = logic.open(node, prepared()), logic.open(node, prepared(case="03_02"))
    assert (first.GetDisplayVisibility(), second.GetDisplayVisibility()) == (0, 1)
    logic.show(first)
    assert (first.GetDisplayVisibility(), second.GetDisplayVisibility()) == (1, 0)
    assert logic.opened(node, "03_02") is second
    assert logic.opened(node, "03_03") is None


def test_removing_a_result_takes_its_cases_along(logic: Any) -> None:
    logic.parameters()
    before = node_ids(slicer.mrmlScene)
    node, other = logic.add(document()), logic.add(document())
    logic.open(node, prepared())
    kept = logic.open(other, prepared())
    logic.remove(node)
    assert logic.results() == [other]
    assert logic.opened(other, "03_01") is kept
    logic.remove(other)
    logic.remove(other)
    left = {slicer.mrmlScene.GetNodeByID(name).GetClassName() for name in node_ids(slicer.mrmlScene) - before}
    assert left <= {"vtkMRMLColorTableNode", "vtkMRMLSubjectHierarchyNode", "vtkMRMLProceduralColorNode"}


def test_a_case_whose_image_was_deleted_is_opened_anew(logic: Any) -> None:
    node = logic.add(document())
    segmentation = logic.open(node, prepared())
    slicer.mrmlScene.RemoveNode(segmentation.GetNodeReference("XAIShift.Image"))
    assert logic.opened(node, "03_01") is None
    again = logic.open(node, prepared())
    assert logic.opened(node, "03_01") is again
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1
    slicer.mrmlScene.RemoveNode(again)
    logic.predict(again, prediction())


def test_a_fault_leaves_the_scene_as_it_was(logic: Any, monkeypatch: Any) -> None:
    from XAIShiftLib import opened

    node = logic.add(document())
    before = node_ids(slicer.mrmlScene)

    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(opened, "add_segmentation", fail)
    with pytest.raises(RuntimeError):
        logic.open(node, prepared())
    assert node_ids(slicer.mrmlScene) == before


def test_a_scene_keeps_result_and_cases(logic: Any, tmp_path: Any) -> None:
    node = logic.add(document())
    logic.predict(logic.open(node, prepared()), prediction())
    logic.parameters().shown = node
    scene = slicer.mrmlScene
    (tmp_path / "scene").mkdir()
    assert scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    scene.Clear(0)
    assert logic.results() == []
    scene.SetURL(str(path))
    assert scene.Connect()
    (found,) = logic.results()
    assert logic.parameters().shown is found
    assert logic.document(found)["tables"] == document()["tables"]
    segmentation = logic.opened(found, "03_01")
    assert segmentation is not None
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 3
    logic.show(segmentation)
    assert views()[0].GetBackgroundVolumeID() == segmentation.GetNodeReference("XAIShift.Image").GetID()


def test_digests_of_files_are_not_kept(logic: Any) -> None:
    node = logic.add(document())
    assert logic.document(node)["provenance"] == {"model": "tiny", "inputs": {}}
    assert "0000" not in node.GetParameter("document")


def test_a_damaged_result_node_is_passed_over(logic: Any) -> None:
    node = logic.add(document())
    node.SetParameter("document", "{")
    assert logic.results() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rater": 3}'])
def test_unreadable_choices_of_a_scene(logic: Any, text: str) -> None:
    from XAILib.cohorts import Environment

    parameters = logic.parameters()
    parameters.node.SetParameter("source", text)
    parameters.node.SetParameter("options", text)
    assert parameters.environment("source") == Environment()
    assert parameters.options in ({}, {"rater": "3"})


@pytest.mark.parametrize(
    ("parameters", "parts", "says"),
    [
        ({}, {}, "lacks 'masks'"),
        ({"images": {}, "masks": {}}, {}, "lacks 'FLAIR'"),
        ({"images": {"FLAIR": "image_1"}, "masks": {}}, {}, "lacks its part “image_1”"),
        ({"images": {"FLAIR": "image_1"}, "masks": []}, {"image_1": b"NRRD0004\n\n"}, "cannot be read as a volume"),
        ({"images": ["image_1"], "masks": {}}, {}, "lacks"),
    ],
)
def test_a_damaged_case_is_told(parameters: Any, parts: Any, says: str) -> None:
    from XAILib.errors import ServerError
    from XAILib.result import Result
    from XAIShiftLib.prepared import prepare_case

    with pytest.raises(ServerError, match=says):
        prepare_case(Result({"parameters": parameters}, parts), "03_01", "FLAIR")
