"""Results of any method: tables as texts, label maps as segments, and nodes that come and go all together."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pytest
from XAILib.methods import asked_of, shown, tables_of
from XAILib.nrrd import Volume

AFFINE = np.array([[-2.0, 0, 0, 30], [0, 1.5, 0, -20], [0, 0, 3.0, 5], [0, 0, 0, 1]])
DOCUMENT = {
    "method": "toy_case",
    "image_id": "case",
    "parameters": {"point": [1.2, -3.0, 4.6]},
    "metrics": {"inside_ml": 0.123456, "nothing": float("nan")},
    "tables": {
        "places": {
            "title": "Places",
            "columns": ["name", "R mm", "A mm", "S mm", "yes"],
            "rows": [['a, "b"', 1.0, -2.0, 3, True], ["none", None, 0.0, 0.0, False]],
        }
    },
    "overlays": {name: {"kind": "saliency", "units": "mm", "description": "", "sha256": ""} for name in ("one", "two")},
    "checks": [],
    "flags": [],
    "verdict": "caution",
}


def test_metrics_and_tables_become_texts() -> None:
    metrics, places = tables_of(DOCUMENT)
    assert metrics.rows == (("Inside ml", "0.1235"), ("Nothing", "–"))
    assert places.rows == (('a, "b"', "1", "−2", "3", "yes"), ("none", "–", "0", "0", "no"))
    assert places.places == ((1.0, -2.0, 3.0), None)
    assert list(csv.reader(io.StringIO(places.csv(), newline=""))) == [[*places.columns], *map(list, places.rows)]
    assert asked_of(DOCUMENT) == "Toy case at 1, -3, 5 mm"
    assert tables_of({"metrics": {}, "tables": {}}) == ()
    assert [shown(value) for value in (None, True, 3, -1.25, "x")] == ["–", "yes", "3", "−1.25", "x"]


@pytest.mark.usefixtures("slicer_app")
def test_each_label_is_a_segment_where_it_was() -> None:
    from XAIMethodsLib.prepared import MOST_LABELS, parts_of

    rng = np.random.default_rng(3)
    labels = np.zeros((9, 8, 7), np.int16)
    labels[2:5, 3:6, 1:4] = rng.integers(0, 4, (3, 3, 3))
    parts = parts_of("regions", Volume(labels, AFFINE))
    assert [part.id for part in parts] == ["regions_1", "regions_2", "regions_3"]
    for value, part in enumerate(parts, start=1):
        found = {tuple(np.round(place, 6)) for place in world(part.labelmap.array, part.labelmap.affine)}
        assert found == {tuple(np.round(place, 6)) for place in world(labels == value, AFFINE)}
    many = np.arange(labels.size).reshape(labels.shape) % (MOST_LABELS + 2)
    assert [part.name for part in parts_of("many", Volume(many, AFFINE))] == ["Many"]
    assert parts_of("none", Volume(np.zeros_like(labels), AFFINE)) == []


def world(inside: Any, affine: Any) -> Any:
    return np.argwhere(inside) @ affine[:3, :3].T + affine[:3, 3]


@pytest.fixture
def logic(slicer_app: Any) -> Any:
    from XAIMethodsLib.logic import MethodsLogic

    made = MethodsLogic()
    yield made
    made.close()


def prepared(document: Any = DOCUMENT) -> Any:
    from XAIMethodsLib.prepared import Layer, Prepared, parts_of
    from XAIPanels.volumes import image_data

    rng = np.random.default_rng(5)
    voxels = [rng.normal(size=(9, 8, 7)).astype(np.float32) for _ in range(3)]
    image = Layer("FLAIR", "image", image_data(voxels[0]), AFFINE, None, (-1.0, 2.0))
    layers = tuple(
        Layer(name, "saliency", image_data(array), AFFINE, 2.0)
        for name, array in zip(("one", "two"), voxels[1:], strict=True)
    )
    labels = Volume((voxels[0] > 0).astype(np.uint8), AFFINE)
    return Prepared(document, "job", image, layers, tuple(parts_of("lesions", labels)), ((9, 8, 7), AFFINE))


def test_removing_and_undoing_bring_back_the_same(logic: Any) -> None:
    from XAIPanels.segment_voxels import segment_voxels
    from XAIPanels.volumes import affine_of, array_of

    node = logic.load(prepared())
    logic.show(node)
    logic.choose("two")
    found = logic.result(node)
    before = [array_of(found.layer(name)).copy() for name in ("one", "two")]
    lesions = segment_voxels(found.outlines, "lesions")
    logic.remove([node])
    assert logic.results() == []
    (again,) = map(logic.result, logic.undo())
    assert again.chosen == "two"
    for name, array in zip(("one", "two"), before, strict=True):
        np.testing.assert_array_equal(array_of(again.layer(name)), array)
        np.testing.assert_allclose(affine_of(again.layer(name)), AFFINE)
    np.testing.assert_array_equal(segment_voxels(again.outlines, "lesions").array, lesions.array)
    assert again.source.GetDisplayNode().GetWindow() == pytest.approx(3.0)


def test_a_layer_that_was_deleted_is_not_offered(logic: Any) -> None:
    node = logic.load(prepared())
    logic.show(node)
    found = logic.result(node)
    assert found.chosen == "one"
    logic.scene.RemoveNode(found.layer("one"))
    assert set(found.kinds) == {"two"}
    assert found.chosen == "two"
    logic.draw()
    assert logic.scale == pytest.approx(2.0)


def test_a_result_that_cannot_be_loaded_leaves_nothing_behind(logic: Any) -> None:
    from dataclasses import replace

    broken = prepared()
    broken = replace(broken, layers=(*broken.layers, replace(broken.layers[0], image="not an image")))
    logic.parameters()  # makes its node
    before = logic.scene.GetNumberOfNodes()
    with pytest.raises(TypeError):
        logic.load(broken)
    assert logic.scene.GetNumberOfNodes() == before


def test_a_result_without_volumes_is_a_result(logic: Any) -> None:
    from XAIMethodsLib.prepared import Prepared

    document = {**DOCUMENT, "overlays": {}, "image_id": "cohort", "parameters": {}}
    node = logic.load(Prepared(document, "job", None, (), ()))
    logic.show(node)
    assert node.GetName() == "cohort - Toy case"
    logic.remove([node])
    assert len(logic.undo()) == 1
