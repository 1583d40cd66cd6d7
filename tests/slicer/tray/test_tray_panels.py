"""The connection and the job tray that the panels share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from panels import seen_panel
from XAILib.tray_entry import CANCELLED, FAILED, FINISHED


def other(user: Any) -> Any:
    """The panel of the module behind."""
    return seen_panel(user.behind)


def begins_a_long_job(user: Any, server: Any, brain: Any) -> None:
    """Occlusion with small boxes, running on the server."""
    if user.panel.image.source.volume is None:
        user.loads(*brain, name="Ann Smith FLAIR")
    if user.panel.server.server is None:
        user.connect_to(server.url)
    user.choose(user.ui.methodCombo, "Occlusion")
    user.ui.windowSpin.value = 3.0
    user.click(user.ui.runButton)
    user.waits(lambda: user.ui.progressBar.value > 160)


def states(user: Any) -> list[str]:
    return [entry.state for entry in user.jobs()]


def test_connecting_in_one_panel_connects_all(user: Any, tray_server: Any) -> None:
    user.connect_to(tray_server.url, token="secret")
    user.waits(lambda: other(user).server.server is not None)
    assert other(user).ui.urlEdit.text == tray_server.url
    assert other(user).ui.tokenEdit.text == "secret"
    assert other(user).ui.serverSection.collapsed
    review = user.module.widgetRepresentation().self().panel.choose(1)  # made while the others are connected
    user.waits(lambda: review.server.server is not None)
    user.module.widgetRepresentation().self().panel.choose(0)
    user.open_section("serverSection")
    user.type(user.ui.urlEdit, "http://127.0.0.1:1")
    assert other(user).ui.urlEdit.text == "http://127.0.0.1:1"
    assert other(user).server.server is None
    user.click(user.ui.connectButton)
    user.waits(lambda: not user.panel.server.connecting)
    assert "not connected" in user.ui.serverSection.text


def test_a_finished_job_is_opened_from_another_module_and_fetched_again(
    user: Any, tray_server: Any, brain: Any
) -> None:
    user.loads(*brain, name="Ann Smith FLAIR")
    user.connect_to(tray_server.url)
    node = user.explains()
    user.waits(lambda: states(user) == [FINISHED])
    entry = user.jobs()[0]
    assert (entry.title, entry.image, entry.method) == ("Saliency", "Ann Smith FLAIR", "saliency")
    saliency, user.module = user.module, user.behind
    saliency.exit()
    user.module.enter()
    user.waits(lambda: "1 finished" in user.tray.root.text)
    user.presses("open")
    assert slicer.util.selectedModule() == "XAISaliency"
    user.module = saliency
    assert user.panel.result.shown is node  # it was in the scene
    user.panel.logic.remove([node])
    user.presses("open")
    user.waits(lambda: user.has_more_than(0))
    again = user.panel.logic.result(user.panel.result.shown)
    assert again.source.GetName() == "Ann Smith FLAIR"
    user.presses("remove")
    user.waits(lambda: not user.jobs())
    assert user.panel.logic.results()
    user.presses("undo")
    user.waits(lambda: states(user) == [FINISHED])


def test_a_job_in_the_background_leaves_its_panel_free(user: Any, tray_server: Any, brain: Any) -> None:
    begins_a_long_job(user, tray_server, brain)
    assert "Cancel" in user.sees()
    user.presses("background")
    assert user.ui.runButton.enabled
    assert "goes on in the background" in user.sees()
    user.ui.windowSpin.value = 2.5
    user.click(user.ui.runButton)
    assert len(user.jobs()) == 2
    assert all(entry.active for entry in user.jobs())
    user.stops_all_jobs()
    assert states(user) == [CANCELLED, CANCELLED]
    assert {job["state"] for job in tray_server.jobs()} <= {"cancelled", "done"}
    user.presses("retry")  # in its panel, which takes the image once more
    user.waits(lambda: user.panel.job.running)
    user.stops_all_jobs()
    user.presses("clear")
    user.waits(lambda: not user.jobs())


def test_a_saved_scene_brings_its_jobs_back_without_names(
    user: Any, tray_server: Any, brain: Any, tmp_path: Path
) -> None:
    user.loads(*brain, name="Ann Smith FLAIR")
    user.connect_to(tray_server.url)
    user.explains()
    user.waits(lambda: states(user) == [FINISHED])
    user.waits(lambda: "saliency" in user.tray._home._node.text)
    assert "Ann" not in user.tray._home._node.text
    assert slicer.mrmlScene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path))
    (path,) = tmp_path.glob("*.mrml")
    user.close_module()
    user.behind.unload()
    slicer.mrmlScene.Clear(0)
    user.opens_module_again("XAISaliency")
    assert user.jobs() == ()
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.Connect()
    user.waits(lambda: len(user.jobs()) == 1)
    assert user.jobs()[0].image == "Ann Smith FLAIR"  # of the volume of the scene
    assert not user.tray.buttons["open"].enabled
    user.connect_to(tray_server.url)
    user.waits(lambda: states(user) == [FINISHED])
    results = len(user.panel.logic.results())
    user.presses("open")
    assert len(user.panel.logic.results()) == results == 1


def test_why_a_job_failed_is_told(user: Any, tray_server: Any, brain: Any) -> None:
    import numpy as np

    array, affine = brain
    user.loads(np.zeros_like(array), affine)
    user.connect_to(tray_server.url)
    user.click(user.ui.runButton)
    user.waits(lambda: states(user) == [FAILED])
    user.tray.root.collapsed = False
    user.waits(user.tray.state.isVisible)
    assert user.jobs()[0].message
    assert user.tray.buttons["retry"].enabled
    assert not user.tray.buttons["open"].enabled
    assert "failed, not finished" in user.tray.buttons["open"].toolTip


def test_a_folded_tray_shows_nothing_and_an_unfolded_one_what_it_has(user: Any, tray_server: Any, brain: Any) -> None:
    tray = user.module.widgetRepresentation().self().tray
    parts = [tray.table, tray.empty, *tray.buttons.values()]
    assert tray.root.collapsed
    assert not any(part.visible for part in parts)
    begins_a_long_job(user, tray_server, brain)
    assert not any(part.visible for part in parts)
    tray.root.collapsed = False
    assert [tray.table.visible, tray.empty.visible] == [True, False]
    assert all(button.visible for button in tray.buttons.values())
    tray.root.collapsed = True
    assert not any(part.visible for part in parts)
    user.click(user.ui.cancelButton)
