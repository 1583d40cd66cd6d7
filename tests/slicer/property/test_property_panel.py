"""The panel over results that are there: choosing a property, moving along it, playing, exporting, restarting."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from saliency_scenes import GRIDS, scan
from walks_by_hand import COURSES, DEPENDS, NEUTRAL, ORDINARY, QUIET, RANKED, VALUES, explanation, frame, prepared
from XAILib.nrrd import Volume
from XAIPanels.volumes import array_of

RAS = GRIDS["RAS"]


@pytest.fixture
def walked(user: Any) -> Any:
    """A ranking and a walk of one volume are there; the walk is shown."""
    volume = user.loads(scan(*RAS), RAS[0])
    logic = user.panel.logic
    logic.load(prepared(*RAS, names=RANKED), volume)
    user.panel.show(logic.load(prepared(*RAS), volume))
    return user


def test_a_row_shows_its_curve_and_the_walk_its_ranking(walked: Any) -> None:
    user = walked
    assert not user.ui.effectTable.isVisible()
    user.click(user.ui.rankingButton)
    assert [row[0] for row in user.rows()] == ["Lesion size", "Contrast", "Noise"]
    assert [row[-1] for row in user.rows()] == ["as others", "depends", "no change"]
    assert "Lesion volume (ml) depends on contrast." in user.sees()
    assert "Colour patch: the image has no <colours>" in user.sees()
    assert not user.ui.playButton.enabled
    user.clicks_row(1)
    seen = user.sees()
    assert "p = 0.05 against 19 arbitrary changes of the same size and course, the least that 19 can reach." in seen
    assert "0.15 after correction (Holm) for 3 properties" in seen
    assert "Effect: 1.9 ml over 0.6 to 1.6 (1.9 ml for 1 unit), rising." in seen
    user.drags(4)
    assert "Contrast 1.6 (the image as it is: 1)" in user.sees()
    assert "+1.4 from the image as it is" in user.sees()
    user.clicks_row(0)
    assert "Lesion size 0 mm – the image as it is" in user.sees()
    user.choose(user.ui.outputCombo, "Lesion probability")
    assert user.panel.walk._curve.effect.property == "lesion_size"
    user.drags(0)
    assert "The decision is another one here (limit 0.5)." in user.sees()


def test_slider_curve_and_image_move_together(walked: Any) -> None:
    user = walked
    found = user.panel.logic.shown
    for move in (lambda: user.drags(4), lambda: user.hovers(1, press=True), lambda: user.click(user.ui.backButton)):
        move()
        step = int(user.ui.stepSlider.value)
        np.testing.assert_array_equal(array_of(found.image), frame(*RAS, step))
        assert f"Contrast {VALUES[step]:g}" in user.ui.readoutLabel.text
    assert step == NEUTRAL
    before = user.panel.walk.view.pixmap.toImage()
    user.hovers(4)
    assert user.panel.walk.view.pixmap.toImage() != before
    assert int(user.ui.stepSlider.value) == NEUTRAL


def test_playing_goes_forth_and_back_and_stops(walked: Any) -> None:
    user = walked
    user.panel.walk._timer.interval = 1
    user.click(user.ui.playButton)
    places: list[int] = []

    def turned() -> bool:
        step = int(user.ui.stepSlider.value)
        places.extend([step] if not places or places[-1] != step else [])
        return 4 in places and places[-1] < 3

    user.waits(turned)
    assert all(abs(one - other) == 1 for one, other in pairwise(places))
    assert user.ui.playButton.text == "Pause"
    user.click(user.ui.backButton)
    assert not user.panel.walk._timer.isActive()
    assert int(user.ui.stepSlider.value) == NEUTRAL
    user.click(user.ui.playButton)
    user.module.exit()
    assert not user.panel.walk._timer.isActive()


def test_the_curve_is_exported(walked: Any, tmp_path: Path) -> None:
    user = walked
    for name in ("curve.csv", "curve.png"):
        user.app.recorded.answers.append((str(tmp_path / name), ""))
        user.click(user.ui.exportButton)
        user.waits_for(str(tmp_path / name))
        assert "The curve is saved as" in user.sees()
    rows = list(csv.reader(io.StringIO((tmp_path / "curve.csv").read_text())))
    assert rows[0] == ["step", "contrast", "lesion_volume_ml", "lesion_probability"]
    assert [float(row[1]) for row in rows[1:]] == list(VALUES)
    assert [float(row[2]) for row in rows[1:]] == list(COURSES["contrast"][0])
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    user.app.recorded.answers.append((str(tmp_path / "missing" / "curve.csv"), ""))
    user.click(user.ui.exportButton)
    user.waits_for("cannot be written")
    user.app.recorded.answers.append(("", ""))
    user.click(user.ui.exportButton)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.csv", "curve.png"]


def test_removing_and_undo(walked: Any) -> None:
    user = walked
    user.drags(1)
    user.click(user.ui.clearButton)
    assert "No result yet" in user.sees()
    user.click(user.ui.undoButton)
    user.waits(lambda: not user.ui.undoButton.isVisible())
    assert len(user.panel.logic.results()) == 2
    assert int(user.ui.stepSlider.value) == 1


def test_removing_while_the_undo_is_under_way_loses_nothing(walked: Any) -> None:
    user = walked
    user.click(user.ui.clearButton)
    user.ui.undoButton.click()
    user.ui.clearButton.click()
    assert not user.panel.logic.results()
    user.click(user.ui.undoButton)
    user.waits(lambda: not user.ui.undoButton.isVisible())
    assert len(user.panel.logic.results()) == 2


def test_restart(walked: Any, tmp_path: Path) -> None:
    user = walked
    user.choose(user.ui.outputCombo, "Lesion probability")
    user.drags(3)
    words = user.ui.readoutLabel.text, user.ui.effectLabel.text
    (tmp_path / "scene").mkdir()
    assert slicer.mrmlScene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    user.close_module()
    slicer.mrmlScene.Clear(0)
    user.opens_module_again("XAIProperty")
    user.waits_for("No result yet")
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.Connect()
    user.waits(lambda: user.panel.result.shown is not None)
    assert (user.ui.readoutLabel.text, user.ui.effectLabel.text) == words
    assert int(user.ui.stepSlider.value) == 3
    found = user.panel.logic.shown
    assert np.sort(array_of(found.image).ravel()).tolist() == np.sort(frame(*RAS, 3).ravel()).tolist()
    composite = user.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == found.image.GetID()


def test_images_deleted_by_hand_are_said(walked: Any) -> None:
    user = walked
    slicer.mrmlScene.RemoveNode(user.panel.logic.shown.frames)
    user.waits_for("The images of this walk were deleted")
    assert not user.ui.playButton.enabled
    user.drags(0)
    assert "Contrast 0.6" in user.ui.readoutLabel.text


def test_dragging_over_a_whole_head_is_quick(user: Any) -> None:
    """At 1 mm, with a watchdog that finds a main thread which does not answer."""
    affine, shape = np.diag([-1.0, 1.0, 1.0, 1.0]), (182, 218, 182)
    volume = user.loads(np.full(shape, 50, np.int16, order="F"), affine)
    made = prepared(*RAS, masks=False)
    frames = tuple(Volume(np.full(shape, 10 * step, np.int16, order="F"), affine) for step in range(len(VALUES)))
    user.panel.show(user.panel.logic.load(replace(made, walk=replace(made.walk, frames=frames)), volume))
    for step in (4, 0, 3, 1, NEUTRAL):
        user.drags(step)
        image = user.panel.logic.shown.image
        assert image.GetImageData() is user.panel.logic.shown.frames.GetNthDataNode(step).GetImageData()


def test_words_of_every_verdict() -> None:
    from XAIPropertyLib.tables import curve
    from XAIPropertyLib.words import headline, short, verdict_words

    document = explanation(*RAS, names=RANKED)
    tables = {name: {"columns": table.columns, "rows": table.rows} for name, table in document.tables.items()}
    told = {"tables": tables, "parameters": {"correction": "bh"}, "flags": []}
    found = curve(told, "noise", "lesion_volume_ml")
    assert found is not None
    assert "no change" in verdict_words(found, told)
    assert "Benjamini–Hochberg" in verdict_words(found, told)
    assert [short(verdict) for verdict in (DEPENDS, ORDINARY, QUIET, "not resolved: 5 steps")] == [
        "depends",
        "as others",
        "no change",
        "unclear",
    ]
    for row in tables["effects"]["rows"]:
        row[-1] = QUIET
    assert "does not depend" in headline(told, "lesion_volume_ml")
    tables["effects"]["rows"][0][-1] = "not resolved: 2 controls cannot reach 0.05"
    assert "does not depend" not in headline(told, "lesion_volume_ml")
    assert "for 1 of 3 properties" in headline(told, "lesion_volume_ml")
    assert curve(told, "gain", "lesion_volume_ml") is None
