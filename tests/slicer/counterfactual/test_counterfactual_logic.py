"""Counterfactuals in the scene: where they lie, how they are drawn, what is kept, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from changes_by_hand import CORNER, changes, explanation, prepared, result
from saliency_scenes import (
    GRIDS,
    LANDMARK,
    add_transform,
    add_volume,
    blob,
    centroid,
    half_voxel,
    node_ids,
    rotation,
    scan,
)
from slicer_double.helpers import render
from XAICounterfactualLib.logic import CounterfactualLogic
from XAICounterfactualLib.parameters import DIFFERENCE, FADE, SIDE, Drawing
from XAICounterfactualLib.prepared import prepare
from XAICounterfactualLib.work import shares
from XAILib import nrrd
from XAILib.nrrd import Volume
from XAIPanels.errors import LoadError
from XAIPanels.outlines import Outline, add_segmentation
from XAIPanels.volumes import affine_of, array_of

GRID = GRIDS["oblique, left-handed, anisotropic"]
RAS = GRIDS["RAS"]


@pytest.fixture
def logic(slicer_app: Any) -> Iterator[CounterfactualLogic]:
    made = CounterfactualLogic()
    yield made
    made.close()


@pytest.fixture
def volume(slicer_app: Any) -> Any:
    return add_volume(slicer.mrmlScene, scan(*RAS), RAS[0])


def view(application: Any, name: str) -> Any:
    return application.layoutManager().sliceWidget(name)


@pytest.mark.parametrize("name", GRIDS)
def test_the_change_lies_where_the_lesion_is(logic: Any, name: str) -> None:
    affine, shape = GRIDS[name]
    found = logic.result(logic.load(prepared(affine, shape), add_volume(logic.scene, scan(affine, shape), affine)))
    for place, (change, where) in enumerate(zip(changes(affine, shape), (LANDMARK, CORNER), strict=True)):
        node = found.change(place)
        np.testing.assert_array_equal(array_of(node), change)
        assert np.abs(centroid(np.abs(array_of(node)), affine_of(node)) - where).max() < 2
        np.testing.assert_allclose(array_of(found.image(place)), scan(affine, shape) + change, rtol=1e-6)
        np.testing.assert_allclose(affine_of(found.image(place)), affine, atol=1e-6)
        assert np.linalg.norm(np.array(found.places[place]) - where) < 2 * np.linalg.norm(affine[:3, :3], axis=0).max()


def test_load_and_show(logic: Any, volume: Any) -> None:
    node = logic.load(prepared(*RAS), volume)
    found = logic.result(node)
    assert node.GetName() == "FLAIR - periventricular (regions)"
    assert (found.source, found.own_source, found.chosen) == (volume, False, 0)
    assert logic.is_map(found.image(0))
    assert logic.is_map(found.change(1))
    assert not logic.is_map(volume)
    assert "image_id" not in found.document
    logic.show(node)
    display = found.change(0).GetDisplayNode()
    assert display.GetLevel() == 0
    assert display.GetWindow() == pytest.approx(2 * logic.scale)
    assert found.change(1).GetDisplayNode().GetWindow() == display.GetWindow()
    colours = [0.0] * 4
    for entry, (more, less) in {0: (2, 0), 255: (0, 2)}.items():
        found.colours.GetColor(entry, colours)
        assert colours[more] > colours[less]
        assert colours[3] == 1
    found.colours.GetColor(128, colours)
    assert colours[3] == 0
    assert logic.place == found.places[0]


def test_side_by_side_with_the_same_window(logic: Any, volume: Any, slicer_app: Any) -> None:
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(123.0, 77.0)
    before = slicer_app.layoutManager().layout
    node = logic.load(prepared(*RAS), volume)
    logic.show(node)
    found = logic.result(node)
    assert slicer_app.layoutManager().grid() == [["Counterfactual1", "Counterfactual2", "Counterfactual3"]]
    shown = [None, found.image(0), found.change(0)]
    for number, (label, layer) in enumerate(zip(("original", "counterfactual", "difference"), shown, strict=True), 1):
        widget = view(slicer_app, f"Counterfactual{number}")
        composite = widget.mrmlSliceCompositeNode()
        assert widget.mrmlSliceNode().GetLayoutLabel() == label
        assert composite.GetBackgroundVolumeID() == volume.GetID()
        assert composite.GetForegroundVolumeID() == (layer.GetID() if layer is not None else None)
        assert composite.GetLinkedControl()
    display = found.image(0).GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (123.0, 77.0)
    logic.jump_to(logic.place)
    pixels = [render(view(slicer_app, f"Counterfactual{number}")).astype(int) for number in (1, 2, 3)]
    assert (pixels[0] - pixels[1]).max() > 60  # the lesion is gone
    blue = (pixels[2][..., 2] > pixels[2][..., 0] + 40).sum()
    assert blue > 50
    assert (pixels[0][..., 2] > pixels[0][..., 0] + 40).sum() < 0.5 * blue
    logic.choose(1)
    logic.jump_to(logic.place)
    red = render(view(slicer_app, "Counterfactual3")).astype(int)
    assert (red[..., 0] > red[..., 2] + 40).sum() > 50
    logic.hide()
    assert slicer_app.layoutManager().layout == before


def test_fade_and_difference_in_slicers_own_views(logic: Any, volume: Any, slicer_app: Any) -> None:
    node = logic.load(prepared(*RAS), volume)
    logic.show(node)
    found = logic.result(node)
    logic.jump_to(found.places[0])
    seen = {}
    for fade in (0.0, 0.5, 1.0):
        logic.set_drawing(Drawing(mode=FADE, fade=fade))
        composite = view(slicer_app, "Red").mrmlSliceCompositeNode()
        assert composite.GetForegroundVolumeID() == found.image(0).GetID()
        seen[fade] = render(view(slicer_app, "Red")).astype(int)
    assert (seen[0.0] - seen[1.0]).max() > 60
    half = (seen[0.0] + seen[1.0]) / 2
    assert np.abs(seen[0.5] - half).max() <= 3
    logic.set_drawing(Drawing(mode=DIFFERENCE, threshold=0.05))
    wide = render(view(slicer_app, "Red")).astype(int)
    logic.set_drawing(Drawing(mode=DIFFERENCE, threshold=0.9))
    narrow = render(view(slicer_app, "Red")).astype(int)
    blue = [(pixels[..., 2] > pixels[..., 0] + 40).sum() for pixels in (wide, narrow)]
    assert 0 <= blue[1] < blue[0] / 2
    assert logic.parameters().drawing.threshold == 0.9


def segmentation(affine: np.ndarray, shape: tuple[int, ...], place: np.ndarray | None = None) -> Any:
    """The lesion, or a ball about another place, drawn on a grid of its own."""
    from changes_by_hand import mark

    voxels = blob(affine, shape) > 0.2 if place is None else mark(affine, shape, place, 8.0) > 0
    outline = Outline("lesion", "Lesion", "#ffffff", Volume(voxels.astype(np.uint8), affine))
    return add_segmentation(slicer.mrmlScene, [outline], "Expert")


@pytest.mark.parametrize("name", GRIDS)
def test_share_in_a_segment_of_any_grid(logic: Any, volume: Any, name: str) -> None:
    node = logic.load(prepared(*RAS), volume)
    lesion, corner = segmentation(*GRIDS[name]), segmentation(*GRIDS[name], CORNER)
    change = logic.change_voxels(node)
    inside = shares({"x": change}, logic.segment_voxels(lesion, "lesion"))["x"]
    assert inside > 0.9
    assert shares({"x": change}, logic.segment_voxels(corner, "lesion"))["x"] < 0.05
    logic.result(node).chosen = 1
    change = logic.change_voxels(node)
    assert shares({"x": change}, logic.segment_voxels(lesion, "lesion"))["x"] < 0.2


def test_share_follows_transforms(logic: Any, volume: Any) -> None:
    node = logic.load(prepared(*RAS), volume)
    lesion = segmentation(*GRID)
    moved = np.eye(4)
    moved[:3, :3] = rotation(2, 30)
    moved[:3, 3] = (30, -20, 10)
    transform = add_transform(logic.scene, moved)
    lesion.SetAndObserveTransformNodeID(transform.GetID())
    assert shares({"x": logic.change_voxels(node)}, logic.segment_voxels(lesion, "lesion"))["x"] < 0.1
    logic.result(node).change(0).SetAndObserveTransformNodeID(transform.GetID())
    assert shares({"x": logic.change_voxels(node)}, logic.segment_voxels(lesion, "lesion"))["x"] > 0.9


def test_share_is_the_plain_sum(logic: Any, volume: Any) -> None:
    """Against a slow count over all voxels."""
    node = logic.load(prepared(*RAS), volume)
    affine, shape = GRIDS["anisotropic"]
    lesion = segmentation(affine, shape)
    change, labels = logic.change_voxels(node), logic.segment_voxels(lesion, "lesion")
    total = inside = 0.0
    for index in np.ndindex(*change.array.shape):
        weight = abs(float(change.array[index]))
        if weight:
            place = np.linalg.solve(labels.affine, change.affine @ (*index, 1.0))[:3]
            voxel = tuple(np.floor(place + 0.5).astype(int))
            there = all(0 <= v < n for v, n in zip(voxel, labels.array.shape, strict=True))
            total += weight
            inside += weight * bool(there and labels.array[voxel])
    assert shares({"x": change}, labels)["x"] == pytest.approx(inside / total)


def test_no_change_has_no_share_and_no_place(logic: Any, volume: Any) -> None:
    made = prepared(*RAS)
    same = replace(made.pairs[0], change=Volume(np.zeros_like(made.pairs[0].change.array), RAS[0]), place=None)
    node = logic.load(replace(made, pairs=(same,)), volume)
    logic.show(node)
    assert logic.place is None
    assert shares({"x": logic.change_voxels(node)}, Volume(np.ones((2, 2, 2), np.uint8), np.eye(4)))["x"] is None


def test_expert_mask_is_shown_with_its_result_alone(logic: Any, volume: Any) -> None:
    first, second = (logic.load(prepared(*RAS), volume) for _ in range(2))
    bare = logic.load(prepared(*RAS, masked=False), volume)
    assert logic.result(bare).outlines is None
    logic.show(first)
    assert logic.result(first).outlines.GetDisplayVisibility()
    assert not logic.result(second).outlines.GetDisplayVisibility()
    assert next(name for _, _, name in logic.segments()).endswith("Expert’s mask")


def test_a_server_image_is_brought_once_and_goes_with_the_last_result(logic: Any) -> None:
    before = node_ids(logic.scene)
    first = logic.load(prepared(*GRID))
    second = logic.load(prepared(*GRID, model="regions-aligned"))
    source = logic.result(first).source
    assert logic.result(second).source is source
    np.testing.assert_allclose(array_of(source), scan(*GRID), rtol=1e-6)
    np.testing.assert_allclose(affine_of(source), GRID[0])
    logic.remove([first])
    assert logic.result(second).source is source
    logic.remove([second])
    assert node_ids(logic.scene) - before <= {logic.parameters().node.GetID()}


def test_undo_brings_back_what_was_removed(logic: Any, volume: Any) -> None:
    first, second = (logic.load(prepared(*GRID, model=model), volume) for model in ("a", "b"))
    logic.show(second)
    logic.choose(1)
    names = [node.GetName() for node in (first, second)]
    document = logic.result(second).document
    logic.remove(logic.results())
    assert logic.results() == []
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    nodes = logic.undo()
    assert [node.GetName() for node in nodes] == names
    found = logic.result(nodes[1])
    assert found.document == document
    assert found.chosen == 1
    assert found.source is volume
    np.testing.assert_array_equal(array_of(found.change(1)), changes(*GRID)[1])
    assert np.abs(centroid(array_of(found.change(0)), affine_of(found.change(0))) - LANDMARK).max() < half_voxel(
        GRID[0]
    )
    assert logic.result(nodes[0]).outlines is not None
    assert logic.undo() == []


def test_saved_scene(logic: Any, volume: Any, tmp_path: Path) -> None:
    node = logic.load(prepared(*RAS), volume)
    logic.show(node)
    logic.choose(1)
    logic.set_drawing(Drawing(mode=SIDE, fade=0.3, threshold=0.2, opacity=0.6))
    logic.parameters().segment = (segmentation(*GRID), "lesion")
    (tmp_path / "scene").mkdir()
    assert logic.scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    text = path.read_text()
    assert "DOE" not in text
    logic.scene.Clear(0)
    assert logic.shown is None
    logic.scene.SetURL(str(path))
    assert logic.scene.Connect()
    found = logic.shown
    assert found is not None
    assert found.chosen == 1
    np.testing.assert_allclose(array_of(found.change(1)), changes(*RAS)[1], atol=1e-4)
    assert logic.parameters().drawing == Drawing(mode=SIDE, fade=0.3, threshold=0.2, opacity=0.6)
    kept, name = logic.parameters().segment
    assert shares({"x": logic.change_voxels(found.node)}, logic.segment_voxels(kept, name))["x"] < 0.2


@pytest.mark.parametrize("kept", ['{"mode": "upside down", "fade": 7, "opacity": "x"}', "no JSON", "[1]"])
def test_unusable_choices_of_a_scene(logic: Any, kept: str) -> None:
    logic.parameters().node.SetParameter("drawing", kept)
    assert logic.parameters().drawing == Drawing()


def test_parts_deleted_by_hand(logic: Any, volume: Any) -> None:
    node = logic.load(prepared(*RAS), volume)
    found = logic.result(node)
    for part in (found.image(0), found.change(0), found.outlines, found.colours):
        slicer.mrmlScene.RemoveNode(part)
    logic.show(node)
    assert logic.place is not None
    assert logic.change_voxels(node) is None
    assert found.image(1) is not None  # the second is still the second
    logic.remove([node])
    assert logic.undo() == []


def test_scene_closed(logic: Any, volume: Any, slicer_app: Any) -> None:
    before = slicer_app.layoutManager().layout
    node = logic.load(prepared(*RAS), volume)
    logic.show(node)
    logic.remove([logic.load(prepared(*RAS), volume)])
    logic.scene.Clear(0)
    assert logic.removed == ()
    assert logic.results() == []
    assert slicer_app.layoutManager().layout == before


def test_fault_half_way_leaves_nothing(logic: Any, volume: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from XAICounterfactualLib import loading

    def fault(*_: Any) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(loading, "display_with", fault)
    before = node_ids(logic.scene)
    logic.parameters()
    with pytest.raises(RuntimeError):
        logic.load(prepared(*RAS), volume)
    assert node_ids(logic.scene) - before <= {logic.parameters().node.GetID()}


def _without(name: str) -> Any:
    found = explanation(*RAS)
    return replace(found, overlays={k: v for k, v in found.overlays.items() if not k.startswith(name)})


def test_unusable_results_are_refused_in_words(tmp_path: Path) -> None:
    from saliency_scenes import as_result
    from XAILib.errors import ServerError

    with pytest.raises(LoadError, match=r"No counterfactual was found\. Ω turned"):
        prepare(as_result(_without("counterfactual")))
    with pytest.raises(ServerError, match="difference"):
        prepare(as_result(_without("difference")))
    good = result(*RAS)
    for array, words in ((np.full((2, 2, 2), np.nan), "not numbers"), (np.zeros((2, 2, 2)), "same grid")):
        nrrd.write(tmp_path / "x.nrrd", Volume(array.astype(np.float32), np.eye(4)))
        with pytest.raises(LoadError, match=words):
            prepare(replace(good, parts={**good.parts, "counterfactual": (tmp_path / "x.nrrd").read_bytes()}))


def test_the_original_is_what_was_changed_where_the_server_sends_none(logic: Any) -> None:
    from saliency_scenes import as_result

    made = prepare(as_result(_without("FLAIR")))
    np.testing.assert_allclose(made.image.array, scan(*RAS), atol=1e-4)
    assert result(*RAS).metrics["probability_after"] == 0.2
