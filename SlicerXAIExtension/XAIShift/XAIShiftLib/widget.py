"""The panel: sections put together, one attribution at a time, and what becomes of it when the scene changes."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from threading import Event
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from XAILib.client import OnProgress
from XAILib.result import Result
from XAILib.tray_entry import Entry
from XAIPanels.choosing import enable
from XAIPanels.job_state import JobState
from XAIPanels.job_tray_home import About, home
from XAIPanels.one_job import OneJob
from XAIPanels.reports import Reports
from XAIPanels.server_section import ServerSection
from XAIPanels.tasks import Tasks
from XAIPanels.turns import Steps
from XAIPanels.words import RESEARCH_USE, duration

from .attribution import title_of
from .case_opener import CaseOpener
from .data_section import DataSection
from .environment_section import EnvironmentSection
from .logic import ShiftLogic
from .options_section import OptionsSection, burdens, pair_words
from .result_section import ResultSection
from .server import ShiftServer, ask, found
from .words import JOB, METHOD
from .work import attribute, complete

CANCELLED = _("Cancelled. The server has stopped the computation; predictions that it had made are kept there.")
SCENE_CLOSED = _("The scene was closed. Its attribution goes on; see “Jobs” below.")
SAME = _("Source and target are the same; choose another rater or other cases for one of them.")
EARLIER = _(
    "This result was made in an earlier session; attribute the drop again to get its report. It takes a moment."
)
RUNNING = _("An attribution is running; cancel it, or put it in the background in “Jobs” below.")


class ShiftPanel:
    """Everything that is seen of the module.

    Attributes:
        root: the widget to put into the module's layout.
    """

    def __init__(self, ui_file: str) -> None:
        self.root = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.ui.researchNote.text = f"<small>{RESEARCH_USE}</small>"
        self.logic = ShiftLogic()
        self._tasks = Tasks()
        self.server = ServerSection(self.ui, self._tasks, ask, found, self._server_changed)
        self.state = JobState(self.ui, _("Not attributed"))
        self.job = OneJob(self._tasks, self.state, self.server.lost, self.refresh, CANCELLED)
        self.data = DataSection(self.ui, self.logic, self._tasks, self._data_changed, self.server.lost)
        self.source = EnvironmentSection(self.ui, "source", self.logic, _first, self._selection_changed)
        self.target = EnvironmentSection(self.ui, "target", self.logic, _second, self._selection_changed)
        self.options = OptionsSection(self.ui, self.logic, self.refresh)
        self.opener = CaseOpener(self.ui, self.logic, self._tasks, self.refresh, self.server.lost)
        self.result = ResultSection(self.ui, self.logic, self._open_case, self.opener.show, self.refresh)
        self.reports = Reports(self._tasks, self.result.say, EARLIER)
        self.ui.runButton.connect("clicked()", self.attribute)
        self.ui.cancelButton.connect("clicked()", self.cancel)
        self.ui.cancelCaseButton.connect("clicked()", self.opener.cancel)
        self.ui.reportButton.connect("clicked()", self.open_report)
        self.ui.saveButton.connect("clicked()", self.save_report)
        self._later = qt.QTimer()
        self._later.singleShot = True
        self._later.interval = 0
        self._later.connect("timeout()", self.follow_scene)
        self.logic.on_change = self._later.start
        self.root.setMRMLScene(slicer.mrmlScene)
        self.restore()

    def restore(self) -> None:
        """Take the choices and results of the scene."""
        self.server.propose(self.logic.parameters().server_url)
        for section in (self.source, self.target):
            section.restore()
        self.options.restore(self._method)
        self.data.restore()
        self.follow_scene()

    def follow_scene(self) -> None:
        """Nodes came or went."""
        self.result.update()
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        running = self.job.running
        reason = _("Connecting …") if self.server.connecting else self.data.reason
        self.server.refresh()
        self.data.refresh(running)
        for section in (self.source, self.target):
            section.refresh(running, reason)
        self.options.refresh(running)
        self._refresh_run(running, reason or self._selection_reason())
        connected = "" if self.server.server is not None else _("Connect to the server first.")
        opening = _("A case is being opened; wait for it, or stop it.") if self.opener.busy else ""
        report = connected or self.reports.reason(self.result.shown)
        self.result.refresh(opening or connected, self.opener.busy, report)

    def attribute(self) -> None:
        """What the one big button does."""
        server, cohort = self.server.server, self.data.cohort
        if self.job.running or server is None or cohort is None or self._selection_reason():
            return
        parameters: dict[str, Any] = {
            **self.options.options,
            "source": self.source.environment.document(),
            "target": self.target.environment.document(),
        }
        client, name, model = server.client, cohort.name, self.data.model
        started = time.monotonic()
        choices = self.logic.parameters()
        choices.server_url, choices.cohort = self.server.url, name

        def work(stop: Event, progress: OnProgress) -> Result:
            return attribute(client, name, model, parameters, stop, progress)

        about = About(METHOD, JOB, name, again=self.attribute)
        self.job.start(work, lambda result: self._attributed(result, started), about)

    def cancel(self) -> None:
        """Stop the running attribution, here and on the server."""
        self.job.cancel()

    def scene_closing(self) -> None:
        """The results go; the job goes on in the tray."""
        self.reports.forget()
        self.server.forget_plans()
        self.opener.forget()
        self.state.say("")
        self.job.leave(SCENE_CLOSED)

    def close(self) -> None:
        """Let go of the scene; a job goes on in the tray. The panel cannot be used afterwards."""
        self._later.stop()
        self.logic.close()
        self.opener.close()
        self.job.close()
        self._tasks.close()
        self.reports.close()
        self.server.close()

    def show(self, node: Any) -> None:
        """Show a result."""
        self.result.show(node)
        self.refresh()

    def open_job(self, entry: Entry, _volume: Any) -> None:
        """Put the result of a job of the tray into the scene, and show it."""
        client = home().tray.reached(entry)
        if client is None or self.job.running:
            return
        started = time.monotonic()

        def work(stop: Event, progress: OnProgress) -> Result:
            return complete(client.result(entry.job, stop, progress))

        def done(result: Result) -> Steps:
            node = yield from self._attributed(result, started)
            home().opened(entry, node)

        self.job.start(work, done)

    def open_report(self) -> None:
        """Open the shown result's report in the web browser."""
        server, node = self.server.server, self.result.shown
        if server is not None and not self.reports.reason(node):
            self.reports.open(server.client, node)

    def save_report(self) -> None:
        """Ask where, then save the shown result's report."""
        server, node = self.server.server, self.result.shown
        if server is None or self.reports.reason(node):
            return
        proposed = str(Path.home() / "shift-attribution.html")
        answer = qt.QFileDialog.getSaveFileName(self.root, _("Save report"), proposed, _("HTML page (*.html)"))
        chosen = str(answer[0] if isinstance(answer, (list, tuple)) else answer)
        if chosen:
            path = Path(chosen)
            self.reports.save(server.client, node, path if path.suffix else path.with_suffix(".html"))

    def _open_case(self, node: Any, case: str) -> None:
        if self.server.server is not None:
            self.opener.open(self.server.server, node, case)

    def _refresh_run(self, running: bool, reason: str) -> None:
        hint = _("Compare the model's performance in source and target, and say where the difference comes from.")
        enable(self.ui.runButton, RUNNING if running else reason, hint)
        self.ui.cancelButton.enabled = running and not self.job.stopping
        self.ui.cancelButton.toolTip = (
            _("Stop the computation on the server too.") if running else _("Nothing is running.")
        )
        self.ui.hintLabel.visible = bool(reason) and not running
        self.ui.hintLabel.text = escape(reason)
        selected = (self.source.selected, self.target.selected)
        words = pair_words(self.source.environment, self.target.environment, selected)
        self.ui.pairLabel.text = escape(words)
        self.ui.pairLabel.visible = bool(words) and not reason

    def _selection_reason(self) -> str:
        if reason := self.source.reason or self.target.reason:
            return reason
        return SAME if self.data.cohort is not None and self.source.environment == self.target.environment else ""

    @property
    def _method(self) -> Any:
        server: ShiftServer | None = self.server.server
        return server.shift if server is not None else None

    def _server_changed(self) -> None:
        self.data.fill(self.server.server)
        self.options.fill(self._method)
        self._data_changed()

    def _data_changed(self) -> None:
        for section in (self.source, self.target):
            section.fill(self.data.cohort)
        self._selection_changed()

    def _selection_changed(self) -> None:
        cohort = self.data.cohort
        if cohort is not None:
            selected = (*self.source.selected, *self.target.selected)
            raters = (self.source.environment.rater, self.target.environment.rater)
            self.options.offer_burdens(*burdens(cohort, selected, raters))
        self.refresh()

    def _attributed(self, result: Result, started: float) -> Steps:
        document = dict(result.document)
        node = self.logic.add(document)
        self.reports.remember(node, result.job)
        yield
        self.result.say("")
        self.result.show(node)
        yield
        for section in (self.data, self.source, self.target, self.options):
            section.collapse()
        self.state.succeed(
            _("{document}, in {time}.").format(document=title_of(document), time=duration(time.monotonic() - started))
        )
        return node


def _first(raters: list[str]) -> str:
    return raters[0] if raters else ""


def _second(raters: list[str]) -> str:
    """Another rater than the first, as a target that differs."""
    return raters[min(1, len(raters) - 1)] if raters else ""
