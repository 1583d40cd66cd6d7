"""What can go wrong between the panel, the server and the scene."""

from __future__ import annotations

import json
import shutil
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import slicer
from review_server import WITHOUT_ALARM
from server_fixtures import send, stand_in

from slicerxai.models.store import ModelStore
from tests.support.classifier import store_alarm, store_classifier


@pytest.fixture
def connected(user: Any, review_server: Any) -> Any:
    """A person in front of the worklist of the classifier."""
    user.connects(review_server.url)
    return user


def test_before_connecting(user: Any) -> None:
    text = user.sees()
    assert "Connect to the server first." in text
    assert "No image is open" in text
    for button in (user.ui.scoreButton, user.ui.nextButton, user.ui.acceptButton):
        assert not button.enabled
        assert button.toolTip == "Connect to the server first."


def test_a_model_without_an_alarm(user: Any, review_server: Any) -> None:
    user.connects(review_server.url, WITHOUT_ALARM)
    assert "No alarm is fitted for this model; fit one with:" in user.sees()
    assert "slicerxai alarm untried COHORT" in user.sees()
    assert not user.ui.scoreButton.enabled
    assert "Fit an alarm first" in user.ui.scoreButton.toolTip
    user.opens_image("p01")  # its maps can be seen all the same
    assert "not scored" in user.sees()
    assert "only a prediction that was scored can be accepted" in user.ui.acceptButton.toolTip
    assert user.ui.correctButton.enabled


def test_scoring_is_stopped_and_found_running(user: Any, review_server: Any) -> None:
    home = review_server.home
    digest = store_classifier(ModelStore(home / "models"), "second", seed=2)
    from slicerxai.monitoring.alarm_store import AlarmStore

    store_alarm(AlarmStore(home / "alarms"), "second", digest, action="review")
    try:
        review_server.request("POST", "/scoring/quality", json={"model": "second"}).raise_for_status()
        user.connects(review_server.url, "second")  # somebody has started it already
        assert user.ui.scoreProgressBar.isVisible()
        assert "The server is scoring" in user.ui.scoreButton.toolTip
        user.click(user.ui.stopButton)
        user.waits(lambda: not user.panel.feed.worklist.scoring)
        assert "Stopped." in user.sees()
        assert "what is scored stays" in user.sees()
        assert user.ui.scoreButton.enabled
        assert "not scored" in user.rows(1)
    finally:
        shutil.rmtree(home / "models" / "second")


def test_model_replaced_meanwhile(user: Any, review_server: Any) -> None:
    models = ModelStore(review_server.home / "models")
    store_classifier(models, "passing", seed=3)
    try:
        user.connects(review_server.url, "passing")
        user.opens_image("p02")
        user.click(user.ui.correctButton)
        shutil.rmtree(models.folder("passing"))
        store_classifier(models, "passing", seed=4)
        user.click(user.ui.saveButton)
        user.waits_for("Not written: p02:")
        assert "Press “Refresh” and score the images again" in user.sees()
        user.click(user.ui.refreshButton)
        user.waits(lambda: "of another model" in user.ui.saveButton.toolTip)
        assert not user.ui.saveButton.enabled
    finally:
        shutil.rmtree(models.folder("passing"))


def test_opening_is_stopped(connected: Any) -> None:
    user = connected
    user.chooses("p04")
    user.click(user.ui.openButton)
    assert user.ui.cancelItemButton.isVisible()
    user.click(user.ui.cancelItemButton)
    user.waits(lambda: not user.panel.opener.busy)
    assert "Stopped; open the image again for its maps." in user.sees()
    user.opens_image("p04")


def test_another_image_is_opened_meanwhile(connected: Any) -> None:
    user = connected
    user.chooses("p03")
    user.click(user.ui.openButton)
    user.chooses("p02")
    user.click(user.ui.openButton)
    user.waits_for_the_image("p02")
    assert {found.image_id for found in opened()} <= {"p02", "p03"}


def opened() -> Any:
    from XAIReviewLib.opened import opened_nodes

    return opened_nodes(slicer.mrmlScene)


def test_scene_closed_meanwhile(connected: Any) -> None:
    user = connected
    user.opens_image("p01")
    layout = slicer.app.layoutManager().layout
    user.click(user.ui.sideButton)
    user.chooses("p03")
    user.click(user.ui.openButton)
    slicer.mrmlScene.Clear(0)
    user.waits(lambda: not user.panel.opener.busy)
    assert slicer.app.layoutManager().layout == layout
    assert opened() == []
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0
    assert "No image is open" in user.sees()
    assert "Open an image first." in user.ui.acceptButton.toolTip
    assert len(user.rows()) == 4
    user.opens_image("p01")


def test_image_removed_by_hand(connected: Any) -> None:
    user = connected
    found = user.opens_image("p01")
    slicer.mrmlScene.RemoveNode(found.image)
    user.waits_for("No image is open")
    user.opens_image("p01")
    assert len(user.panel.logic.shown.maps) == 3


def test_module_closed_while_an_image_is_opened(connected: Any, review_server: Any) -> None:
    connected.chooses("p02")
    connected.click(connected.ui.openButton)
    connected.close_module()


def test_another_server_that_refuses_and_nonsense(user: Any) -> None:
    """What the real server never says: a stand-in that wants a token, and one that answers something else."""
    answers: dict[str, Any] = {"/explain/": catalogue()}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") != "Bearer right":
            send(handler, 401, b'{"detail": "no token"}', "application/problem+json")
            return
        found = answers.get(handler.path.split("?")[0])
        body = json.dumps(found if found is not None else {"items": []}).encode()
        send(handler, 200, body, "application/json")

    with stand_in(answer) as url:
        user.connect_to(url)
        user.waits_for("The server asks for a token")
        user.connect_to(url, "right")
        user.waits_for("No list: ")
        assert "does not understand" in user.sees()
        assert not user.ui.scoreButton.enabled


def test_server_without_the_method_and_without_a_model(user: Any) -> None:
    found = catalogue()
    with answering(found) as url:
        found["methods"] = []
        user.connect_to(url)
        user.waits_for("This server offers no quality control")
    found = catalogue()
    found["models"] = []
    with answering(found) as url:
        user.connect_to(url)
        user.waits_for("The server has no model yet")


def answering(found: dict[str, Any]) -> Any:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, json.dumps(found).encode(), "application/json")

    return stand_in(answer)


def catalogue() -> dict[str, Any]:
    """Of a server with one classifier."""
    method = {"name": "quality", "title": "Quality", "summary": "", "parameters": {}}
    model = {"name": "regions", "kind": "classifier", "channels": ["FLAIR"], "labels": ["left", "right"]}
    return {"version": "1", "methods": [method], "models": [model], "unusable": {}}
