"""The researcher: a cohort of two centres, why the model does worse in one of them, the case behind it, the report."""

from __future__ import annotations

from pathlib import Path

import slicer
from PySide6 import QtCore
from shift_user import ATTRIBUTION_SECONDS

from .desk import Desk, Site, Step, Walk
from .people import CohortReader, Researcher


def walk(desk: Desk, site: Site, folder: Path) -> Walk:
    """From the cohort to the report `folder/report.html`."""
    yield from _looks_at_the_cohort(desk, site)
    user = desk.open("XAIShift", Researcher)
    user.is_connected(site.url)
    user.waits(lambda: user.panel.data.cohort is not None)
    if user.panel.data.cohort.name != site.cohort:
        user.choose(user.ui.cohortCombo, site.cohort)
        user.waits(lambda: user.panel.data.cohort is not None and user.panel.data.cohort.name == site.cohort)
    user.choose(user.ui.modelCombo, site.segmenter)
    for role, centre, rater in zip(("source", "target"), site.centres, site.raters, strict=True):
        user.check(role, centre)
        user.choose(getattr(user.ui, f"{role}RaterCombo"), f"{rater} ")
    yield Step(
        "choose",
        "Shift Attribution: the source is where the model does well, the target where it is used; values and raters "
        "select the cases of each.",
        user,
    )
    user.click(user.ui.runButton)
    user.waits(lambda: not user.panel.job.running, ATTRIBUTION_SECONDS)
    text = user.sees()
    assert "Done: " in text, text
    assert "What to do" in text
    assert any(word in text for word in ("Reliable –", "Caution –", "Unreliable –"))
    yield Step(
        "attribution",
        "What patients, scanner and raters cost, with intervals; the verdict says whether the data support these "
        "shares.",
        user,
    )
    user.chooses_case(user.ui.caseTable.item(0, 1).text())
    user.click(user.ui.openCaseButton)
    user.waits_for_the_case()
    yield Step("case", "The worst case of the target: outlines of both raters, and the model's prediction.", user)
    user.click(user.ui.reportButton)
    user.waits_for("report is open")
    page = QtCore.QUrl(slicer.app.recorded.opened_urls[-1]).toLocalFile()
    text = Path(page).read_text(encoding="utf-8")
    assert "Shift" in text
    report = folder / "report.html"
    report.write_text(text, encoding="utf-8")
    yield Step("report", "The whole result as one HTML page, opened in the web browser.", user, report)


def _looks_at_the_cohort(desk: Desk, site: Site) -> Walk:
    user = desk.open("XAICohort", CohortReader)
    user.connect_to(site.url)
    user.waits(lambda: user.panel.server.server is not None)
    user.opens_case(site.cohort, site.case)
    yield Step(
        "cohort",
        "MSSEG Cohort: the cases with centre, scanner and raters; the opened one with the outlines of its raters.",
        user,
    )
