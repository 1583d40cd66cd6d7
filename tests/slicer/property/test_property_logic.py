"""Walks in the scene: which voxels the slider shows, where, how quickly, what is kept, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from saliency_scenes import GRIDS, LANDMARK, add_volume, as_result, centroid, half_voxel, node_ids, scan, segment
from slicer_double.helpers import render
from walks_by_hand import NEUTRAL, RANKED, VALUES, explanation, frame, predicted, prepared
from XAILib import nrrd
from XAILib.nrrd import Volume
from XAIPanels.errors import LoadError
from XAIPanels.volumes import affine_of, array_of
from XAIPropertyLib.logic import PropertyLogic
from XAIPropertyLib.parameters import SIDE, Drawing
from XAIPropertyLib.prepared import cut, prepare

GRID = GRIDS["oblique, left-handed, anisotropic"]
RAS = GRIDS["RAS"]
STEPS = range(len(VALUES))


@pytest.fixture
def logic(slicer_app: Any) -> Iterator[PropertyLogic]:
    made = PropertyLogic()
    yield made
    made.close()


@pytest.fixture
def volume(slicer_app: Any) -> Any:
    return add_volume(slicer.mrmlScene, scan(*RAS), RAS[0])


def shown_segments(outlines: Any) -> set[str]:
    """Ids of the segments that can be seen."""
    segmentation = outlines.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]
    return {one for one in ids if outlines.GetDisplayNode().GetSegmentVisibility(one)}


@pytest.mark.parametrize("name", ["RAS", "oblique, left-handed, anisotropic", "permuted"])
def test_every_step_lies_where_the_scan_is(logic: Any, name: str) -> None:
    affine, shape = GRIDS[name]
    node = logic.load(prepared(affine, shape), add_volume(logic.scene, scan(affine, shape), affine))
    found = logic.result(node)
    logic.show(node)
    for step in STEPS:
        logic.set_step(step)
        np.testing.assert_array_equal(array_of(found.image), frame(affine, shape, step))
        np.testing.assert_allclose(affine_of(found.image), affine, atol=1e-6)
        wanted = predicted(affine, shape, step)
        expected = {"expert"} | ({f"prediction_{step}"} if wanted.any() else set())
        assert shown_segments(found.outlines) == expected
        if wanted.any():
            array, place = segment(found.outlines, f"prediction_{step}")
            assert array.sum() == wanted.sum()
            assert np.abs(centroid(array, place) - centroid(wanted, affine)).max() < 1e-3
    assert np.linalg.norm(np.array(found.place) - LANDMARK) < 12


def test_moving_makes_nothing_anew(logic: Any, volume: Any) -> None:
    """The same nodes, and voxels that are shared with the sequence: nothing is copied while dragging."""
    node = logic.load(prepared(*RAS), volume)
    logic.show(node)
    found = logic.result(node)
    before, image, display = node_ids(logic.scene), found.image, found.image.GetDisplayNode()
    for step in STEPS:
        logic.set_step(step)
        assert found.image.GetImageData() is found.frames.GetNthDataNode(step).GetImageData()
    assert node_ids(logic.scene) == before
    assert (found.image, found.image.GetDisplayNode()) == (image, display)
    assert (display.GetWindow(), display.GetLevel()) == (
        volume.GetDisplayNode().GetWindow(),
        volume.GetDisplayNode().GetLevel(),
    )


def test_steps_may_be_as_near_to_each_other_as_they_like(logic: Any, volume: Any) -> None:
    made = prepared(*RAS)
    values = tuple(1e-5 * step for step in STEPS)
    node = logic.load(replace(made, walk=replace(made.walk, values=values)), volume)
    frames = logic.result(node).frames
    assert [float(frames.GetNthIndexValue(step)) for step in range(frames.GetNumberOfDataNodes())] == list(values)
    np.testing.assert_array_equal(array_of(frames.GetNthDataNode(3)), frame(*RAS, 3))


def test_the_views_follow_and_get_back_what_they_showed(logic: Any, volume: Any, slicer_app: Any) -> None:
    layout = slicer_app.layoutManager().layout
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(200.0, 100.0)
    node = logic.load(prepared(*RAS), volume)
    assert node.GetName() == "FLAIR - Contrast (tiny)"
    logic.show(node)
    logic.jump_to(logic.point)
    red = slicer_app.layoutManager().sliceWidget("Red")
    pixels = {}
    for step in (0, NEUTRAL, 4):
        logic.set_step(step)
        pixels[step] = render(red).astype(int)
    green = {step: ((p[..., 1] > p[..., 0] + 30) & (p[..., 1] > p[..., 2] + 30)).sum() for step, p in pixels.items()}
    assert green[0] == 0 < green[NEUTRAL] < green[4]
    assert np.abs(pixels[0] - pixels[4]).max() > 60
    logic.set_drawing(Drawing(unchanged=True))
    blue = render(red).astype(int)
    assert (blue[..., 2] > blue[..., 0] + 60).sum() > 20
    logic.set_drawing(Drawing(mode=SIDE))
    assert slicer_app.layoutManager().grid() == [["WhatIf1", "WhatIf2"]]
    layers = [
        slicer_app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode().GetForegroundVolumeID()
        for name in ("WhatIf1", "WhatIf2")
    ]
    assert layers == [None, logic.result(node).image.GetID()]
    logic.hide()
    assert slicer_app.layoutManager().layout == layout
    assert red.mrmlSliceCompositeNode().GetForegroundVolumeID() is None
    assert not logic.result(node).outlines.GetDisplayVisibility()


def test_a_ranking_has_no_images_and_knows_the_walks_of_its_image(logic: Any, volume: Any) -> None:
    before = node_ids(logic.scene)
    ranking = logic.load(prepared(*RAS, names=RANKED), volume)
    found = logic.result(ranking)
    assert (found.walked, found.image, found.frames) == (False, None, None)
    assert (found.output, found.property_name) == ("lesion_volume_ml", "lesion_size")
    assert len(node_ids(logic.scene) - before) <= 5  # the result, the expert's outline, the choices
    walk = logic.load(prepared(*RAS), volume)
    other = logic.load(prepared(*RAS, model="another"), volume)
    assert logic.walk_along(ranking, "contrast") is walk
    assert logic.walk_along(ranking, "noise") is None
    assert logic.ranking_of(walk) is ranking
    assert logic.ranking_of(other) is None
    found.property_name, found.output, found.step = "contrast", "lesion_probability", None
    assert found.step == NEUTRAL
    assert [round(flip.value, 2) for flip in found.curve.flips] == [0.86]


def test_undo_brings_back_what_was_removed(logic: Any, volume: Any) -> None:
    node = logic.load(prepared(*GRID), volume)
    logic.show(node)
    logic.set_step(3)
    logic.result(node).output = "lesion_probability"
    name = node.GetName()
    logic.remove([node])
    assert logic.results() == []
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 0
    (back,) = logic.undo()
    found = logic.result(back)
    assert (back.GetName(), found.step, found.output, found.source) == (name, 3, "lesion_probability", volume)
    logic.show(back)
    np.testing.assert_array_equal(array_of(found.image), frame(*GRID, 3))
    array, place = segment(found.outlines, "prediction_4")
    wanted = predicted(*GRID, 4)
    assert array.sum() == wanted.sum()
    assert np.abs(centroid(array, place) - centroid(wanted, GRID[0])).max() < half_voxel(GRID[0])
    assert logic.undo() == []


def test_saved_scene(logic: Any, volume: Any, tmp_path: Path) -> None:
    node = logic.load(prepared(*GRID), volume)
    logic.show(node)
    logic.set_step(1)
    logic.set_drawing(Drawing(mode=SIDE, unchanged=True))
    (tmp_path / "scene").mkdir()
    assert logic.scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    assert "DOE" not in path.read_text()
    logic.scene.Clear(0)
    assert logic.shown is None
    logic.scene.SetURL(str(path))
    assert logic.scene.Connect()
    found = logic.shown
    assert found is not None
    assert (found.step, found.walked) == (1, True)
    assert (found.frames.GetIndexName(), found.frames.GetNthIndexValue(0)) == ("Contrast", "0.6")
    assert logic.parameters().drawing == Drawing(mode=SIDE, unchanged=True)
    logic.show(found.node)
    for step in STEPS:
        logic.set_step(step)
        wanted = frame(*GRID, step).astype(float)
        array = array_of(found.image)
        assert np.sort(array.ravel()).tolist() == np.sort(wanted.ravel()).tolist()
        bright = np.clip(array - 130.0, 0, None), np.clip(wanted - 130.0, 0, None)
        places = centroid(bright[0], affine_of(found.image)), centroid(bright[1], GRID[0])
        assert np.abs(places[0] - places[1]).max() < 1e-3  # the same voxels, at the same place, maybe on turned axes
        assert (f"prediction_{step}" in shown_segments(found.outlines)) == bool(predicted(*GRID, step).any())


def test_parts_deleted_by_hand_and_scene_closed(logic: Any, volume: Any, slicer_app: Any) -> None:
    layout = slicer_app.layoutManager().layout
    logic.set_drawing(Drawing(mode=SIDE))
    node = logic.load(prepared(*RAS), volume)
    logic.show(node)
    slicer.mrmlScene.RemoveNode(logic.result(node).frames)
    slicer.mrmlScene.RemoveNode(logic.result(node).outlines)
    assert not logic.result(node).walked
    logic.show(node)
    logic.set_step(2)
    logic.remove([node])
    assert logic.undo() == []
    logic.remove([logic.load(prepared(*RAS), volume)])
    logic.scene.Clear(0)
    assert logic.removed == ()
    assert slicer_app.layoutManager().layout == layout


@pytest.mark.parametrize("kept", ['{"mode": "upside down", "unchanged": 7}', "no JSON", "[1]"])
def test_unusable_choices_of_a_scene(logic: Any, kept: str) -> None:
    logic.parameters().node.SetParameter("drawing", kept)
    assert logic.parameters().drawing == Drawing()


def test_a_server_image_is_brought_once(logic: Any) -> None:
    before = node_ids(logic.scene)
    first, second = logic.load(prepared(*GRID)), logic.load(prepared(*GRID, names=RANKED))
    source = logic.result(first).source
    assert logic.result(second).source is source
    np.testing.assert_allclose(array_of(source), scan(*GRID), rtol=1e-6)
    logic.remove([first, second])
    assert node_ids(logic.scene) - before <= {logic.parameters().node.GetID()}


def test_fault_half_way_leaves_nothing(logic: Any, volume: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from XAIPropertyLib import loading

    def fault(*_: Any) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(loading, "add_segmentation", fault)
    before = node_ids(logic.scene)
    logic.parameters()
    with pytest.raises(RuntimeError):
        logic.load(prepared(*RAS), volume)
    assert node_ids(logic.scene) - before <= {logic.parameters().node.GetID()}


def _with(**changed: Any) -> Any:
    found = explanation(*RAS)
    return as_result(replace(found, **changed))


def test_unusable_results_are_refused_in_words(tmp_path: Path) -> None:
    found = explanation(*RAS)
    with pytest.raises(LoadError, match=r"No property was measured\. Ω"):
        prepare(_with(tables={}))
    fewer = {name: one for name, one in found.overlays.items() if name != "step_2"}
    with pytest.raises(LoadError, match="4 images for 5 steps"):
        prepare(_with(overlays=fewer))
    good = as_result(found)
    for array, words in ((np.full(RAS[1], np.nan), "not numbers"), (np.zeros((2, 2, 2)), "grid")):
        nrrd.write(tmp_path / "x.nrrd", Volume(array.astype(np.float32), RAS[0]))
        with pytest.raises(LoadError, match=words):
            prepare(replace(good, parts={**good.parts, "step_2": (tmp_path / "x.nrrd").read_bytes()}))
    assert prepare(_with(overlays={})).walk is None


def test_a_cut_label_map_is_the_same_map() -> None:
    affine, shape = GRIDS["oblique"]
    whole = predicted(affine, shape, 3)
    part = cut(Volume(whole, affine))
    assert part.array.sum() == whole.sum()
    assert part.array.size < whole.size / 20
    np.testing.assert_allclose(centroid(part.array, part.affine), centroid(whole, affine), atol=1e-6)
    assert cut(Volume(0 * whole, affine)) is None
