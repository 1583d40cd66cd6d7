"""From a loaded FLAIR, or a study, to lesions, map and verdict; one lesion by its row or by a click."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
from PySide6 import QtCore, QtTest, QtWidgets


def test_one_press_from_a_loaded_flair_to_the_result(user: Any, server: Any, brain: Any) -> None:
    assert not user.ui.runButton.enabled
    assert "Load a volume first" in user.sees()
    volume = user.loads(*brain)
    user.type(user.ui.urlEdit, server.url)
    assert user.ui.inputSelector.currentNode() is volume
    assert user.ui.runButton.text.replace("&", "") == "Connect and explain this image"
    user.click(user.ui.runButton)
    user.waits_for("Done: FLAIR")
    text = user.sees()
    assert "predicted lesion" in text
    assert any(word in text.lower() for word in ("reliable", "caution"))
    assert text.count("For research only") == 1
    result = user.panel.logic.result(user.panel.result.shown)
    assert result.source is volume
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert composite.GetBackgroundVolumeID() == volume.GetID()
        assert composite.GetForegroundVolumeID() == result.saliency.GetID()
        assert composite.GetForegroundOpacity() > 0
    assert result.outlines.GetDisplayVisibility()
    assert slicer.app.recorded.messages == []


def test_progress_is_shown_while_it_runs(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    seen, messages = [], []
    user.click(user.ui.runButton)
    assert "Starting" in user.sees()
    assert user.ui.progressBar.isVisible()
    assert not user.ui.runButton.enabled
    assert "running" in user.ui.runButton.toolTip
    assert user.ui.cancelButton.enabled

    def looks() -> bool:
        seen.append(user.ui.progressBar.value)
        messages.append(user.ui.jobState.text)
        return user.panel.result.shown is not None

    user.waits(looks)
    assert len(set(seen)) > 2
    assert len(set(messages)) > 2
    assert not user.ui.progressBar.isVisible()
    assert not user.ui.cancelButton.enabled


def test_a_study_of_the_server(user: Any, server: Any) -> None:
    user.connect_to(server.url)
    user.click(user.ui.studyButton)
    assert user.ui.studyCombo.currentText == "case"
    node = user.explains()
    assert "Done" in user.sees()
    result = user.panel.logic.result(node)
    assert result.source.GetImageData().GetDimensions() == result.saliency.GetImageData().GetDimensions()


def test_a_row_goes_there_and_its_lesion_is_explained(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    lesions = user.panel.logic.lesions(user.panel.result.shown)
    assert not user.ui.explainLesionButton.enabled
    assert "Choose a lesion" in user.ui.explainLesionButton.toolTip
    user.click_row(len(lesions) - 1)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        matrix = view.GetSliceToRAS()
        normal = np.array([matrix.GetElement(row, 2) for row in range(3)])
        origin = np.array([matrix.GetElement(row, 3) for row in range(3)])
        assert abs(normal @ (np.array(lesions[-1].centre) - origin)) < 1e-3
    assert user.ui.explainLesionButton.text.replace("&", "") == f"Explain lesion {lesions[-1].number}"
    user.click(user.ui.explainLesionButton)
    user.waits_for(f"lesion {lesions[-1].number}, in")
    explained = [one.number for one in user.panel.logic.lesions(user.panel.result.shown) if one.explained]
    assert explained == [lesions[-1].number]
    assert user.ui.resultCombo.count == 2


def test_enter_on_a_row_explains_it(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    user.click_row(0)
    user.press(user.ui.lesionTable, QtCore.Qt.Key.Key_Return)
    user.waits_for("lesion 1, in")


def test_a_click_in_a_slice_view_explains_that_lesion(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    lesion = user.panel.logic.lesions(user.panel.result.shown)[0]
    user.click_row(0)  # the views go there
    user.click(user.ui.pickButton)
    assert "Click on a lesion" in user.sees()
    user.clicks_in_view("Red", lesion.centre)
    user.waits_for("lesion 1, in")
    assert not user.ui.pickButton.checked


def test_a_click_beside_all_lesions_says_so_and_costs_no_job(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    jobs = server.jobs()
    user.click(user.ui.pickButton)
    user.clicks_in_view("Red", (55.0, 0.0, 0.0))
    user.waits_for("No predicted lesion")
    assert server.jobs() == jobs
    assert user.ui.resultCombo.count == 1


def test_picking_can_be_left(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    user.click(user.ui.pickButton)
    user.click(user.ui.pickButton)
    assert not user.panel.logic.picking
    user.click(user.ui.pickButton)
    interaction = slicer.app.applicationLogic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)  # as Esc or Slicer's toolbar does
    user.waits(lambda: not user.ui.pickButton.checked)


def test_threshold_and_opacity_follow_the_sliders(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    result = user.panel.logic.result(user.explains())
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    before = view.pixels()
    user.ui.opacitySlider.value = 0.0
    hidden = view.pixels()
    assert (before != hidden).any()
    user.ui.opacitySlider.value = 100.0
    user.ui.thresholdSlider.value = 60.0
    assert result.threshold == 0.6
    assert result.opacity == 1.0
    assert (view.pixels() != hidden).any()


def test_results_are_kept_and_can_be_shown_and_removed(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    first = user.explains()
    user.choose(user.ui.methodCombo, "Input × Gradient")
    second = user.explains()
    assert user.panel.logic.parameters().shown is second
    user.choose(user.ui.resultCombo, first.GetName())
    assert user.panel.logic.parameters().shown is first
    user.click(user.ui.removeButton)
    assert user.panel.result.shown is second
    user.ui.opacitySlider.value = 70.0
    user.ui.thresholdSlider.value = 5.0
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    name, told = second.GetName(), (user.sees(), view.pixels().tolist())
    user.click(user.ui.removeButton)
    assert "No result yet" in user.sees()
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 0
    user.click(user.ui.undoButton)
    user.waits(lambda: not user.ui.undoButton.isVisible())
    back = user.panel.result.shown
    assert back.GetName() == name
    assert slicer.mrmlScene.IsNodePresent(back)
    assert user.sees().splitlines() == [line for line in told[0].splitlines() if line != "Undo removing"]
    assert view.pixels().tolist() == told[1]
    user.choose(user.ui.methodCombo, "Input × Gradient")
    user.explains()
    user.click(user.ui.clearButton)
    assert "No result yet" in user.sees()
    user.click(user.ui.undoButton)
    user.waits(lambda: not user.ui.undoButton.isVisible())
    names = [node.GetName() for node in user.panel.logic.results()]
    assert (len(names), names[0]) == (2, name)


def test_a_result_that_was_brought_back_still_has_its_report(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    user.click(user.ui.removeButton)
    user.click(user.ui.undoButton)
    user.waits(lambda: not user.ui.undoButton.isVisible())
    user.click(user.ui.reportButton)
    user.waits_for("report is open")


def test_the_report_opens_in_the_browser(user: Any, server: Any, brain: Any) -> None:
    from pathlib import Path

    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    user.click(user.ui.reportButton)
    user.waits_for("report is open")
    (url,) = slicer.app.recorded.opened_urls
    page = Path(QtCore.QUrl(url).toLocalFile())
    assert "<html" in page.read_text(encoding="utf-8").lower()
    user.close_module()
    assert not page.exists()


def test_everything_can_be_reached_with_the_keyboard(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    user.open_section("serverSection")
    user.panel.root.activateWindow()
    user.ui.urlEdit.setFocus()
    reached = set()
    for _ in range(60):
        focus = QtWidgets.QApplication.focusWidget()
        if focus is None:
            break
        reached |= {focus.objectName, QtWidgets.QWidget.parentWidget(focus).objectName}
        QtTest.QTest.keyClick(focus, QtCore.Qt.Key.Key_Tab)
    wanted = {"urlEdit", "connectButton", "tokenEdit", "modelCombo", "methodCombo", "runButton", "resultCombo"}
    wanted |= {
        "thresholdSlider",
        "opacitySlider",
        "lesionTable",
        "pickButton",
        "reportButton",
        "removeButton",
        "clearButton",
    }
    assert wanted - reached == set()


def test_every_control_has_a_tooltip(user: Any) -> None:
    kinds = (QtWidgets.QPushButton, QtWidgets.QComboBox, QtWidgets.QLineEdit, QtWidgets.QAbstractSpinBox)
    named = [widget for kind in kinds for widget in user.panel.root.findChildren(kind) if widget.objectName]
    assert len(named) > 12
    assert [widget.objectName for widget in named if not widget.toolTip and "qt_" not in widget.objectName] == []
