"""The radiologist: a case with all its masks, what the model finds and why, the doubtful images, a correction."""

from __future__ import annotations

from pathlib import Path

import slicer

from .desk import Desk, Site, Step, Walk
from .people import CohortReader, Reviewer, SaliencyReader


def walk(desk: Desk, site: Site, folder: Path) -> Walk:
    """From opening a case to the saved scene `folder/reading.mrb`."""
    yield from _opens_a_case(desk, site)
    yield from _asks_why(desk, site)
    yield from _reviews(desk, site, folder)


def _opens_a_case(desk: Desk, site: Site) -> Walk:
    user = desk.open("XAICohort", CohortReader)
    user.connect_to(site.url)
    user.waits(lambda: user.panel.server.server is not None)
    case = user.opens_case(site.cohort, site.case)
    assert {"FLAIR"} <= set(case.images)
    assert len(case.segments) > 1
    yield Step(
        "case",
        "MSSEG Cohort: a case of the server's cohort with its modalities side by side, the outline of every rater, and "
        "how much they agree.",
        user,
    )
    if len(case.images) > 1:
        user.click(user.ui.sideBox)
    user.click(user.ui.agreementBox)
    user.hides_raters(but="Consensus")
    user.folds("dice")
    yield Step(
        "agreement",
        "In the usual layout, only the consensus is outlined; the map says how many raters marked each voxel.",
        user,
    )
    user.click(user.ui.agreementBox)


def _asks_why(desk: Desk, site: Site) -> Walk:
    user = desk.open("XAISaliency", SaliencyReader, tab=0)
    user.is_connected(site.url)
    user.open_section("imageSection")
    user.choose(user.ui.modelCombo, site.segmenter)
    flair = next(node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if "FLAIR" in node.GetName())
    user.ui.inputSelector.setCurrentNode(flair)
    yield Step(
        "ask",
        "Saliency & Review: the FLAIR of the case is chosen already; one button asks the model what it finds, and why.",
        user,
    )
    user.click(user.ui.runButton)
    found = user.waits_for_result(1)
    assert user.ui.lesionTable.rowCount > 0
    user.click_row(0)
    yield Step(
        "saliency",
        "The predicted lesions are outlined in green; the coloured map shows what made the model decide so, and the "
        "verdict whether this map can be trusted.",
        user,
    )
    lesions = user.panel.logic.lesions(found.node)
    largest = max(lesions, key=lambda lesion: lesion.volume)
    user.click_row(lesions.index(largest))
    user.click(user.ui.explainLesionButton)
    user.waits_for_result(2)
    yield Step("lesion", "One lesion explained alone: a row of the table, or a click on the lesion in a view.", user)


def _reviews(desk: Desk, site: Site, folder: Path) -> Walk:
    user = desk.open("XAISaliency", Reviewer, tab=1)
    user.is_connected(site.url)
    user.waits(lambda: not user.panel.feed.fetching)
    user.choose(user.ui.modelCombo, site.classifier)
    user.waits(lambda: user.panel.feed.worklist is not None and user.panel.feed.worklist.model == site.classifier)
    user.scores()
    yield Step("worklist", "The worklist: the images whose predictions are most likely to be wrong come first.", user)
    user.click(user.ui.nextButton)
    first = user.rows()[0]
    user.waits_for_the_image(first)
    user.folds("model")
    yield Step("flagged", "The most suspicious image is open: which classes are flagged, and why, in words.", user)
    user.click(user.ui.correctButton)
    label = user.panel.item.classes.chosen
    user.checks_class(label)
    user.type(user.ui.commentEdit, "seen on the sagittal view as well")
    yield Step("correct", "A class is corrected by its box; a comment says why.", user)
    user.click(user.ui.saveButton)
    user.waits_for(f"Written: {first} is corrected.")
    assert slicer.mrmlScene.WriteToMRB(str(folder / "reading.mrb"), None, None)
    yield Step("saved", "The correction is written to the server, and the next open image comes by itself.", user)
