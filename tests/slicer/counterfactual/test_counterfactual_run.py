"""The panel and the real server: asking, choosing what about, comparing models, and what may go wrong meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from counterfactual_server import BARE, CLASSIFIER, MASKED, OTHER, SEGMENTER, running_counterfactual_server
from slicer_double.helpers import click_slice
from XAIPanels.volumes import array_of


@pytest.fixture
def study(user: Any, asked_server: Any) -> Any:
    """The person has connected and chosen the image with a mask and the classifier, and one counterfactual."""
    user.connect_to(asked_server.url)
    user.takes_study(MASKED)
    user.choose(user.ui.modelCombo, CLASSIFIER)
    user.ui.countSpin.value = 1
    return user


def long_search(user: Any, server: Any) -> None:
    """A search that takes minutes, on the server."""
    user.connect_to(server.url)
    user.takes_study(MASKED)
    user.choose(user.ui.modelCombo, SEGMENTER)
    user.ui.countSpin.value = 5
    user.click(user.ui.runButton)
    user.waits(lambda: server.jobs() and server.newest_job()["state"] == "running")


def idle(user: Any) -> bool:
    return user.ui.runButton.enabled and not user.ui.cancelButton.enabled


def test_a_label_of_a_study_with_a_mask(study: Any) -> None:
    user = study
    node = user.asks()
    found = user.panel.logic.result(node)
    metrics = found.document["metrics"]
    seen = user.sees()
    assert "Done" in seen
    assert "Probability" in seen
    assert user.ui.verdictLabel.text
    (row,) = user.rows(user.ui.galleryTable)
    assert row[0] == "1"
    assert {line[0] for line in user.rows(user.ui.labelTable)} == {"left", "right", "middle"}
    np.testing.assert_allclose(
        array_of(found.image(0)), array_of(found.source) + array_of(found.change(0)), atol=0.02, rtol=1e-4
    )
    user.measures_in(f"{found.outlines.GetName()}: Expert")
    measured = user.panel.share._shares[node.GetID()]
    assert measured == pytest.approx(metrics["share_inside_mask"], abs=0.02)
    shown = user.rows(user.ui.compareTable)
    assert shown[0][0] == CLASSIFIER
    assert shown[0][-1] == f"{100 * measured:.0f} %"
    user.click(user.ui.jumpButton)
    user.choose(user.ui.viewCombo, "original and")
    assert not user.ui.opacitySlider.enabled
    user.ui.fadeSlider.value = 40.0
    assert user.panel.logic.parameters().drawing.fade == pytest.approx(0.4)
    user.choose(user.ui.viewCombo, "difference over")
    assert not user.ui.fadeSlider.enabled
    user.open_section("checksSection")
    assert user.ui.checksLabel.text


def test_two_models_side_by_side_and_the_gallery(study: Any) -> None:
    user = study
    user.ui.countSpin.value = 2
    first = user.asks()
    rows = user.rows(user.ui.galleryTable)
    assert [row[0] for row in rows] == [str(number + 1) for number in range(len(rows))]
    if len(rows) > 1:
        user.clicks_row(user.ui.galleryTable, 1)
        assert user.panel.logic.result(first).chosen == 1
    assert not user.ui.againButton.isVisible()
    user.open_section("retrainSection")
    assert not user.ui.againButton.enabled
    user.choose(user.ui.modelCombo, OTHER)
    user.click(user.ui.againButton)
    user.waits(lambda: user.has_more_than(1))
    assert [row[0] for row in user.rows(user.ui.compareTable)] == [CLASSIFIER, OTHER]
    results = [user.panel.logic.result(node) for node in user.panel.logic.results()]
    assert results[0].source is results[1].source
    user.clicks_row(user.ui.compareTable, 0)
    assert user.panel.result.shown is first
    user.takes_study(BARE)
    user.asks()
    assert len(user.rows(user.ui.compareTable)) == 1
    user.click(user.ui.clearButton)
    user.waits_for("No result yet")
    user.click(user.ui.undoButton)
    user.waits(lambda: not user.ui.undoButton.isVisible())
    assert len(user.panel.logic.results()) == 3


def test_a_lesion_by_its_row_and_by_a_click(user: Any, asked_server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(asked_server.url)
    user.choose(user.ui.modelCombo, SEGMENTER)
    user.ui.countSpin.value = 1
    user.click(user.ui.findButton)
    user.waits(lambda: user.ui.lesionTable.rowCount > 1)
    lesions = user.panel.question._lesions
    user.clicks_row(user.ui.lesionTable, 1)
    assert user.panel.question.parameters["point"] == [round(value, 3) for value in lesions[1].centre]
    node = user.asks()
    found = user.panel.logic.result(node)
    assert "expert_mask" not in found.document["overlays"]
    user.measures_in(f"{found.outlines.GetName()}: Lesion asked about")
    assert found.places[0] is not None
    user.click(user.ui.anyLesionButton)
    assert "point" not in user.panel.question.parameters
    user.choose(user.ui.viewCombo, "difference over")
    user.panel.logic.jump_to(lesions[0].centre)
    user.click(user.ui.pickButton)
    click_slice(user.app.layoutManager().sliceWidget("Red"), lesions[0].centre)
    user.waits(lambda: "point" in user.panel.question.parameters)
    assert np.abs(np.array(user.panel.question.parameters["point"]) - lesions[0].centre).max() < 1
    user.click(user.ui.pickButton)
    user.click(user.ui.pickButton)
    assert not user.panel.logic.picking


def test_nothing_to_ask_and_refusals_in_words(user: Any, asked_server: Any, brain: Any) -> None:
    assert "Load a volume first" in user.sees()
    image, affine = brain
    user.loads(np.where(image > 130, 100, image).astype(np.float32), affine)
    user.connect_to(asked_server.url)
    user.choose(user.ui.modelCombo, SEGMENTER)
    user.click(user.ui.runButton)
    user.waits(lambda: idle(user))
    if user.panel.logic.results():
        pytest.skip("the model finds lesions in an image without any")
    assert "Not found" in user.sees()
    assert "no lesion" in user.sees()
    user.open_section("retrainSection")
    assert not user.ui.trainButton.enabled
    assert "only a model that decides on labels" in user.ui.trainHint.text or "cannot train" in user.ui.trainHint.text


def test_cancel(user: Any, asked_server: Any) -> None:
    long_search(user, asked_server)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    user.click(user.ui.cancelButton)
    user.waits_for("Cancelled.")
    assert idle(user)
    assert asked_server.newest_job()["state"] == "cancelled"
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_scene_closed_meanwhile(user: Any, asked_server: Any) -> None:
    long_search(user, asked_server)
    slicer.mrmlScene.Clear(0)
    user.waits_for("The scene was closed")
    assert asked_server.newest_job()["state"] == "running"
    user.stops_all_jobs()
    assert asked_server.newest_job()["state"] == "cancelled"
    assert user.panel.logic.results() == []


def test_module_closed_meanwhile(user: Any, asked_server: Any) -> None:
    long_search(user, asked_server)
    user.close_module()
    assert asked_server.newest_job()["state"] == "running"
    user.module.enter()
    user.connect_to(asked_server.url)
    user.stops_all_jobs()
    assert asked_server.newest_job()["state"] == "cancelled"


def test_server_killed_meanwhile_and_started_again(user: Any, tiny_home: Any, tmp_path: Any) -> None:
    with running_counterfactual_server(tmp_path, tiny_home) as server:
        long_search(user, server)
        server.kill()
        user.waits_for("trying again")
        user.waits_for("connection to the server was lost")
        assert "Not connected" in user.sees()
        server.start()
        user.connect_to(server.url)
        user.choose(user.ui.modelCombo, CLASSIFIER)
        user.ui.countSpin.value = 1
        user.click(user.ui.runButton)
        user.waits(lambda: user.has_more_than(0))


def test_restart(study: Any, asked_server: Any, tmp_path: Any) -> None:
    user = study
    node = user.asks()
    user.choose(user.ui.viewCombo, "original and")
    user.ui.fadeSlider.value = 30.0
    headline, rows = user.ui.headlineLabel.text, user.rows(user.ui.galleryTable)
    name = node.GetName()
    (tmp_path / "scene").mkdir()
    assert slicer.mrmlScene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    user.close_module()
    slicer.mrmlScene.Clear(0)
    user.module.enter()
    user.waits_for("No result yet")
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.Connect()
    user.waits(lambda: user.panel.result.shown is not None)
    assert user.panel.result.shown.GetName() == name
    assert user.ui.headlineLabel.text == headline
    assert user.rows(user.ui.galleryTable) == rows
    assert user.ui.viewCombo.currentText == "original and counterfactual"
    assert user.ui.fadeSlider.value == pytest.approx(30)
    found = user.panel.logic.shown
    composite = user.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == found.image(0).GetID()
    assert composite.GetForegroundOpacity() == pytest.approx(0.3)
    assert user.ui.urlEdit.text == asked_server.url
    assert "earlier session" in user.ui.reportButton.toolTip or not user.panel.server.server
    user.connect_to(asked_server.url)
    assert user.ui.modelCombo.currentText == CLASSIFIER
