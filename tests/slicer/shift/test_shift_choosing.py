"""Server, model, cohort, environments: what is offered, counted and refused in words."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from PySide6 import QtCore
from server_fixtures import send, stand_in

CASES = [
    {
        "id": f"c{n}",
        "modalities": ["FLAIR"],
        "raters": ["1", "2"] if n % 2 else ["1"],
        "metadata": {"centre": "01" if n < 10 else "03", "age": 20.0 + n, "field": 1.5 if n < 5 else 3.0},
    }
    for n in range(20)
]
SHIFT = {"name": "shift", "title": "Shift", "summary": "Why?", "parameters": {"properties": {"metric": {}}}}


def answers(**changes: Any) -> Any:
    """A server that knows one cohort of 20 cases; nothing is computed by it."""
    routes: dict[str, Any] = {
        "/explain/": {
            "version": "0",
            "methods": [SHIFT],
            "models": [{"name": "tiny", "kind": "fast", "channels": ["FLAIR"], "labels": ["background", "lesion"]}],
            "unusable": {},
        },
        "/explain/cohorts": {"cohorts": [{"name": "twenty", "cases": 20}], "unusable": {}},
        "/explain/cohorts/twenty": {"name": "twenty", "cases": CASES},
    }
    routes.update(changes)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        found = routes.get(handler.path)
        body = json.dumps(found if found is not None else {"detail": f"no route GET {handler.path}"}).encode()
        send(handler, 404 if found is None else 200, body, "application/json")

    return answer


@pytest.fixture
def connected(user: Any) -> Any:
    with stand_in(answers()) as url:
        user.connects(url)
        yield user


def test_nothing_can_be_chosen_without_a_server(user: Any) -> None:
    assert "Connect to the server first." in user.sees()
    for widget in (user.ui.runButton, user.ui.modelCombo, user.ui.sourceRaterCombo, user.ui.targetValues):
        assert not widget.enabled
    assert user.ui.runButton.toolTip == "Connect to the server first."


def test_no_server_there(user: Any) -> None:
    user.connect_to("http://127.0.0.1:1")
    assert "Server – not connected" in user.sees()
    assert not user.ui.runButton.enabled


def test_a_server_without_this_method(user: Any) -> None:
    catalogue = {"version": "0", "methods": [], "models": [], "unusable": {}}
    with stand_in(answers(**{"/explain/": catalogue, "/explain/cohorts": None})) as url:
        user.connect_to(url)
    assert "does not offer shift attribution" in user.sees()
    assert not user.ui.runButton.enabled


def test_a_server_without_models(user: Any) -> None:
    with stand_in(answers(**{"/explain/": {"version": "0", "methods": [SHIFT], "models": []}})) as url:
        user.connect_to(url)
        user.waits_for("The server has no model yet")


def test_a_server_without_cohorts(user: Any) -> None:
    listed = {"cohorts": [], "unusable": {"holiday": "accepted layouts are <many>"}}
    with stand_in(answers(**{"/explain/cohorts": listed})) as url:
        user.connect_to(url)
    assert "The server has no cohort yet" in user.sees()
    assert "holiday cannot be used: accepted layouts are <many>" in user.sees()
    assert not user.ui.runButton.enabled


def test_a_cohort_that_cannot_be_read(user: Any) -> None:
    with stand_in(answers(**{"/explain/cohorts/twenty": None})) as url:
        user.connect_to(url)
        user.waits_for("The cohort cannot be read.")
        assert not user.ui.runButton.enabled


def test_a_server_that_speaks_otherwise(user: Any) -> None:
    with stand_in(answers(**{"/explain/cohorts/twenty": {"cases": 3}})) as url:
        user.connect_to(url)
        user.waits_for("does not understand")


def test_counts_follow_every_click(connected: Any) -> None:
    user = connected
    assert "20 cases: all cases; rater 1" in user.sees()
    assert "10 cases: all cases; rater 2" in user.sees()
    user.check("source", "01")
    assert "10 cases: centre 01; rater 1" in user.sees()
    user.check("target", "03")
    assert "5 cases: centre 03; rater 2" in user.sees()
    user.check("source", "03")
    assert "20 cases: centre 01 or 03; rater 1" in user.sees()
    user.check("source", "01")
    assert "10 cases: centre 03; rater 1" in user.sees()
    assert user.checked("source") == ["03"]
    user.choose(user.ui.sourceRaterCombo, "2")
    assert "5 cases: centre 03; rater 2" in user.sees()
    assert user.ui.sourceSection.text == "Source – 5 cases: centre 03; rater 2"


def test_numbers_are_chosen_by_range_and_few_of_them_by_value(connected: Any) -> None:
    user = connected
    user.choose(user.ui.sourceKeyCombo, "age")
    assert user.ui.sourceRange.isVisible()
    assert not user.ui.sourceValues.isVisible()
    assert user.ui.sourceFromEdit.placeholderText == "20"
    user.type(user.ui.sourceFromEdit, "25")
    assert "15 cases: age from 25; rater 1" in user.sees()
    user.type(user.ui.sourceToEdit, "27,5")
    assert "3 cases: age from 25 to 27.5; rater 1" in user.sees()
    user.choose(user.ui.sourceKeyCombo, "field")
    user.check("source", "3")
    assert "3 cases: age from 25 to 27.5, field 3; rater 1" in user.sees()
    user.choose(user.ui.sourceKeyCombo, "age")
    assert user.ui.sourceFromEdit.text == "25"
    assert user.ui.sourceKeyCombo.currentText == "age  ✓"
    user.ui.sourceFromEdit.selectAll()
    user.press(user.ui.sourceFromEdit, QtCore.Qt.Key.Key_Delete)
    assert "up to 27.5" in user.sees()
    user.click(user.ui.sourceClearButton)
    assert "20 cases: all cases; rater 1" in user.sees()
    assert not user.ui.sourceClearButton.enabled
    assert user.ui.sourceFromEdit.text == ""


def test_an_empty_selection_is_said_and_not_sent(connected: Any) -> None:
    user = connected
    assert user.ui.runButton.enabled
    user.choose(user.ui.targetKeyCombo, "age")
    user.type(user.ui.targetFromEdit, "70")
    assert "No case: age from 70; rater 2" in user.sees()
    assert "The target selects no case" in user.sees()
    assert not user.ui.runButton.enabled
    user.click(user.ui.targetClearButton)
    assert user.ui.runButton.enabled


def test_the_same_twice_is_refused(connected: Any) -> None:
    user = connected
    user.choose(user.ui.targetRaterCombo, "1")
    assert "Source and target are the same" in user.sees()
    assert not user.ui.runButton.enabled


def test_what_the_selections_share_is_said(connected: Any) -> None:
    user = connected
    assert "10 cases are in both." in user.sees()
    user.choose(user.ui.sourceRaterCombo, "2")
    user.check("target", "03")
    assert "5 cases are in both; rater 2 drew all masks." in user.sees()


def test_options_come_from_the_schema(user: Any) -> None:
    fields = {
        "metric": {"enum": ["f1", "new_metric"], "default": "new_metric", "description": "What counts."},
        "estimator": {"enum": ["plain"], "default": "plain"},
    }
    method = {**SHIFT, "parameters": {"properties": fields}}
    models = [{"name": "tiny", "kind": "fast", "channels": ["FLAIR"], "labels": ["background", "lesion"]}]
    catalogue = {"version": "0", "methods": [method], "models": models}
    with stand_in(answers(**{"/explain/": catalogue})) as url:
        user.connects(url)
        assert user.ui.metricCombo.currentText == "new metric"
        assert user.ui.metricCombo.toolTip == "What counts."
        assert user.panel.options.options == {"metric": "new_metric", "estimator": "plain"}
        assert not user.ui.exchangeCombo.enabled
        user.choose(user.ui.metricCombo, "Lesion-wise F1")
        assert user.panel.options.options["metric"] == "f1"
        assert "Method – Lesion-wise F1" in user.sees()


def test_choices_survive_leaving_reconnecting_and_saving(connected: Any, tmp_path: Any) -> None:
    import slicer

    user = connected
    user.check("source", "01")
    user.choose(user.ui.targetKeyCombo, "age")
    user.type(user.ui.targetFromEdit, "25")
    words = [user.ui.sourceState.text, user.ui.targetState.text]
    user.module.exit()
    user.module.enter()
    assert [user.ui.sourceState.text, user.ui.targetState.text] == words
    user.open_section("serverSection")
    user.type(user.ui.tokenEdit, "x")
    user.waits_for("Connect to the server first")
    assert [user.ui.sourceState.text, user.ui.targetState.text] == words
    user.connect_to(user.ui.urlEdit.text)
    user.waits(lambda: user.ui.runButton.enabled)
    assert [user.ui.sourceState.text, user.ui.targetState.text] == words
    scene = slicer.mrmlScene
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    scene.Clear(0)
    user.waits_for("20 cases: all cases; rater 1")
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Connect()
    user.waits(lambda: user.panel.data.cohort is not None)
    assert [user.ui.sourceState.text, user.ui.targetState.text] == words
    assert user.checked("source") == ["01"]
