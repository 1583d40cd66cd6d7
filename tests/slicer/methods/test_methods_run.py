"""The panel and the real server: methods that it has never heard of, an image or a cohort, results, and faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from XAIPanels.volumes import affine_of, array_of


@pytest.fixture
def connected(user: Any, methods_server: Any) -> Any:
    user.connects(methods_server.url)
    return user


def test_all_methods_of_the_server_are_offered(connected: Any, methods_server: Any) -> None:
    user = connected
    told = methods_server.request("GET", "/explain/").json()["methods"]
    offered = [user.ui.methodCombo.itemText(place) for place in range(user.ui.methodCombo.count)]
    assert offered == [method["title"] for method in told]
    assert {"Toy of a case", "Toy of a cohort"} <= set(offered)
    for title in offered:
        user.takes(title)
        assert user.panel.method.form is not None
        assert user.panel.method.form.reason == ""


def test_a_new_method_explains_a_volume(connected: Any, brain: Any, methods_server: Any) -> None:
    user = connected
    node = user.loads(*brain, name="Doe, Jane FLAIR")
    user.takes("Toy of a case")
    assert "What lies around a point." in user.sees()
    user.click(user.row("around").header)
    for box, value in zip(user.editor("around").boxes, (5.0, -6.0, 7.0), strict=True):
        box.value = value
    user.choose(user.editor("region").combo, "Box")
    user.enters("names", "")
    user.editor("names").widget.setPlainText("first\nsecond")
    result = user.panel.logic.result(user.runs())
    asked = methods_server.newest_job()["request"]["parameters"]
    assert asked == {"around": [5.0, -6.0, 7.0], "region": {"shape": "box"}, "names": ["first", "second"]}
    assert "Use this result with caution" in user.sees()
    assert "This is a toy." in user.sees()
    assert "Jane" not in result.node.GetParameter("document")
    assert result.source is node
    assert set(result.kinds) == {"rising", "chance"}
    rising = result.layer("rising")
    places = np.argwhere(array_of(rising) != 0)
    world = places @ affine_of(rising)[:3, :3].T + affine_of(rising)[:3, 3]
    assert np.abs(world - (5, -6, 7)).max() <= 10
    segments = result.outlines.GetSegmentation()
    names = [segments.GetNthSegment(place).GetName() for place in range(segments.GetNumberOfSegments())]
    assert names == ["Halves 1", "Halves 2"]
    composite = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")[0]
    assert composite.GetForegroundVolumeID() == rising.GetID()
    assert composite.GetBackgroundVolumeID() == node.GetID()
    user.choose(user.ui.layerCombo, "Chance")
    assert composite.GetForegroundVolumeID() == result.layer("chance").GetID()
    user.choose(user.ui.layerCombo, "nothing")
    assert composite.GetForegroundVolumeID() is None
    user.click(user.ui.outlinesBox)
    assert not result.outlines.GetDisplayVisibility()
    assert user.cells()[0][0] == "Inside ml"
    user.choose(user.ui.tableCombo, "Places")
    assert user.cells() == [["first", "0", "5", "−6", "7", "–"], ["second", "1.5", "5", "−6", "7", "–"]]
    user.click_table(1)
    view = slicer.util.getNodesByClass("vtkMRMLSliceNode")[0]
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(7)
    user.click(user.ui.copyButton)
    assert "first,0,5,−6,7,–" in user.clipboard()


def test_a_study_brings_its_image(connected: Any) -> None:
    user = connected
    user.takes("Toy of a case")
    user.takes_study("case")
    result = user.panel.logic.result(user.runs())
    assert result.own_source
    assert result.source is not None
    user.click(user.ui.removeButton)
    assert not slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    user.click(user.ui.undoButton)
    user.waits(lambda: not user.ui.undoButton.isVisible())
    again = user.panel.logic.result(user.panel.result.shown)
    assert set(again.kinds) == {"rising", "chance"}
    assert again.outlines.GetSegmentation().GetNumberOfSegments() == 2
    assert user.ui.verdictLabel.text


def test_a_method_of_cohorts_needs_no_image(connected: Any) -> None:
    user = connected
    user.takes("Toy of a cohort")
    assert not user.ui.inputSelector.isVisible()
    user.choose(user.ui.cohortCombo, "small")
    user.panel.method.form.show({"most": 3})
    node = user.runs()
    assert node.GetName().startswith("small - Toy cohort")
    assert user.cells() == [["Cases", "3"]]
    assert not user.ui.viewPanel.isVisible()
    assert "No check was made" in user.sees()


def test_what_only_the_server_knows_stands_in_the_form(connected: Any, brain: Any) -> None:
    user = connected
    user.loads(*brain)
    user.takes("Toy of a case")
    user.enters("low", "50")
    user.click(user.ui.runButton)
    user.waits_for("No result: low 50 is above high 10")
    form = user.panel.method.form
    assert "low 50 is above high 10" in form._fault.widget.text
    user.enters("low", "5")
    assert not form._fault.widget.isVisible()


def test_a_fault_in_the_form_switches_the_button_off(connected: Any, brain: Any) -> None:
    user = connected
    user.loads(*brain)
    user.takes("Saliency")
    user.takes("Quality")
    user.click(user.row("alarm").header)
    user.enters("alarm", "§")
    assert not user.ui.runButton.enabled
    assert "String should match pattern" in user.ui.runButton.toolTip
    user.enters("alarm", "none")
    assert user.ui.runButton.enabled


def test_a_point_of_the_form_is_picked_in_a_view(connected: Any, brain: Any) -> None:
    user = connected
    user.loads(*brain)
    user.takes("Toy of a case")
    user.click(user.row("around").header)
    user.click(user.editor("around").pick)
    assert user.panel.logic.picking
    user.clicks_in_view("Red", (3.0, 4.0, 0.0))
    found = user.panel.method.parameters["around"]
    assert found[:2] == pytest.approx([3.0, 4.0], abs=1.0)
    assert not user.editor("around").pick.checked
    assert not user.panel.logic.picking


def test_cancelling_stops_the_job_on_the_server(connected: Any, brain: Any, methods_server: Any) -> None:
    user = connected
    user.loads(*brain)
    user.takes("Toy of a case")
    user.panel.method.form.show({"seconds": 500.0})
    user.click(user.ui.runButton)
    user.waits(lambda: methods_server.newest_job()["state"] == "running")
    assert not user.ui.runButton.enabled
    user.click(user.ui.cancelButton)
    user.waits_for("Cancelled.")
    assert methods_server.newest_job()["state"] == "cancelled"
    assert user.ui.runButton.enabled


def test_choices_come_back_with_the_scene(connected: Any, brain: Any, tmp_path: Any) -> None:
    user = connected
    user.loads(*brain)
    user.takes("Toy of a case")
    user.editor("region").show({"shape": "ball", "radius": 7.0})
    user.editor("region").edited()
    user.runs()
    user.choose(user.ui.layerCombo, "Chance")
    seen = user.ui.verdictLabel.text
    scene = slicer.mrmlScene
    (tmp_path / "scene").mkdir()
    assert scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    scene.Clear(0)
    user.waits_for("No result yet")
    scene.SetURL(str(path))
    assert scene.Connect()
    user.waits(lambda: user.panel.result.shown is not None)
    assert user.panel.method.method.name == "toy_case"
    assert user.panel.method.parameters == {"region": {"shape": "ball", "radius": 7.0}}
    assert user.ui.layerCombo.currentText.startswith("Chance")
    assert user.ui.verdictLabel.text == seen


def test_a_report_is_opened(connected: Any, brain: Any) -> None:
    user = connected
    user.loads(*brain)
    user.takes("Toy of a case")
    user.runs()
    user.click(user.ui.reportButton)
    user.waits(lambda: user.app.recorded.opened_urls)


def test_the_job_tray_opens_a_result_where_it_was_asked(connected: Any, brain: Any) -> None:
    user = connected
    user.loads(*brain)
    user.takes("Prediction")
    node = user.runs()
    assert "Lesions" in {row[0] for row in user.cells()}
    user.panel.logic.hide()
    user.tray.choose(user.jobs()[0].id)
    user.presses("open")
    user.waits(lambda: user.panel.result.shown is node)
    assert user.panel.logic.shown.node is node


def test_closing_the_module_leaves_the_job_to_the_tray(connected: Any, brain: Any, methods_server: Any) -> None:
    user = connected
    user.loads(*brain)
    user.takes("Toy of a case")
    user.panel.method.form.show({"seconds": 2.0})
    user.click(user.ui.runButton)
    user.waits(lambda: methods_server.newest_job()["state"] == "running")
    user.close_module()
    methods_server.wait(methods_server.newest_job()["id"], lambda job: job["state"] == "done")
