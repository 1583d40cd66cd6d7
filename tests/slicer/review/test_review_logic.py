"""Opened images as nodes of a real scene, and what the views show of them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import slicer
from saliency_scenes import GRIDS, LANDMARK, blob, segment
from slicer_double.helpers import render
from XAILib.nrrd import Volume

AFFINE, SHAPE = GRIDS["oblique"]
LABELS = ("left", "right", "middle")


@pytest.fixture
def logic(slicer_app: Any) -> Iterator[Any]:
    from XAIReviewLib.logic import ReviewLogic

    made = ReviewLogic()
    yield made
    made.close()


def origin(image: str = "p01", digest: str = "d1", server: str = "http://here") -> Any:
    from XAIReviewLib.opened import Origin

    return Origin(server, image, digest)


GRAPH = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
"""A PNG picture of one pixel."""


def prepared(lesions: dict[str, Volume] | None = None) -> Any:
    """A result: the first map speaks for its class at the landmark, the second against, the third is empty."""
    from XAIReviewLib.prepared import Map, Prepared, place_of

    spot = blob(AFFINE, SHAPE)
    arrays = dict(zip(LABELS, (spot, -spot, np.zeros_like(spot)), strict=True))
    maps = {
        label: Map(Volume(array, AFFINE), 1.0, place_of(Volume(array, AFFINE)))
        for label, array in ({} if lesions else arrays).items()
    }
    return Prepared({"tables": {}, "image_id": "x"}, "7", maps, lesions or {}, GRAPH, None)


def opened(logic: Any, where: Any = None, lesions: dict[str, Volume] | None = None) -> Any:
    from XAIReviewLib.prepared import image_of

    made = prepared(lesions)
    found = logic.open(where or origin(), image_of(Volume(np.full(SHAPE, 100, np.int16), AFFINE)))
    logic.begin(found, made)
    for label, one in made.maps.items():
        logic.add_map(found, label, one)
    logic.finish(found)
    return found


def drawing(**changes: Any) -> Any:
    from XAIReviewLib.parameters import Drawing

    return Drawing(**{"first": "left", "second": "right", "opacity": 1.0, "threshold": 0.3, **changes})


def colours(application: Any) -> np.ndarray:
    """Colours that the red view shows, without greys; (N, 3)."""
    pixels = render(application.layoutManager().sliceWidget("Red")).reshape(-1, 3).astype(int)
    return pixels[np.ptp(pixels, axis=1) > 25]


def test_an_opened_image(logic: Any) -> None:
    found = opened(logic)
    assert logic.shown.node is found.node
    assert found.complete
    assert found.image_id == "p01"
    assert found.graph == GRAPH
    assert list(found.maps) == list(LABELS)
    assert np.allclose(logic.place(found, "left"), LANDMARK, atol=1.5)
    assert np.allclose(logic.place(found, "right"), LANDMARK, atol=1.5)
    assert logic.place(found, "middle") is None
    assert logic.place(found, "elsewhere") is None
    assert logic.opened(origin()).node is found.node
    assert logic.opened(origin(server="http://there")) is None
    assert logic.opened(origin("p02")) is None


def test_one_map_is_drawn_in_its_colours(logic: Any, slicer_app: Any) -> None:
    found = opened(logic)
    logic.pass_through(logic.place(found, "left"))
    logic.draw(found, drawing())
    seen = colours(slicer_app)
    assert len(seen) > 20
    assert (seen[:, 0] > seen[:, 2]).all()  # orange: for
    logic.draw(found, drawing(first="right"))
    seen = colours(slicer_app)
    assert (seen[:, 2] > seen[:, 0]).all()  # blue: against
    logic.draw(found, drawing(first="middle"))
    assert len(colours(slicer_app)) == 0
    logic.draw(found, drawing(threshold=1.0))
    assert len(colours(slicer_app)) < 0.1 * len(seen)


def test_two_maps_in_one_picture(logic: Any, slicer_app: Any) -> None:
    from XAIPanels.colours import rgb
    from XAIReviewLib import blend
    from XAIReviewLib.prepared import Map

    found = opened(logic)
    moved = np.roll(blob(AFFINE, SHAPE), 3, axis=0)
    logic.add_map(found, "moved", Map(Volume(moved, AFFINE), 1.0, None))
    wish = drawing(mode="blend", second="moved")
    (first, first_scale), (second, second_scale) = logic.pair(found, wish)
    assert (first_scale, second_scale) == (pytest.approx(1.0), pytest.approx(1.0))
    logic.parameters().drawing = wish
    logic.set_blend(found, ("left", "moved"), blend.blended(first, first_scale, second, second_scale))
    assert logic.pair(found, wish) == ()
    logic.pass_through(logic.place(found, "left"))
    logic.draw(found, wish)
    pixels = render(slicer_app.layoutManager().sliceWidget("Red")).reshape(-1, 3)
    both = np.abs(pixels - 255 * np.array(rgb(blend.BOTH))).max(-1) < 3
    seen = colours(slicer_app)
    assert both.sum() > 20
    assert (seen[:, 0] > seen[:, 2] + 40).sum() > 20
    assert (seen[:, 2] > seen[:, 0] + 40).sum() > 20
    logic.set_blend(found, ("left", "right"), Volume(np.zeros(SHAPE, np.uint8), AFFINE))
    assert found.blended_pair == ("left", "right")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1 + 4 + 1


def test_side_by_side_and_back(logic: Any, slicer_app: Any) -> None:
    found = opened(logic)
    manager = slicer_app.layoutManager()
    before = manager.layout
    logic.pass_through(tuple(LANDMARK))
    logic.draw(found, drawing(mode="side"))
    for name in ("Review1", "Review4", "Red"):  # the place stays
        assert manager.sliceWidget(name).mrmlSliceNode().GetSliceToRAS().GetElement(2, 3) == pytest.approx(LANDMARK[2])
    assert manager.grid() == [["Review1", "Review2"], ["Review3", "Review4"]]
    for number, label in enumerate(LABELS, 1):
        widget = manager.sliceWidget(f"Review{number}")
        assert widget.mrmlSliceCompositeNode().GetForegroundVolumeID() == found.maps[label].GetID()
        assert widget.mrmlSliceCompositeNode().GetBackgroundVolumeID() == found.image.GetID()
        assert widget.mrmlSliceNode().GetLayoutLabel() == label
        assert widget.mrmlSliceNode().GetOrientation() == "Axial"
        assert widget.mrmlSliceNode().GetViewGroup() == 73
    manager.setLayout(3)  # somebody chooses another layout: it stays
    logic.draw(found, drawing())
    assert manager.layout == 3
    manager.setLayout(before)
    logic.draw(found, drawing(mode="side"))
    logic.draw(found, drawing())
    assert manager.layout == before
    logic.draw(found, drawing(mode="side"))
    slicer.mrmlScene.Clear(0)
    assert manager.layout == before


@pytest.mark.parametrize(("count", "views"), [(1, 1), (2, 2), (3, 4), (5, 6), (14, 6)])
def test_as_many_views_as_there_are_classes(logic: Any, slicer_app: Any, count: int, views: int) -> None:
    from XAIReviewLib.prepared import Map

    found = opened(logic)
    for label in LABELS:
        slicer.mrmlScene.RemoveNode(found.maps[label])
    names = [f"c{number:02d}" for number in range(count)]
    for name in names:
        logic.add_map(found, name, Map(Volume(blob(AFFINE, SHAPE), AFFINE), 1.0, None))
    logic.draw(found, drawing(mode="side", first=names[-1]))
    grid = [name for row in slicer_app.layoutManager().grid() for name in row]
    assert len(grid) == views
    labels = [slicer_app.layoutManager().sliceWidget(name).mrmlSliceNode().GetLayoutLabel() for name in grid]
    wanted = names if count <= views else [names[-1], *names][:views]
    assert labels == [*wanted, *["image"] * (views - count)]


def test_lesions_are_outlined_by_suspicion(logic: Any) -> None:
    parts = {name: Volume(np.zeros(SHAPE, np.uint8), AFFINE) for name in ("lesions", "flagged_lesions")}
    parts["lesions"].array[5:8, 5:8, 5:8] = 1
    parts["flagged_lesions"].array[12:14, 12:14, 12:14] = 1
    found = opened(logic, lesions=parts)
    other, _ = segment(found.lesions, "lesions")
    flagged, _ = segment(found.lesions, "flagged_lesions")
    assert (other.sum(), flagged.sum()) == (27, 8)
    assert found.maps == {}
    logic.draw(found, drawing(mode="side"))  # no maps, no views
    assert slicer.app.layoutManager().grid() == []
    second = opened(logic, origin("p02"), lesions=parts)
    assert not found.lesions.GetDisplayVisibility()
    assert second.lesions.GetDisplayVisibility()


def test_only_the_newest_images_stay(logic: Any) -> None:
    from XAIReviewLib.logic import KEPT

    for number in range(KEPT + 2):
        opened(logic, origin(f"p{number}"))
    images = [found.image_id for found in logic_images()]
    assert images == [f"p{number}" for number in range(2, KEPT + 2)]
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    assert count == KEPT * (1 + len(LABELS))
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorTableNode") < 100


def logic_images() -> Any:
    from XAIReviewLib.opened import opened_nodes

    return opened_nodes(slicer.mrmlScene)


def test_an_image_is_used_again_for_another_model(logic: Any) -> None:
    found = opened(logic)
    logic.reuse(found, "d1")
    assert found.complete
    logic.reuse(found, "d2")
    assert not found.complete
    assert found.maps == {}
    assert found.image is not None
    assert found.origin.digest == "d2"
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_parts_that_were_deleted_by_hand(logic: Any) -> None:
    found = opened(logic)
    slicer.mrmlScene.RemoveNode(found.maps["left"])
    logic.draw(found, drawing())
    logic.draw(found, drawing(mode="blend"))
    assert logic.pair(found, drawing(mode="blend")) == ()
    changes = []
    logic.on_change = lambda: changes.append(1)
    slicer.mrmlScene.RemoveNode(found.image)
    assert changes
    assert logic.shown is None
    assert logic.opened(origin()) is None


def test_choices_are_kept_with_the_scene(logic: Any) -> None:
    from XAIReviewLib.order import Filters
    from XAIReviewLib.parameters import Draft, Drawing

    parameters = logic.parameters()
    assert parameters.drawing == Drawing()
    assert parameters.moves_on
    parameters.filters, parameters.drawing, parameters.moves_on = Filters("a", True, True), drawing(), False
    parameters.set_draft("p01", Draft("words", {"left": True}))
    parameters.set_draft("p02", Draft("other"))
    parameters.set_draft("p02", Draft())
    again = logic.parameters()
    assert (again.filters, again.drawing, again.moves_on) == (Filters("a", True, True), drawing(), False)
    assert again.draft("p01") == Draft("words", {"left": True})
    assert again.draft("p02") == Draft()
    for name in ("filters", "drawing", "drafts"):
        again.node.SetParameter(name, '{"mode": 5, "p01": [], "threshold": "x"}')
    assert again.drawing == Drawing()
    assert again.draft("p01") == Draft()
