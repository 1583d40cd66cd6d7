"""From a cohort to a case with all modalities and raters, driven by clicks: a folder, and the real server."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slicer
from PySide6 import QtCore, QtTest, QtWidgets
from slicer_double import helpers
from XAICohortLib import sources
from XAIPanels.volumes import array_of

from slicerxai.data.io import read_volume


@pytest.fixture
def reader(user: Any, msseg: Path) -> Any:
    """A person who has chosen the folder."""
    user.enters_folder(msseg)
    return user


def volumes() -> int:
    return len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))


def test_from_a_folder_to_a_case(reader: Any, msseg: Path) -> None:
    user = reader
    assert "3 cases; raters: 1–7, consensus." in user.sees()
    assert user.row(user.ui.caseTable, 2)[:5] == [
        "07_03",
        "07",
        "1–6, consensus",
        "no GADO, no mask of 7",
        "Siemens Aera 1.5T",
    ]
    assert not user.ui.openButton.enabled
    assert "Choose a case" in user.ui.openButton.toolTip
    node = user.opens_case("01_02")
    found = user.panel.logic.case(node)
    assert "Done: 01_02 with FLAIR, T1, T2, PD, GADO; masks: 1–7, consensus." in user.sees()
    for modality, file in (("FLAIR", "FLAIR"), ("PD", "DP")):
        given = read_volume(msseg / "Center_01" / "Patient_02" / "Preprocessed_Data" / f"{file}_preprocessed.nii.gz")
        assert np.array_equal(array_of(found.images[modality]), given.array)
    mask = read_volume(msseg / "Center_01" / "Patient_02" / "Masks" / "ManualSegmentation_2.nii.gz")
    rater = user.row(user.ui.raterTable, 1)
    assert rater[0] == "Rater 2"
    assert float(rater[1]) == pytest.approx(mask.array.sum() * mask.voxel_volume / 1000, abs=0.05)
    assert "Mean Dice of the pairs of 7 raters" in user.sees()
    assert user.ui.diceTable.rowCount == 8
    assert user.ui.caseTable.item(1, 0).font().bold()
    assert user.row(user.ui.caseTable, 1)[5] == "3 × 3 × 3 mm"
    assert slicer.app.recorded.messages == []


def test_views_rows_and_boxes_do_what_they_say(reader: Any) -> None:
    user = reader
    found = user.panel.logic.case(user.opens_case("01_01"))
    display = found.masks.GetDisplayNode()
    user.ticks("Rater 3")
    assert not display.GetSegmentVisibility("rater 3")
    helpers.click_item(user.ui.raterTable, 1)
    user.press(user.ui.raterTable, QtCore.Qt.Key.Key_Return)
    assert [display.GetSegmentVisibility(name) for name in found.segments.values()] == [False, True] + [False] * 6
    user.press(user.ui.raterTable, QtCore.Qt.Key.Key_Return)
    assert all(display.GetSegmentVisibility(name) for name in found.segments.values())
    before = helpers.render_all(user.app)
    user.click(user.ui.agreementBox)
    assert (helpers.render_all(user.app) != before).any()
    assert user.ui.opacitySlider.enabled
    drawn = [rater for rater, name in found.segments.items() if display.GetSegmentVisibility(name)]
    assert drawn == ["consensus"]  # the boxes of the others are empty, and can be ticked
    user.ticks("Rater 1")
    assert display.GetSegmentVisibility("rater 1")
    user.click(user.ui.sideBox)
    user.choose(user.ui.modalityCombo, "T2")
    red = user.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert red.GetBackgroundVolumeID() == found.images["T2"].GetID()
    user.ui.opacitySlider.value = 30
    assert red.GetLabelOpacity() == pytest.approx(0.3)
    user.click(user.ui.sideBox)
    assert not user.ui.modalityCombo.enabled
    assert user.app.layoutManager().layout > 7200


def test_next_and_previous(reader: Any) -> None:
    user = reader
    assert "first case" in user.ui.previousButton.toolTip
    user.click(user.ui.nextButton)
    user.waits_for_the_case()
    assert user.panel.logic.shown.origin.case == "01_01"
    user.click(user.ui.nextButton)
    user.waits_for_the_case()
    user.click(user.ui.nextButton)
    user.waits_for_the_case()
    assert user.panel.logic.shown.origin.case == "07_03"
    assert "last case" in user.ui.nextButton.toolTip
    count = volumes()
    user.click(user.ui.previousButton)
    user.waits_for_the_case()
    assert "01_02 was open already." in user.sees()
    assert volumes() == count
    assert user.ui.openedCombo.count == 3


def test_removed_and_brought_back(reader: Any) -> None:
    user = reader
    user.opens_case("01_01")
    count = volumes()
    dice = user.row(user.ui.diceTable, 0)
    user.click(user.ui.removeButton)
    user.waits_for("No case is open.")
    assert volumes() == 0
    user.click(user.ui.undoButton)
    user.waits_for_the_case()
    assert volumes() == count
    assert user.row(user.ui.diceTable, 0) == dice
    assert not user.ui.undoButton.isVisible()


def test_edited_masks_are_measured_again(reader: Any) -> None:
    user = reader
    found = user.panel.logic.case(user.opens_case("01_01"))
    found.masks.GetSegmentation().RemoveSegment("rater 7")
    user.click(user.ui.measureButton)
    user.waits_for_the_case()
    assert user.ui.raterTable.rowCount == 7
    assert "pairs of 6 raters" in user.sees()


def test_the_table_is_saved(reader: Any, tmp_path: Path) -> None:
    user = reader
    agreement = user.panel.logic.case(user.opens_case("01_01")).agreement
    slicer.app.recorded.answers.append((str(tmp_path / "table"), ""))
    user.click(user.ui.exportButton)
    user.waits_for("The table is saved as")
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[0].startswith("case,rater,volume_ml,lesions,dice_consensus,dice_1")
    assert lines[2].split(",")[:4] == [
        "01_01",
        "2",
        f"{agreement.raters[1].volume_ml:.4f}",
        str(agreement.raters[1].lesions),
    ]
    slicer.app.recorded.answers.append((str(tmp_path / "nowhere" / "a.csv"), ""))
    user.click(user.ui.exportButton)
    user.waits_for("cannot be written")
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_a_damaged_file_leaves_nothing(user: Any, msseg: Path, tmp_path: Path) -> None:
    folder = tmp_path / "msseg"
    shutil.copytree(msseg, folder)
    file = folder / "Center_01" / "Patient_01" / "Masks" / "ManualSegmentation_4.nii.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:5000]))
    user.enters_folder(folder)
    user.chooses_case("01_01")
    user.click(user.ui.openButton)
    user.waits_for_the_case()
    assert "Not opened: " in user.sees()
    assert "ManualSegmentation_4.nii.gz is damaged" in user.sees()
    assert (volumes(), user.panel.logic.results()) == (0, [])
    shutil.rmtree(folder / "Center_01" / "Patient_02")
    user.chooses_case("01_02")
    user.click(user.ui.openButton)
    user.waits_for_the_case()
    assert "cannot be read (No such file or directory)" in user.sees()
    user.enters_folder(tmp_path / "nowhere")
    assert "is no folder" in user.sees()
    assert "is no folder" in user.ui.openButton.toolTip


@pytest.mark.parametrize("when", ["reading", "loading"])
def test_cancelled_and_scene_closed_in_between(reader: Any, when: str) -> None:
    user = reader
    for stop in (lambda: user.click(user.ui.cancelButton), lambda: slicer.mrmlScene.Clear(0)):
        user.chooses_case("01_01")
        user.click(user.ui.openButton)
        if when == "loading":
            user.waits(lambda: volumes() > 1)
        assert user.panel.opener.busy
        stop()
        user.waits_for_the_case()
        assert (volumes(), user.panel.logic.results()) == (0, [])
        assert "No case is open." in user.sees()
    assert user.opens_case("01_01") is not None


def test_module_closed_in_between(reader: Any) -> None:
    user = reader
    user.chooses_case("01_01")
    user.click(user.ui.openButton)
    user.waits(lambda: volumes() > 0)
    user.close_module()
    assert volumes() == 0


def test_saved_and_loaded(reader: Any, tmp_path: Path) -> None:
    user = reader
    user.opens_case("01_01")
    user.click(user.ui.agreementBox)
    before = [user.row(user.ui.raterTable, 3), user.row(user.ui.diceTable, 3), user.ui.aboutLabel.text]
    (tmp_path / "scene").mkdir()
    assert slicer.mrmlScene.SaveSceneToSlicerDataBundleDirectory(str(tmp_path / "scene"))
    (path,) = (tmp_path / "scene").glob("*.mrml")
    assert str(user.ui.folderEdit.text) not in path.read_text()
    slicer.mrmlScene.Clear(0)
    user.waits_for("No case is open.")
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.Connect()
    user.waits(lambda: user.panel.case.node is not None)
    assert [user.row(user.ui.raterTable, 3), user.row(user.ui.diceTable, 3), user.ui.aboutLabel.text] == before
    assert user.ui.agreementBox.checked
    shown = user.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert shown.GetLabelVolumeID() == user.panel.logic.shown.votes.GetID()


def test_a_cohort_of_the_server(user: Any, cohort_server: Any, msseg: Path) -> None:
    assert "Connect to the server first, or choose a local folder." in user.sees()
    user.connects(cohort_server.url)
    user.choose(user.ui.cohortCombo, "msseg  (3 cases)")
    user.waits(lambda: user.ui.caseTable.rowCount == 3)
    found = user.panel.logic.case(user.opens_case("07_03"))
    assert list(found.images) == ["FLAIR", "T1", "T2", "PD"]
    assert list(found.segments) == [*"123456", "consensus"]
    given = read_volume(msseg / "Center_07" / "Patient_03" / "Masks" / "ManualSegmentation_5.nii.gz")
    assert found.drawn()["5"].array.sum() == given.array.sum()
    assert "Mean Dice of the pairs of 6 raters" in user.sees()


def test_the_sample_case_needs_no_images(user: Any, cohort_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own sample takes long to compute and is tested with the server; here another case stands for it."""
    monkeypatch.setattr(sources, "sample_case", lambda client, *rest: client.case("msseg", "07_03", (), (), *rest))
    user.open_section("serverSection")
    user.type(user.ui.urlEdit, cohort_server.url)
    user.click(user.ui.sampleButton)
    user.waits(user.panel.logic.results)
    user.waits_for_the_case()
    assert "FLAIR" in user.panel.logic.shown.images
    assert user.panel.logic.shown.segments
    assert user.panel.logic.shown.origin.kind == sources.SAMPLE


def test_nobody_listens_at_the_address(user: Any) -> None:
    user.connect_to("http://127.0.0.1:9")
    assert "Not connected" in user.sees()
    assert not user.ui.openButton.enabled
    user.click(user.ui.sampleButton)
    user.waits(lambda: not user.panel.server.connecting)
    assert user.panel.logic.results() == []


def test_everything_can_be_reached_with_the_keyboard(reader: Any) -> None:
    user = reader
    user.opens_case("01_01")
    user.open_section("serverSection")
    user.panel.root.activateWindow()
    user.ui.urlEdit.setFocus()
    reached = set()
    for _ in range(40):
        focus = QtWidgets.QApplication.focusWidget()
        reached |= {focus.objectName, QtWidgets.QWidget.parentWidget(focus).objectName}
        QtTest.QTest.keyClick(focus, QtCore.Qt.Key.Key_Tab)
    wanted = {"urlEdit", "connectButton", "tokenEdit", "folderEdit", "browseButton", "caseTable", "openButton"}
    wanted |= {"nextButton", "sampleButton", "openedCombo", "sideBox", "raterTable", "agreementBox", "diceTable"}
    wanted |= {"measureButton", "exportButton", "removeButton", "clearButton"}
    assert wanted <= reached
