"""From scoring to decisions and back: the real method on the real server, driven by clicks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from panels import open_panel
from PySide6 import QtCore, QtTest, QtWidgets
from review_server import IMAGES, SEGMENTER
from saliency_scenes import segment
from slicer_double import helpers

from slicerxai.data.io import read_volume
from slicerxai.server.worklist_store import FOLDER


@pytest.fixture
def scored(user: Any, review_server: Any) -> Any:
    """A person in front of a worklist in which everything is scored and nothing decided."""
    user.connects(review_server.url)
    if user.panel.feed.worklist.settled < len(IMAGES):
        user.scores()
    yield user
    for image in IMAGES:
        review_server.request("DELETE", f"/explain/worklist/{image}?model=regions").raise_for_status()


def reviews(server: Any) -> dict[str, Any]:
    """Every image's review, as the server tells it."""
    items = server.request("GET", "/explain/worklist?model=regions").json()["items"]
    return {item["image"]: item["review"] for item in items}


def test_scoring_fills_the_worklist(user: Any, review_server: Any) -> None:
    shutil.rmtree(review_server.studies / FOLDER, ignore_errors=True)  # what other tests have scored
    user.connects(review_server.url)
    text = user.sees()
    assert "Alarm: how distinct the maps of the classes are; what is flagged asks for a second reading." in text
    assert "Fitted on 40 cases." in text
    assert user.rows(1) == ["not scored"] * 4
    assert "4 not scored" in text
    assert "Open an image first." in user.ui.acceptButton.toolTip
    seen = []
    user.click(user.ui.scoreButton)
    assert user.ui.scoreProgressBar.isVisible()
    assert not user.ui.scoreButton.enabled

    def looks() -> bool:
        seen.append(user.ui.scoreState.text)
        return "Done: 4 images scored." in user.sees()

    user.waits(looks)
    assert any("of 4 images scored" in text for text in seen)
    document = review_server.request("GET", "/explain/worklist?model=regions").json()
    assert user.rows() == [item["image"] for item in document["items"]]
    assert user.rows(1) == [f"{item['suspicion']:.2f}" for item in document["items"]]
    suspicions = [float(text) for text in user.rows(1)]
    assert suspicions == sorted(suspicions, reverse=True)
    flagged = [[one["label"] for one in item["classes"] if one["flagged"]] for item in document["items"]]
    assert any(flagged)
    assert user.rows(2) == [", ".join(labels) for labels in flagged]
    row = next(row for row, labels in enumerate(flagged) if labels)
    assert "overlap" in user.ui.worklistTable.item(row, 2).toolTip()
    assert "of 3 classes are expected to be predicted wrongly" in user.ui.worklistTable.item(0, 1).toolTip()
    assert user.ui.scoreButton.enabled
    assert slicer.app.recorded.messages == []


def test_an_opened_image_with_its_maps(scored: Any, review_server: Any) -> None:
    user = scored
    user.click(user.ui.nextButton)
    first = user.rows()[0]
    user.waits_for_the_image(first)
    shown = user.panel.logic.shown
    image = read_volume(review_server.studies / f"{first}.nii.gz")
    assert np.allclose(slicer.util.arrayFromVolume(shown.image).T, image.array)
    matrix = slicer.vtkMRMLSliceNode().GetSliceToRAS()
    shown.image.GetIJKToRASMatrix(matrix)
    assert np.allclose([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)], image.affine, atol=1e-4)
    item = user.panel.feed.worklist.items[0]
    table = user.ui.classTable
    assert [table.item(row, 0).text() for row in range(3)] == ["left", "right", "middle"]
    assert [table.item(row, 1).text() == "yes" for row in range(3)] == [one.predicted for one in item.classes]
    assert [table.item(row, 2).text() for row in range(3)] == [f"{100 * one.probability:.0f} %" for one in item.classes]
    assert [table.item(row, 3).text() for row in range(3)] == [f"{one.suspicion:.2f}" for one in item.classes]
    assert table.item(0, 2).toolTip() == "Counts as present from 50 % on."
    worst = max(item.classes, key=lambda one: (one.flagged, one.suspicion))
    assert table.currentRow() == [one.label for one in item.classes].index(worst.label)
    assert f"{worst.label}: the maps for {worst.label} and" in user.sees()
    assert ": cosine 0." in user.sees()
    assert "chance of an error 0." in user.sees()
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert composite.GetBackgroundVolumeID() == shown.image.GetID()
        assert composite.GetForegroundVolumeID() == shown.maps[worst.label].GetID()
    user.open_section("graphSection")
    assert user.ui.graphLabel.pixmap.width() == 390
    assert "cosine distance" in user.ui.graphLabel.toolTip
    user.open_section("checksSection")
    assert "Checks" not in user.ui.checksLabel.text
    assert any(word in user.sees() for word in ("Reliable –", "Caution –", "Unreliable –"))
    jobs = len(review_server.jobs())
    user.opens_image(user.rows()[1])
    user.opens_image(first)  # it is open already
    assert len(review_server.jobs()) == jobs + 1
    assert user.panel.logic.shown.node is shown.node


