"""The panel and the real server: ranking, walking, stopping, and what may go wrong meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slicer
from XAIPanels.volumes import array_of
from XAIPropertyLib.tables import properties

from tests.slicer.server_fixtures import STUDY


@pytest.fixture
def connected(user: Any, server: Any) -> Any:
    """The person has connected and chosen a study, few steps and no controls."""
    user.connect_to(server.url)
    user.takes_study(STUDY)
    user.ui.stepsSpin.value = 2
    user.ui.controlsSpin.value = 0
    return user


def long_run(user: Any, server: Any) -> None:
    """A ranking that takes minutes, on the server."""
    user.ui.stepsSpin.value = 201
    user.ui.controlsSpin.value = 999
    user.click(user.ui.runButton)
    user.waits(lambda: server.jobs() and server.newest_job()["state"] == "running")


def test_rank_then_walk(connected: Any, server: Any) -> None:
    user = connected
    ranking = user.asks(user.ui.runButton)
    document = user.panel.logic.result(ranking).document
    names = properties(document)
    assert len(names) >= 8
    assert len(user.rows()) == len(names)
    assert "Done" in user.sees()
    assert "colour patch" in user.sees().lower()  # not possible on such an image, with the reason
    row = next(place for place, cells in enumerate(user.rows()) if cells[0] == "Contrast")
    user.clicks_row(row)
    assert user.panel.question.property_name == "contrast"
    assert "Walk along contrast" in user.sees()
    assert "Not compared with control changes" in user.sees()
    user.ui.controlsSpin.value = 1
    walk = user.asks(user.ui.walkButton)
    assert "against 1 arbitrary change" in user.sees()
    found = user.panel.logic.result(walk)
    assert found.walked
    assert found.source is user.panel.logic.result(ranking).source
    neutral = found.curve.neutral
    assert int(user.ui.stepSlider.value) == neutral
    np.testing.assert_allclose(array_of(found.image), array_of(found.source))
    user.drags(0)
    assert np.abs(array_of(found.image).astype(float) - array_of(found.source)).max() > 0
    jobs = len(server.jobs())
    user.click(user.ui.rankingButton)
    assert user.panel.result.shown is ranking
    user.click(user.ui.walkButton)
    user.waits_for("made already")
    assert (user.panel.result.shown, len(server.jobs())) == (walk, jobs)
    user.click(user.ui.reportButton)
    user.waits_for("The report is open")


def test_refusals_in_words(connected: Any) -> None:
    user = connected
    user.choose(user.ui.propertyCombo, "Noise")
    user.click(user.ui.rangeBox)
    user.ui.lowSpin.value, user.ui.highSpin.value = 1.0, 0.0
    assert "must begin below its end" in user.sees()
    assert not user.ui.walkButton.enabled
    user.ui.lowSpin.value, user.ui.highSpin.value = -3.0, -1.0
    user.click(user.ui.walkButton)
    user.waits_for("Not measured")
    assert user.panel.logic.results() == []


def test_cancel(connected: Any, server: Any) -> None:
    user = connected
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    long_run(user, server)
    user.click(user.ui.cancelButton)
    user.waits_for("Cancelled.")
    assert user.ui.runButton.enabled
    assert server.newest_job()["state"] == "cancelled"
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
