"""A scene with a result is saved and loaded again: verdict, lesions and choices come back."""

from __future__ import annotations

from typing import Any

import pytest
import slicer


def test_saved_and_reloaded(user: Any, server: Any, brain: Any, tmp_path: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    user.ui.opacitySlider.value = 35.0
    verdict, lesions = user.ui.verdictLabel.text, user.ui.lesionsLabel.text
    rows = user.ui.lesionTable.rowCount
    scene = slicer.mrmlScene
    (tmp_path / "scene").mkdir()
    assert scene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    scene.Clear(0)
    user.waits_for("No result yet")
    scene.SetURL(str(path))
    assert scene.Connect()
    user.waits(lambda: user.panel.result.shown is not None)
    assert user.ui.verdictLabel.text == verdict
    assert user.ui.lesionsLabel.text == lesions
    assert user.ui.lesionTable.rowCount == rows
    assert user.ui.opacitySlider.value == pytest.approx(35)
    assert user.ui.urlEdit.text == server.url
    assert not user.ui.reportButton.enabled
    assert "earlier session" in user.ui.reportButton.toolTip
    user.click_row(0)
    user.click(user.ui.explainLesionButton)
    user.waits_for("lesion 1, in")


def test_a_flair_is_proposed_and_a_map_refused(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain, name="T1")
    flair = user.loads(*brain, name="patient 3 flair")
    user.waits(lambda: user.ui.inputSelector.currentNode() is not None)
    user.module.exit()
    slicer.mrmlScene.RemoveNode(user.ui.inputSelector.currentNode())
    user.waits(lambda: user.ui.inputSelector.currentNode() is flair)
    user.module.enter()
    user.connect_to(server.url)
    result = user.panel.logic.result(user.explains())
    user.ui.inputSelector.setCurrentNode(result.saliency)
    assert not user.ui.runButton.enabled
    assert "saliency map; choose the image" in user.sees()


def test_opened_on_a_scene_with_a_result(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.explains()
    user.close_module()
    user.module.enter()
    assert "predicted lesion" in user.sees()