def test_maps_one_by_one_blended_and_side_by_side(scored: Any) -> None:
    user = scored
    shown = user.opens_image("p01")
    layout = slicer.app.layoutManager().layout
    user.choose(user.ui.firstCombo, "middle")
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert red.GetForegroundVolumeID() == shown.maps["middle"].GetID()
    assert user.ui.classTable.currentRow() == 2
    user.click(user.ui.blendButton)
    user.waits(lambda: shown.blended_pair == ("middle", "left"))
    assert red.GetForegroundVolumeID() == shown.blend.GetID()
    assert "both alike" in user.sees()
    user.choose(user.ui.secondCombo, "right")
    user.waits(lambda: shown.blended_pair == ("middle", "right"))
    user.click(user.ui.sideButton)
    assert not user.ui.firstCombo.isVisible()
    views = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")}
    assert [views[f"Review{n}"].GetLayoutLabel() for n in (1, 2, 3, 4)] == ["left", "right", "middle", "image"]
    composites = {node.GetLayoutName(): node for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    for number, label in enumerate(("left", "right", "middle"), 1):
        composite = composites[f"Review{number}"]
        assert composite.GetForegroundVolumeID() == shown.maps[label].GetID()
        assert composite.GetLinkedControl()
    assert composites["Review4"].GetForegroundVolumeID() is None
    user.ui.opacitySlider.value = 30.0
    assert composites["Review1"].GetForegroundOpacity() == pytest.approx(0.3)
    user.click(user.ui.oneButton)
    assert slicer.app.layoutManager().layout == layout
    assert red.GetForegroundVolumeID() == shown.maps["middle"].GetID()
    assert red.GetForegroundOpacity() == pytest.approx(0.3)


def test_decisions_survive_server_and_panel(scored: Any, review_server: Any) -> None:
    user = scored
    order = user.rows()
    user.click(user.ui.nextButton)
    user.waits_for_the_image(order[0])
    user.type(user.ui.commentEdit, "clear")
    user.click(user.ui.acceptButton)
    user.waits_for_the_image(order[1])  # moved on by itself
    assert f"Written: {order[0]} is accepted." in user.sees()
    accepted = reviews(review_server)[order[0]]
    assert (accepted["decision"], accepted["comment"]) == ("accepted", "clear")
    assert user.ui.commentEdit.text == ""
    user.click(user.ui.correctButton)
    assert "Check the boxes of the classes that are present, and save." in user.sees()
    before = user.panel.item.classes.labels
    user.checks_class("middle")
    assert user.panel.item.classes.labels == {**before, "middle": not before["middle"]}
    user.click(user.ui.revertButton)
    assert user.panel.item.classes.labels == before
    user.click(user.ui.correctButton)
    user.checks_class("middle")
    user.click(user.ui.saveButton)
    user.waits_for_the_image(order[2])
    assert reviews(review_server)[order[1]]["labels"] == {**before, "middle": not before["middle"]}
    user.click(user.ui.moveOnCheck)
    user.click(user.ui.wrongButton)
    user.waits(lambda: not user.panel.decision.busy)
    assert reviews(review_server)[order[2]]["decision"] == "wrong"
    assert user.panel.logic.shown.image_id == order[2]
    assert not user.ui.acceptButton.enabled
    assert "Undo" in user.ui.acceptButton.toolTip
    user.waits(lambda: user.rows() == [order[3], *order[:3]])  # decided ones go to the end, in their order
    assert user.rows(3) == ["open", "accepted", "corrected", "marked wrong"]
    user.opens_image(order[3])
    user.click(user.ui.correctButton)
    user.checks_class("left")
    labels = user.panel.item.classes.labels
    user.type(user.ui.commentEdit, "small lesion on the left")
    review_server.stop()
    user.click(user.ui.saveButton)
    user.waits_for(f"Not written: {order[3]}:")
    assert "Nothing listens at" in user.sees()
    assert "What you entered is kept." in user.sees()
    assert not user.ui.saveButton.enabled
    user.close_module()
    review_server.start()
    user.module = open_panel("XAIReview")
    assert user.panel.logic.shown.image_id == order[3]  # it is in the scene, with what was entered
    user.connects(review_server.url)
    assert user.rows(3) == ["open", "accepted", "corrected", "marked wrong"]
    assert not user.ui.moveOnCheck.checked
    assert user.panel.item.classes.labels == labels
    user.click(user.ui.saveButton)
    user.waits_for(f"Written: {order[3]} is corrected.")
    review = reviews(review_server)[order[3]]
    assert (review["labels"], review["comment"]) == (labels, "small lesion on the left")
    user.opens_image(order[2])
    assert "Marked wrong on 20" in user.sees()
    user.click(user.ui.undoButton)
    user.waits_for("was taken back")
    assert reviews(review_server)[order[2]] is None
    user.waits(lambda: user.rows(3).count("open") == 1)
    user.opens_image(order[1])
    assert "Corrected on 20" in user.sees()
    box = user.ui.classTable.item(2, 1)
    assert (box.text() == "yes") != before["middle"]
    assert "Corrected" in box.toolTip()


def test_filters_and_the_next_open_image(scored: Any) -> None:
    user = scored
    order = user.rows()
    items = {item.image: item for item in user.panel.feed.worklist.items}
    user.choose(user.ui.classFilterCombo, "middle")
    wanted = [image for image in order if "middle" in items[image].flagged_classes or items[image].classes[2].predicted]
    assert user.rows() == wanted
    user.click(user.ui.flaggedCheck)
    assert user.rows() == [image for image in order if "middle" in items[image].flagged_classes]
    user.choose(user.ui.classFilterCombo, "any class")
    user.click(user.ui.flaggedCheck)
    user.opens_image(order[3])
    user.click(user.ui.moveOnCheck)
    user.click(user.ui.acceptButton)
    user.waits(lambda: user.rows(3)[-1] == "accepted" and not user.panel.decision.busy)
    user.click(user.ui.openCheck)
    assert user.rows() == order[:3]
    assert "1 hidden by the filters" in user.sees()
    user.panel.root.activateWindow()
    press_shortcut(user, QtCore.Qt.Key.Key_Left)
    user.waits_for_the_image(order[2])
    press_shortcut(user, QtCore.Qt.Key.Key_Right)
    user.waits_for_the_image(order[0])
    assert user.ui.worklistTable.currentRow() == 0


def test_segmentations_that_go_while_the_next_image_is_opened(scored: Any) -> None:
    """As a label that was drawn beside the panel, and submitted, goes."""
    user = scored
    first, second = user.rows()[:2]
    user.opens_image(first)
    drawn = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode") for _ in range(20)]
    for node in drawn:
        node.SetReferenceImageGeometryParameterFromVolumeNode(user.panel.logic.shown.image)
        node.CreateDefaultDisplayNodes()
    user.click(user.ui.acceptButton)
    user.waits_for(f"Written: {first} is accepted.")
    slicer.mrmlScene.RemoveNode(drawn.pop())
    assert user.panel.opener.image == second

    def opened_at_last() -> bool:
        if drawn:
            slicer.mrmlScene.RemoveNode(drawn.pop())
        shown = user.panel.logic.shown
        return shown.image_id == second and shown.complete and not user.panel.opener.busy

    user.waits(opened_at_last)
    assert f"Done: {second} is open." in user.sees()


def press_shortcut(user: Any, key: Any) -> None:
    """With Alt, wherever the focus is."""
    window = user.panel.root.window()
    QtTest.QTest.keyClick(window, key, QtCore.Qt.KeyboardModifier.AltModifier)
    user.app.processEvents()


def test_the_chosen_row_and_the_place_stay_when_the_list_is_refreshed(scored: Any) -> None:
    user = scored
    image = user.rows()[2]
    user.chooses(image)
    user.click(user.ui.refreshButton)
    user.waits(lambda: user.panel.feed._task is None)
    assert user.rows()[user.ui.worklistTable.currentRow()] == image
    assert user.panel.worklist.table.chosen.image == image


def test_lesions_of_a_segmenter(user: Any, review_server: Any) -> None:
    user.connects(review_server.url, SEGMENTER)
    assert not user.ui.classFilterCombo.isVisible()
    shown = user.opens_image("p03")  # not scored: what is shown comes with the maps
    table = user.ui.lesionTable
    assert table.isVisible()
    assert not user.ui.classTable.isVisible()
    found = user.panel.shown_item.lesions
    assert 0 < sum(lesion.flagged for lesion in found) < len(found)
    assert f"{len(found)} predicted lesions, {sum(lesion.flagged for lesion in found)} flagged." in user.sees()
    lesions = sorted(found, key=lambda lesion: (-lesion.suspicion, lesion.number))
    assert [table.item(row, 0).text() for row in range(table.rowCount)] == [str(one.number) for one in lesions]
    assert table.item(0, 2).text() == f"{lesions[0].volume_ml:.2f} ml"
    assert table.item(0, 0).toolTip() == lesions[0].reason
    helpers.click_item(table, 1)
    matrix = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetSliceToRAS()
    assert [matrix.GetElement(row, 3) for row in range(3)] == pytest.approx(lesions[1].centre, abs=0.06)
    for name, suspicious in (("flagged_lesions", True), ("lesions", False)):
        volume = sum(lesion.volume_ml for lesion in lesions if lesion.flagged == suspicious)
        array, place = segment(shown.lesions, name)
        assert array.sum() * abs(np.linalg.det(place[:3, :3])) / 1000 == pytest.approx(volume, rel=1e-3)
    assert not user.ui.correctButton.enabled
    assert "draw the lesions" in user.ui.correctButton.toolTip
    user.click(user.ui.moveOnCheck)
    user.click(user.ui.wrongButton)
    user.waits_for("Written: p03 is marked wrong.")
    user.click(user.ui.undoButton)
    user.waits_for("was taken back")


def test_report_of_the_shown_image(scored: Any) -> None:
    user = scored
    user.opens_image("p02")
    user.click(user.ui.reportButton)
    user.waits_for("report is open")
    (url,) = slicer.app.recorded.opened_urls
    assert "Quality" in Path(QtCore.QUrl(url).toLocalFile()).read_text(encoding="utf-8")


def test_saved_and_reloaded(scored: Any, tmp_path: Path) -> None:
    user = scored
    user.opens_image("p02")
    user.click(user.ui.correctButton)
    user.checks_class("left")
    labels = user.panel.item.classes.labels
    user.click(user.ui.sideButton)
    (tmp_path / "scene").mkdir()
    scene = slicer.mrmlScene
    assert scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    scene.Clear(0)
    user.waits_for("No image is open")
    scene.SetURL(str(path))
    assert scene.Connect()
    user.waits(lambda: user.panel.logic.shown is not None)
    assert user.panel.logic.shown.image_id == "p02"
    assert list(user.panel.logic.shown.maps) == ["left", "right", "middle"]
    assert user.panel.item.classes.labels == labels  # what was entered is there
    assert user.ui.saveButton.isVisible()
    assert "earlier session" in user.ui.reportButton.toolTip
    assert user.ui.sideButton.checked


def test_everything_can_be_reached_with_the_keyboard(scored: Any) -> None:
    user = scored
    user.opens_image("p01")
    user.open_section("serverSection")
    user.open_section("modelSection")
    user.panel.root.activateWindow()
    user.ui.urlEdit.setFocus()
    reached = set()
    for _ in range(60):
        focus = QtWidgets.QApplication.focusWidget()
        if focus is None:
            break
        reached |= {focus.objectName, QtWidgets.QWidget.parentWidget(focus).objectName}
        QtTest.QTest.keyClick(focus, QtCore.Qt.Key.Key_Tab)
    wanted = {"urlEdit", "connectButton", "modelCombo", "scoreButton", "classFilterCombo", "flaggedCheck", "openCheck"}
    wanted |= {"worklistTable", "previousButton", "nextButton", "refreshButton", "classTable", "commentEdit"}
    wanted |= {"acceptButton", "correctButton", "wrongButton", "moveOnCheck", "firstCombo", "goButton", "reportButton"}
    assert wanted <= reached


def test_every_widget_has_a_name_and_every_control_a_hint(user: Any) -> None:
    kinds = (QtWidgets.QAbstractButton, QtWidgets.QComboBox, QtWidgets.QLineEdit, QtWidgets.QTableWidget)
    for widget in user.panel.root.findChildren(QtWidgets.QWidget):
        own = widget.objectName and not widget.objectName.startswith("qt_")
        if own and isinstance(widget, (*kinds, QtWidgets.QProgressBar)):
            assert widget.toolTip, f"{widget.objectName} has no tooltip"
