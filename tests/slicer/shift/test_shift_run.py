"""From two environments to shares, raters and opened cases: the real method on the real server, driven by clicks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6 import QtCore, QtTest, QtWidgets
from saliency_scenes import segment
from shift_user import ATTRIBUTION_SECONDS

from slicerxai.data.io import read_volume


def chooses(user: Any, server: Any) -> None:
    """Centre 01 by rater 1 against centre 07 by rater 2."""
    user.connects(server.url)
    user.check("source", "01")
    user.check("target", "07")


@pytest.fixture
def attributed(user: Any, shift_server: Any) -> Any:
    """A person who sees that result."""
    chooses(user, shift_server)
    user.attributes()
    return user


def mask(server: Any, name: str) -> np.ndarray:
    array: np.ndarray = read_volume(server.home / "cohorts" / "small" / f"{name}.nii.gz").array
    return array


def test_from_two_environments_to_the_result(user: Any, shift_server: Any) -> None:
    chooses(user, shift_server)
    assert "6 cases: centre 01; rater 1" in user.sees()
    assert "what the rater costs can be observed" in user.sees()
    seen = []
    user.click(user.ui.runButton)
    assert "Starting" in user.sees()
    assert user.ui.progressBar.isVisible()
    assert user.ui.cancelButton.enabled
    for widget in (user.ui.runButton, user.ui.sourceValues, user.ui.targetRaterCombo, user.ui.metricCombo):
        assert not widget.enabled

    def looks() -> bool:
        seen.append(user.ui.jobState.text)
        return user.has_more_than(0)

    user.waits(looks, ATTRIBUTION_SECONDS)
    assert len(set(seen)) > 2
    text = user.sees()
    assert "Done: small: centre 01; rater 1 → centre 07; rater 2, in" in text
    assert not user.ui.progressBar.isVisible()
    assert "What to do" in text
    assert "Dice: " in text
    assert any(word in text for word in ("Reliable –", "Caution –", "Unreliable –"))
    document = user.panel.logic.document(user.panel.result.shown)
    assert document["parameters"]["source"]["where"] == {"centre": {"values": ["01"]}}
    assert document["verdict"].capitalize() in text
    assert user.ui.chartLabel.pixmap.height() > 100
    assert "Rater: +" in user.ui.chartLabel.toolTip  # rater 2 draws more than what the model was trained with
    table = user.ui.matrixTable
    assert user.ui.matrixSection.isVisible()
    assert [table.horizontalHeaderItem(n).text() for n in range(table.columnCount)] == ["1", "2"]  # 3 lacks a case
    assert table.item(0, 1).text().startswith("+")
    assert "From rater 1's to rater 2's masks: costs" in table.item(0, 1).toolTip()
    assert user.ui.caseTable.rowCount == 12
    assert slicer.app.recorded.messages == []


def test_a_row_opens_the_case_with_both_outlines_and_the_prediction(attributed: Any, shift_server: Any) -> None:
    user = attributed
    assert not user.ui.openCaseButton.enabled
    assert "Choose a case" in user.ui.openCaseButton.toolTip
    user.chooses_case("P08")
    assert user.ui.openCaseButton.text.replace("&", "") == "Open P08"
    user.press(user.ui.caseTable, QtCore.Qt.Key.Key_Return)
    assert not user.ui.openCaseButton.enabled
    assert user.ui.caseProgressBar.isVisible()
    user.waits_for_the_case()
    assert "P08 with the outlines of raters 1 and 2 and the prediction." in user.sees()
    segmentation = user.panel.logic.opened(user.panel.result.shown, "P08")
    for name, file in (("rater 1", "P08_1"), ("rater 2", "P08_2")):
        array, _ = segment(segmentation, name)
        assert array.sum() == mask(shift_server, file).sum()
    predicted, affine = segment(segmentation, "prediction")
    row = next(row for row in range(12) if user.ui.caseTable.item(row, 1).text() == "P08")
    volume = predicted.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
    assert user.ui.caseTable.item(row, 5).text() == f"{volume:.1f}"
    image = segmentation.GetNodeReference("XAIShift.Image")
    assert np.allclose(slicer.util.arrayFromVolume(image).T, mask(shift_server, "P08"), atol=1e-3)
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert composite.GetBackgroundVolumeID() == image.GetID()
    before = len(shift_server.jobs())
    user.chooses_case("P01")
    user.click(user.ui.openCaseButton)
    user.waits_for_the_case()
    assert len(shift_server.jobs()) == before + 1
    assert not segmentation.GetDisplayVisibility()
    user.chooses_case("P08")  # it is open already: choosing it is enough
    assert segmentation.GetDisplayVisibility()
    assert len(shift_server.jobs()) == before + 1


def test_the_same_result_again_comes_from_the_store(attributed: Any, shift_server: Any) -> None:
    first = attributed.panel.result.shown
    second = attributed.attributes()
    assert second is not first
    assert shift_server.newest_job()["message"] == "from the store"
    assert attributed.ui.resultCombo.count == 2
    attributed.click(attributed.ui.removeButton)
    assert attributed.panel.result.shown is first
    attributed.click(attributed.ui.removeButton)
    assert "No result yet" in attributed.sees()


def test_cancel_stops_the_server_too(user: Any, shift_server: Any) -> None:
    chooses(user, shift_server)
    user.opens("options")
    user.choose(user.ui.estimatorCombo, "Weighting")
    user.check("target", "07")
    user.check("target", "01")
    user.click(user.ui.runButton)
    user.waits(lambda: user.ui.progressBar.value > 20)
    with shift_server.standing_still():
        user.click(user.ui.cancelButton)
        user.waits_for("Cancelled.")
    assert shift_server.newest_job()["state"] == "cancelled"
    assert user.ui.runButton.enabled
    assert not user.ui.cancelButton.enabled
    assert user.panel.logic.results() == []


def test_what_the_server_refuses_is_told(user: Any, shift_server: Any) -> None:
    user.connects(shift_server.url)
    user.choose(user.ui.sourceKeyCombo, "age")
    user.type(user.ui.sourceFromEdit, "33")
    user.type(user.ui.sourceToEdit, "34")
    assert "2 cases" in user.sees()
    user.click(user.ui.runButton)
    user.waits_for("Not attributed")
    assert "5 are the least" in user.sees()
    assert user.ui.runButton.enabled


def test_report_in_the_browser_and_saved(attributed: Any, tmp_path: Path) -> None:
    user = attributed
    user.click(user.ui.reportButton)
    user.waits_for("report is open")
    (url,) = slicer.app.recorded.opened_urls
    assert "Shift attribution" in Path(QtCore.QUrl(url).toLocalFile()).read_text(encoding="utf-8")
    slicer.app.recorded.answers.append((str(tmp_path / "mine"), "HTML page (*.html)"))
    user.click(user.ui.saveButton)
    user.waits_for("The report is saved as")
    assert "Shift attribution" in (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.html"]
    slicer.app.recorded.answers.append(("", ""))
    user.click(user.ui.saveButton)
    slicer.app.recorded.answers.append((str(tmp_path / "nowhere" / "a.html"), ""))
    user.click(user.ui.saveButton)
    user.waits_for("cannot be written")


def test_saved_and_reloaded(attributed: Any, shift_server: Any, tmp_path: Path) -> None:
    user = attributed
    user.chooses_case("P08")
    user.click(user.ui.openCaseButton)
    user.waits_for_the_case()
    words = [user.ui.verdictLabel.text, user.ui.summaryLabel.text, user.ui.actionsLabel.text]
    scene = slicer.mrmlScene
    (tmp_path / "scene").mkdir()
    assert scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    scene.Clear(0)
    user.waits_for("No result yet")
    scene.SetURL(str(path))
    assert scene.Connect()
    user.waits(lambda: user.panel.result.shown is not None)
    assert [user.ui.verdictLabel.text, user.ui.summaryLabel.text, user.ui.actionsLabel.text] == words
    assert not user.ui.reportButton.enabled
    assert "earlier session" in user.ui.reportButton.toolTip
    jobs = len(shift_server.jobs())
    user.chooses_case("P08")
    user.click(user.ui.openCaseButton)
    user.waits_for("P08 with the outlines")
    assert len(shift_server.jobs()) == jobs


def test_scene_closed_while_a_case_is_opened(attributed: Any) -> None:
    user = attributed
    user.chooses_case("P03")
    user.click(user.ui.openCaseButton)
    slicer.mrmlScene.Clear(0)
    user.waits_for_the_case()
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 0
    assert "No result yet" in user.sees()


def test_result_removed_while_a_case_is_opened(attributed: Any) -> None:
    user = attributed
    user.chooses_case("P03")
    user.click(user.ui.openCaseButton)
    user.click(user.ui.removeButton)
    user.waits_for_the_case()
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 0


def test_opening_can_be_stopped(attributed: Any) -> None:
    user = attributed
    user.chooses_case("P04")
    user.click(user.ui.openCaseButton)
    user.click(user.ui.cancelCaseButton)
    user.waits_for_the_case()
    assert "Stopped." in user.sees()
    user.click(user.ui.openCaseButton)
    user.waits_for_the_case()
    assert "P04 with the outlines" in user.sees()


def test_another_module_meanwhile(user: Any, shift_server: Any) -> None:
    chooses(user, shift_server)
    user.click(user.ui.runButton)
    user.module.exit()
    user.waits(lambda: user.has_more_than(0), ATTRIBUTION_SECONDS)
    user.module.enter()
    assert "Done: small" in user.sees()


def test_scene_closed_while_it_runs(user: Any, shift_server: Any) -> None:
    chooses(user, shift_server)
    user.check("target", "01")
    user.opens("options")
    user.choose(user.ui.metricCombo, "Volume error")
    user.click(user.ui.runButton)
    user.waits(lambda: user.ui.progressBar.value > 10)
    with shift_server.standing_still():
        slicer.mrmlScene.Clear(0)
        user.waits_for("The scene was closed")
        user.waits(lambda: not user.ui.cancelButton.enabled)
        user.stops_all_jobs()
    assert shift_server.newest_job()["state"] == "cancelled"
    assert user.panel.logic.results() == []


def test_module_closed_while_it_runs(user: Any, shift_server: Any) -> None:
    chooses(user, shift_server)
    user.check("source", "07")
    user.click(user.ui.runButton)
    user.waits(lambda: user.ui.progressBar.value > 10)
    with shift_server.standing_still():
        user.close_module()
        assert shift_server.newest_job()["state"] == "running"
        user.module.enter()
        user.connect_to(shift_server.url)
        user.stops_all_jobs()
    assert shift_server.newest_job()["state"] == "cancelled"


def test_everything_can_be_reached_with_the_keyboard(attributed: Any) -> None:
    user = attributed
    user.opens("server", "data", "source", "target", "options")
    user.chooses_case("P01")
    user.panel.root.activateWindow()
    user.ui.urlEdit.setFocus()
    reached = set()
    for _ in range(60):
        focus = QtWidgets.QApplication.focusWidget()
        if focus is None:
            break
        reached |= {focus.objectName, QtWidgets.QWidget.parentWidget(focus).objectName}
        QtTest.QTest.keyClick(focus, QtCore.Qt.Key.Key_Tab)
    wanted = {"urlEdit", "connectButton", "modelCombo", "cohortCombo", "sourceRaterCombo", "sourceKeyCombo"}
    wanted |= {"sourceValues", "targetRaterCombo", "targetValues", "metricCombo", "burdenCombo", "runButton"}
    wanted |= {"resultCombo", "caseTable", "openCaseButton", "reportButton", "saveButton", "removeButton"}
    assert wanted <= reached
