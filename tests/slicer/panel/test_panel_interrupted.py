"""The server, the scene, the module or the volume goes while a job runs; or the user changes his mind."""

from __future__ import annotations

from typing import Any

import slicer


def start_long_job(user: Any, server: Any, brain: Any) -> Any:
    """Occlusion with small boxes, running on the server; returns the volume."""
    volume = user.loads(*brain)
    user.connect_to(server.url)
    user.choose(user.ui.methodCombo, "Occlusion")
    user.ui.windowSpin.value = 3.0
    user.click(user.ui.runButton)
    user.waits(lambda: user.ui.progressBar.value > 300)
    return volume


def is_idle(user: Any) -> bool:
    return user.ui.runButton.enabled and not user.ui.cancelButton.enabled


def test_cancel_stops_the_server_too_and_it_can_be_run_again(user: Any, server: Any, brain: Any) -> None:
    start_long_job(user, server, brain)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    user.click(user.ui.cancelButton)
    assert not user.ui.cancelButton.enabled
    user.waits_for("Cancelled.")
    assert is_idle(user)
    assert not user.ui.progressBar.isVisible()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert server.newest_job()["state"] == "cancelled"
    user.choose(user.ui.methodCombo, "Layer-wise")
    user.explains()
    assert "Done" in user.sees()


def test_scene_closed(user: Any, server: Any, brain: Any) -> None:
    start_long_job(user, server, brain)
    slicer.mrmlScene.Clear(0)
    user.waits_for("The scene was closed")
    user.waits(lambda: not user.ui.cancelButton.enabled)
    assert "Load a volume first" in user.sees()
    assert not user.ui.runButton.enabled
    assert server.newest_job()["state"] == "running"
    user.loads(*brain)
    user.choose(user.ui.methodCombo, "Layer-wise")
    assert user.ui.runButton.enabled  # the panel is free for another job
    user.stops_all_jobs()
    assert server.newest_job()["state"] == "cancelled"
    user.explains()
    assert "Done" in user.sees()


def test_module_closed(user: Any, server: Any, brain: Any) -> None:
    start_long_job(user, server, brain)
    user.close_module()
    assert server.newest_job()["state"] == "running"
    user.opens_module_again("XAISaliency")
    user.waits(lambda: [entry.state for entry in user.jobs()] == ["waiting"])
    user.connect_to(server.url)
    user.waits(lambda: user.jobs()[0].state == "running")
    user.stops_all_jobs()
    assert server.newest_job()["state"] == "cancelled"


def test_another_module_meanwhile(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    user.click(user.ui.runButton)
    user.module.exit()
    user.waits(lambda: user.has_more_than(0))
    user.module.enter()
    assert "Done" in user.sees()


def test_server_killed(user: Any, own_server: Any, brain: Any) -> None:
    start_long_job(user, own_server, brain)
    own_server.kill()
    user.waits_for("Not explained", 40)
    assert "Server – not connected" in user.sees()
    assert not user.ui.cancelButton.enabled
    assert user.ui.connectButton.enabled
    own_server.start()
    user.choose(user.ui.methodCombo, "Layer-wise")
    user.explains()  # one press connects again
    assert "Done" in user.sees()


def test_server_down_when_the_button_is_pressed(user: Any, brain: Any) -> None:
    user.loads(*brain)
    user.type(user.ui.urlEdit, "http://127.0.0.1:1")
    user.click(user.ui.runButton)
    user.waits_for("Not explained")
    assert "Server – not connected" in user.sees()
    assert is_idle(user)


def test_volume_deleted(user: Any, server: Any, brain: Any) -> None:
    volume = user.loads(*brain)
    user.connect_to(server.url)
    user.click(user.ui.runButton)
    slicer.mrmlScene.RemoveNode(volume)
    user.waits(lambda: user.has_more_than(0))
    assert "The volume was removed meanwhile" in user.sees()
    source = user.panel.logic.result(user.panel.result.shown).source
    assert source is not None
    assert source is not volume


def test_result_nodes_deleted_by_hand(user: Any, server: Any, brain: Any) -> None:
    user.loads(*brain)
    user.connect_to(server.url)
    result = user.panel.logic.result(user.explains())
    slicer.mrmlScene.RemoveNode(result.saliency)
    user.waits_for("saliency map of this result was deleted")
    assert not user.ui.thresholdSlider.enabled
    slicer.mrmlScene.RemoveNode(result.node)
    user.waits_for("No result yet")


def test_unusable_volume_is_refused_in_words(user: Any, server: Any, brain: Any) -> None:
    import numpy as np

    array, affine = brain
    user.loads(np.where(array > 110, np.nan, array), affine)
    user.connect_to(server.url)
    user.click(user.ui.runButton)
    user.waits_for("Not explained")
    assert "not numbers" in user.sees()
    assert is_idle(user)


def test_what_the_server_refuses_is_told(user: Any, server: Any, brain: Any) -> None:
    import numpy as np

    array, affine = brain
    user.loads(np.zeros_like(array), affine)
    user.connect_to(server.url)
    user.click(user.ui.runButton)
    user.waits_for("Not explained")
    assert is_idle(user)
    assert "connected to" in user.sees()


def test_an_empty_prediction_is_said_in_words(user: Any, server: Any, brain: Any) -> None:
    import numpy as np

    array, affine = brain
    user.loads(np.minimum(array, 110), affine)
    user.connect_to(server.url)
    user.explains()
    assert "No lesion is predicted" in user.sees()
    assert not user.ui.pickButton.enabled
    assert "no lesion" in user.ui.pickButton.toolTip
