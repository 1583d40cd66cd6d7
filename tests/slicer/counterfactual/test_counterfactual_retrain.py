"""From the panel to a new model and back to the same case, on a real server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from counterfactual_server import bright, submit

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore
from tests.conftest import spotted_brain
from tests.support.classifier import store_classifier
from tests.support.halves import halves_cohort
from tests.support.server import FRUGAL, Server

CASES = 12
NEW = "regions-aligned"
ASKED = "brain"


@pytest.fixture(scope="module")
def teaching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an untrained classifier, and cases with masks and reviews to learn from."""
    server = Server(tmp_path_factory.mktemp("teaching"), **FRUGAL)
    cases = halves_cohort(server.studies, CASES)
    digest = store_classifier(ModelStore(server.home / "models"), "regions")
    brain, _ = spotted_brain(seed=20)
    write_volume(server.studies / f"{ASKED}.nii.gz", brain)
    with server:
        for number, case in enumerate(cases):
            draw(server, f"{case.id}_FLAIR", case.image("FLAIR"))
            found = {"left": case.metadata["left_ml"] > 0, "right": case.metadata["right_ml"] > 0}
            body = {"model": "regions", "digest": digest, "decision": "corrected"}
            body["labels"] = found | {"middle": number % 3 == 0}
            answer = server.request("PUT", f"/explain/worklist/{case.id}_FLAIR", json=body)
            assert answer.status_code == 200, answer.text
        draw(server, ASKED, brain)
        yield server


def draw(server: Server, study: str, image: Volume) -> None:
    """Submit an expert's mask of a study."""
    path = server.root / "mask.nii.gz"
    write_volume(path, bright(image))
    submit(server, study, path)


def ready(user: Any, server: Server) -> Any:
    """Connected, with an image of the server, its classifier and an open section of the training."""
    user.connect_to(server.url)
    user.takes_study(ASKED)
    user.choose(user.ui.modelCombo, "regions")
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


def test_retrain_and_ask_again(user: Any, teaching: Server) -> None:
    ready(user, teaching)
    first = user.asks()
    assert user.ui.nameEdit.text == NEW
    assert user.ui.epochsSpin.value == 6  # the server's own
    user.type(user.ui.nameEdit, "not a name")
    assert not user.ui.trainButton.enabled
    assert "letters, digits" in user.ui.trainHint.text
    user.type(user.ui.nameEdit, "regions")
    assert "already" in user.ui.trainHint.text
    user.type(user.ui.nameEdit, NEW)
    user.ui.epochsSpin.value = 1
    user.click(user.ui.trainButton)
    assert not user.ui.trainButton.enabled
    user.waits(lambda: user.ui.modelCombo.currentText == NEW or "Not trained" in user.sees())
    assert f"“{NEW}” is ready" in user.sees()
    assert user.ui.nameEdit.text == f"{NEW}-aligned"
    user.click(user.ui.againButton)
    user.waits(lambda: len(user.panel.logic.results()) == 2 or "Not found" in user.sees())
    rows = user.rows(user.ui.compareTable)
    assert [row[0] for row in rows] == ["regions", NEW]
    assert all(row[4].endswith("%") for row in rows)
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
    write_volume(server.studies / f"{ASKED}.nii.gz", spotted_brain(seed=20)[0])
    store_classifier(ModelStore(server.home / "models"), "regions")
    with server:
        ready(user, server)
        user.click(user.ui.trainButton)
        user.waits_for("Not trained")
        assert "submit labels" in user.sees()
        assert user.ui.trainButton.enabled
