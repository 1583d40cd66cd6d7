"""Cases as nodes: real MRML, without a panel. Positions are those of the world, not of indices."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import slicer
import vtk
from XAICohortLib.logic import KEPT, CohortLogic
from XAICohortLib.parameters import Drawing
from XAICohortLib.prepared import Origin, PreparedCase, prepared
from XAICohortLib.sources import FolderSource
from XAILib.geometry import values_at
from XAILib.nrrd import Volume
from XAIPanels.volumes import affine_of, array_of

OBLIQUE = np.array([[0.0, -1.0, 0.1, 20], [1.1, 0.0, 0, -30], [0, 0.1, 2.0, 10], [0, 0, 0, 1]])


@pytest.fixture
def logic(slicer_app: Any) -> Any:
    made = CohortLogic()
    yield made
    made.close()


@pytest.fixture(scope="module")
def msseg_case(msseg: Path) -> PreparedCase:
    """The first case of the folder."""
    source = FolderSource(msseg)
    return source.read(source.cohort(Event()).cases[0], Event(), lambda *_: None)


def by_hand(case: str = "X", seed: int = 1) -> PreparedCase:
    """An oblique grid, rater 2 on another one, the consensus empty."""
    noise = np.random.default_rng(seed)
    image = noise.random((12, 11, 10)).astype(np.float32)
    mask = (noise.random(image.shape) < 0.1).astype(np.uint8)
    finer = OBLIQUE @ np.diag([0.5, 0.5, 0.5, 1.0])
    finer[:3, 3] -= OBLIQUE[:3, :3] @ [0.25, 0.25, 0.25]
    masks = {
        "consensus": Volume(np.zeros_like(mask), OBLIQUE),
        "2": Volume(mask.repeat(2, 0).repeat(2, 1).repeat(2, 2), finer),
        "1": Volume(mask, OBLIQUE),
    }
    images = {name: Volume(image, OBLIQUE) for name in ("T2", "FLAIR")}
    return prepared(Origin("folder", "mine", case), images, masks, {"centre": "07", "age": 31.0})


def read_bundle(scene: Any, path: Path) -> None:
    """As the application does, which has a cache."""
    cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(str(path.parent))
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)
    assert scene.ReadFromMRB(str(path), True)


def items(hierarchy: Any) -> int:
    """Folders, and data of cases."""
    identifiers = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), identifiers, True)
    names = [hierarchy.GetItemName(identifiers.GetId(index)) for index in range(identifiers.GetNumberOfIds())]
    return sum(name.startswith("01_01") for name in names)


def own_nodes(before: set[str]) -> list[str]:
    """Of the nodes that came since, those that belong to a case."""
    own = ("Volume", "Segment", "Color", "ScriptedModuleNode")
    came = nodes(slicer.mrmlScene) - before
    return [name for name in came if any(word in name for word in own) and not name.endswith("NodeXAICohort")]


def nodes(scene: Any) -> set[str]:
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def test_a_case_is_one_volume_each_and_one_segmentation(logic: Any, msseg_case: PreparedCase) -> None:
    node = logic.load_case(msseg_case)
    found = logic.case(node)
    assert list(found.images) == ["FLAIR", "T1", "T2", "PD", "GADO"]
    for modality, volume in found.images.items():
        given = msseg_case.images[modality].volume
        assert np.array_equal(array_of(volume), given.array)
        assert np.allclose(affine_of(volume), given.affine, atol=1e-5)
    assert list(found.segments) == ["1", "2", "3", "4", "5", "6", "7", "consensus"]
    names = [found.masks.GetSegmentation().GetSegment(name).GetName() for name in found.segments.values()]
    assert names == [*(f"Rater {n}" for n in range(1, 8)), "Consensus"]
    colours = {found.masks.GetSegmentation().GetSegment(name).GetColor() for name in found.segments.values()}
    assert len(colours) == 8
    display = found.masks.GetDisplayNode()
    assert display.GetSegmentOpacity2DOutline("rater consensus") > display.GetSegmentOpacity2DOutline("rater 1")
    for rater, mask in found.drawn().items():
        given = msseg_case.masks[rater]
        assert mask.array.sum() == given.array.sum()
        places = mask.affine @ np.vstack([np.argwhere(mask.array).T, np.ones(int(mask.array.sum()))])
        assert values_at(given.array, (np.linalg.inv(given.affine) @ places)[:3]).all()


def test_a_case_is_one_folder(logic: Any, msseg_case: PreparedCase) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    node = logic.load_case(msseg_case)
    logic.agreement_map(node)
    parts = [*logic.case(node).images.values(), logic.case(node).masks, logic.case(node).votes]
    folders = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(part)) for part in parts}
    assert [hierarchy.GetItemName(folder) for folder in folders] == ["01_01"]
    assert items(hierarchy) == 8
    logic.remove([node])
    assert items(hierarchy) == 0


def test_agreement_is_measured_in_the_world(logic: Any) -> None:
    node = logic.load_case(by_hand())
    found = logic.agreement_table(node)
    first, second, consensus = found.raters
    assert first.volume_ml == pytest.approx(second.volume_ml)
    assert first.lesions == second.lesions
    assert found.dice[0][1] == pytest.approx(1.0)
    assert (first.dice, consensus.volume_ml) == (0.0, 0.0)
    assert logic.case(node).agreement == found
    votes = logic.agreement_map(node)
    drawn = logic.case(node).drawn()["1"]
    places = drawn.affine @ np.vstack([np.argwhere(drawn.array).T, np.ones(int(drawn.array.sum()))])
    assert (values_at(array_of(votes), (np.linalg.inv(affine_of(votes)) @ places)[:3]) == 2).all()
    assert set(np.unique(array_of(votes))) == {0, 2}
    table = votes.GetDisplayNode().GetColorNode()
    assert [table.GetColorName(entry) for entry in range(3)] == ["", "1", "2"]


def test_masks_that_were_edited_or_moved_are_measured_as_they_are(logic: Any) -> None:
    node = logic.load_case(by_hand())
    found = logic.case(node)
    before = logic.agreement_table(node)
    assert not found.outdated(found.drawn())
    found.masks.GetSegmentation().RemoveSegment("rater 2")
    assert found.outdated(found.drawn())
    assert found.is_touched(found.drawn())
    assert [row.rater for row in logic.agreement_table(node).raters] == ["1", "consensus"]
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.diag([2.0, 1.0, 1.0, 1.0])
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    found.masks.SetAndObserveTransformNodeID(transform.GetID())
    assert logic.agreement_table(node).raters[0].volume_ml == pytest.approx(2 * before.raters[0].volume_ml)


def test_bit_by_bit_and_stopped_in_between_nothing_stays(logic: Any) -> None:
    before = nodes(slicer.mrmlScene)
    for count in range(1, 7):
        steps = logic.loading(by_hand())
        shares = [next(steps) for _ in range(count)]
        assert shares == sorted(shares)
        steps.close()
        assert own_nodes(before) == []
    slicer.mrmlScene.Clear(0)
    steps = logic.loading(by_hand())
    next(steps)
    slicer.mrmlScene.Clear(0)
    steps.close()
    assert logic.results() == []


def test_removed_and_brought_back(logic: Any) -> None:
    empty = nodes(slicer.mrmlScene)
    first, second = logic.load_case(by_hand("A")), logic.load_case(by_hand("B", seed=2))
    logic.agreement_map(second)
    edited = logic.case(first)
    edited.masks.GetSegmentation().RemoveSegment("rater 1")
    before = logic.agreement_table(second)
    logic.remove([first, second])
    assert own_nodes(empty) == []
    back = logic.undo()
    assert [logic.case(node).origin.case for node in back] == ["A", "B"]
    assert logic.agreement_table(back[1]) == before
    assert list(logic.case(back[0]).segments) == ["2", "consensus"]
    assert logic.case(back[0]).document["metadata"] == {"centre": "07", "age": 31.0}
    assert logic.undo() == []


def test_views_show_the_modalities_and_get_back_what_they_showed(logic: Any, msseg_case: PreparedCase) -> None:
    from saliency_scenes import add_volume

    manager = slicer.app.layoutManager()
    other = add_volume(slicer.mrmlScene, np.ones((4, 4, 4), np.float32), np.eye(4), "mine")
    slicer.util.setSliceViewerLayers(background=other, fit=True)
    before = manager.layout
    node = logic.load_case(msseg_case)
    images = logic.case(node).images
    views = [manager.sliceWidget(f"Cohort{number}") for number in range(1, 6)]
    assert [view.mrmlSliceNode().GetLayoutLabel() for view in views] == list(images)
    shown = [view.mrmlSliceCompositeNode().GetBackgroundVolumeID() for view in views]
    assert shown == [image.GetID() for image in images.values()]
    assert {view.mrmlSliceNode().GetOrientation() for view in views} == {"Axial"}
    assert {view.mrmlSliceNode().GetViewGroup() for view in views} == {72}
    assert all(view.mrmlSliceCompositeNode().GetLinkedControl() for view in views)
    heights = {round(view.mrmlSliceNode().GetSliceToRAS().GetElement(2, 3), 3) for view in views}
    assert heights == {round(msseg_case.place[2], 3)}  # type: ignore[index]
    votes = logic.agreement_map(node)
    logic.parameters().drawing = Drawing(side=False, modality="T2", agreement=True, hidden=("1", "consensus"))
    logic.draw()
    assert manager.layout == before
    red = manager.sliceWidget("Red").mrmlSliceCompositeNode()
    assert (red.GetBackgroundVolumeID(), red.GetLabelVolumeID()) == (images["T2"].GetID(), votes.GetID())
    at = manager.sliceWidget("Red").mrmlSliceNode().GetSliceToRAS().GetElement(2, 3)
    assert round(at, 3) in heights  # the slice stays where it was
    display = logic.case(node).masks.GetDisplayNode()
    assert [display.GetSegmentVisibility(f"rater {name}") for name in ("1", "2", "consensus")] == [False, True, False]
    logic.hide()
    assert (red.GetBackgroundVolumeID(), red.GetLabelVolumeID()) == (other.GetID(), None)


def test_only_the_newest_cases_stay_but_none_that_was_edited(logic: Any) -> None:
    first = logic.load_case(by_hand("edited"))
    logic.case(first).masks.GetSegmentation().RemoveSegment("rater 1")
    for number in range(KEPT + 1):
        logic.load_case(by_hand(str(number), seed=number))
        logic.make_room()
    assert [logic.case(node).origin.case for node in logic.results()] == ["edited", "1", "2", "3"]


def test_a_case_that_is_open_is_found(logic: Any) -> None:
    node = logic.load_case(by_hand("A"))
    assert logic.opened(Origin("folder", "mine", "A")) is node
    assert logic.opened(Origin("server", "mine", "A")) is None
    slicer.mrmlScene.RemoveNode(logic.case(node).masks)
    assert logic.opened(Origin("folder", "mine", "A")) is None
    logic.draw()  # what is not there is not shown
    assert logic.voters(node) == 0


def test_saved_as_a_bundle_and_loaded_again(logic: Any, msseg_case: PreparedCase, tmp_path: Path) -> None:
    node = logic.load_case(msseg_case)
    before = logic.agreement_table(node)
    voted = array_of(logic.agreement_map(node)).copy()
    logic.parameters().drawing = Drawing(side=False, modality="T1", agreement=True, hidden=("3",))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "case.mrb"))
    with zipfile.ZipFile(tmp_path / "case.mrb") as bundle:
        assert not [name for name in bundle.namelist() if str(tmp_path) in name]
    slicer.mrmlScene.Clear(0)
    assert logic.results() == []
    read_bundle(slicer.mrmlScene, tmp_path / "case.mrb")
    (loaded,) = logic.results()
    found = logic.case(loaded)
    assert logic.shown.node is loaded
    assert list(found.images) == list(msseg_case.images)
    assert (found.agreement, logic.agreement_table(loaded)) == (before, before)
    assert not found.outdated(found.drawn())
    assert np.array_equal(array_of(found.votes), voted)
    assert [found.votes.GetDisplayNode().GetColorNode().GetColorName(n) for n in (1, 7)] == ["1", "7"]
    logic.draw()
    assert not found.masks.GetDisplayNode().GetSegmentVisibility("rater 3")
    assert logic.parameters().drawing == Drawing(side=False, modality="T1", agreement=True, hidden=("3",))


def real_data() -> Path:
    folder = Path(os.environ.get("SLICERXAI_REAL_DATA", Path(__file__).parents[4] / "shared/data")) / "open_ms"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.mark.real_data
def test_a_real_patient(logic: Any) -> None:
    source = FolderSource(real_data())
    case = next(case for case in source.cohort(Event()).cases if case.raters)
    given = source.read(case, Event(), lambda *_: None)
    node = logic.load_case(given)
    (row,) = logic.agreement_table(node).raters
    mask = given.masks["consensus"]
    assert row.volume_ml == pytest.approx(mask.array.sum() * abs(np.linalg.det(mask.affine[:3, :3])) / 1000)
    assert row.lesions > 5
    assert logic.agreement_map(node) is None  # a consensus alone has no votes
