"""From the panel to a new model and back to the same case, on a real server."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.scanner_mark import planted_studies
from tests.support.server import FRUGAL, Server

PLAIN, NEW = "plain", "plain-aligned"
LABEL, ASKED = "left", "case05_FLAIR"
EPOCHS = 6


@pytest.fixture(scope="module")
def teaching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a classifier that has learned a scanner's mark, and the marked scans with masks and reviews."""
    server = Server(tmp_path_factory.mktemp("teaching"), **FRUGAL)
    planted = planted_studies(server.studies, server.home, count=24)
    assert (planted.model, planted.label) == (PLAIN, LABEL)
    with server:
        yield server


def ready(user: Any, server: Server) -> Any:
    """Connected, with an image of the server, its classifier and an open section of the training."""
    user.connect_to(server.url)
    user.takes_study(ASKED)
    user.choose(user.ui.modelCombo, PLAIN)
    user.choose(user.ui.labelCombo, LABEL)
    user.ui.countSpin.value = 1
    user.open_section("retrainSection")
    return user


def models(server: Server) -> list[str]:
    return [model["name"] for model in server.request("GET", "/explain/").json()["models"]]


def training(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.request("GET", "/train/").json()
    return found


def endless(user: Any, server: Server, name: str) -> None:
    """A training that has begun and would take hours."""
    user.type(user.ui.nameEdit, name)
    user.ui.epochsSpin.value = 10_000
    user.click(user.ui.trainButton)
    user.waits(lambda: "epoch" in user.ui.trainState.text.lower())
    assert user.ui.trainProgressBar.isVisible()


def test_the_mark_is_found_out_and_the_model_repaired(user: Any, teaching: Server) -> None:
    """All of the change lies inside of the expert's mask after the training, and did not before."""
    ready(user, teaching)
    first = user.asks()
    before = user.panel.logic.result(first).document["metrics"]["share_inside_mask"]
    assert before < 0.8
    assert user.ui.nameEdit.text == NEW
    assert user.ui.epochsSpin.value == 6  # the server's own
    user.type(user.ui.nameEdit, "not a name")
    assert not user.ui.trainButton.enabled
    assert "letters, digits" in user.ui.trainHint.text
    user.type(user.ui.nameEdit, PLAIN)
    assert "already" in user.ui.trainHint.text
    user.type(user.ui.nameEdit, NEW)
    user.ui.epochsSpin.value = EPOCHS
    user.click(user.ui.trainButton)
    assert not user.ui.trainButton.enabled
    user.waits(lambda: user.ui.modelCombo.currentText == NEW or "Not trained" in user.sees())
    assert f"“{NEW}” is ready" in user.sees()
    assert user.ui.nameEdit.text == f"{NEW}-aligned"
    user.click(user.ui.againButton)
    user.waits(lambda: user.has_more_than(1) or "Not found" in user.sees())
    rows = user.rows(user.ui.compareTable)
    assert [row[0] for row in rows] == [PLAIN, NEW]
    assert rows[0][4] == f"{100 * before:.0f} %"
    after = user.panel.logic.shown.document["metrics"]["share_inside_mask"]
    assert rows[1][4] == f"{100 * after:.0f} %"
    assert after > max(before, 0.9)
    asked = [user.panel.logic.result(node).document["parameters"] for node in user.panel.logic.results()]
    assert asked[0]["count"] == asked[1]["count"] == 1
    assert user.panel.result.shown is not first
    assert not user.ui.againButton.enabled


def test_cancelled(user: Any, teaching: Server) -> None:
    ready(user, teaching)
    endless(user, teaching, "never")
    user.click(user.ui.trainCancelButton)
    user.waits_for("The server has stopped the training")
    assert training(teaching)["status"] == "STOPPED"
    assert "never" not in models(teaching)
    assert user.ui.trainButton.enabled


def test_it_goes_on_without_the_panel_and_is_found_again(user: Any, teaching: Server) -> None:
    ready(user, teaching)
    endless(user, teaching, "lasting")
    user.close_module()
    time.sleep(1)
    assert training(teaching)["status"] == "RUNNING"
    user.module.enter()
    user.connect_to(teaching.url)
    user.open_section("retrainSection")
    user.waits(lambda: "epoch" in user.ui.trainState.text.lower())
    assert not user.ui.trainButton.enabled
    assert "running" in user.ui.trainButton.toolTip
    user.click(user.ui.trainCancelButton)
    user.waits_for("The server has stopped the training")
    assert training(teaching)["status"] == "STOPPED"


def test_server_killed_meanwhile(user: Any, teaching: Server) -> None:
    ready(user, teaching)
    endless(user, teaching, "lost")
    children = psutil.Process(teaching.process.pid).children(recursive=True)
    teaching.kill()
    for child in children:  # the training of a server that was killed goes on by itself
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    user.waits_for("connection to the server was lost")
    teaching.start()
    ready(user, teaching)
    assert "lost" not in models(teaching)
    assert user.ui.trainButton.enabled


def test_nothing_to_learn_from(user: Any, tmp_path: Path) -> None:
    server = Server(tmp_path, **FRUGAL)
    planted_studies(server.studies, server.home, count=24)
    shutil.rmtree(server.studies / "labels")
    with server:
        ready(user, server)
        user.click(user.ui.trainButton)
        user.waits_for("Not trained")
        assert "submit labels" in user.sees()
        assert user.ui.trainButton.enabled
