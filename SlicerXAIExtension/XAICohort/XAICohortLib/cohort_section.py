"""The section of the cohort: a server's or one in a folder, its cases, and opening them."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from threading import Event
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from XAILib.cohorts import Case, Cohort
from XAILib.errors import ServerError
from XAIPanels.choosing import chosen, enable, offer
from XAIPanels.errors import SceneError
from XAIPanels.task_list import Task, TaskList

from . import words
from .cohort_table import PROBLEMS, SPACING, CohortTable
from .logic import CohortLogic
from .server import CohortServer
from .sources import FOLDER, SERVER, FolderSource, ServerSource, Source, table_problems

SETTING = "ExplainableAI/cohortFolder"
"""Kept on this computer: a path may name people and places, and means nothing elsewhere."""
NOT_CONNECTED = _("Connect to the server first, or choose a local folder.")
NO_COHORT = _(
    "The server has no cohort yet. Whoever runs it can put one into its folder of cohorts: a folder of scans with the "
    "masks of one or more raters."
)
NO_FOLDER = _("Choose the folder of the cohort.")
NO_CASE = _("Choose a case in the table.")


class CohortSection:
    """Keeps the choices on the parameter node.

    Args:
        open_case: asked to open a case of a source; the cohort's name comes second.
        changed: called whenever a choice changed, or the cases came.
        lost: called with the error when the server does not give them.

    Attributes:
        cohort: the chosen one with its cases; None while they are not known.
    """

    def __init__(
        self,
        ui: Any,
        logic: CohortLogic,
        tasks: TaskList,
        open_case: Callable[[Source, str, Case], None],
        changed: Callable[[], None],
        lost: Callable[[ServerError], None],
    ) -> None:
        self.ui = ui
        self.cohort: Cohort | None = None
        self._logic = logic
        self._tasks = tasks
        self._open_case = open_case
        self._changed = changed
        self._lost = lost
        self._server: CohortServer | None = None
        self._source: Source | None = None
        self._task: Task | None = None
        self._failure = ""
        self.table = CohortTable(ui.caseTable, changed, self._open)
        ui.folderEdit.text = slicer.util.settingsValue(SETTING, "")
        ui.serverButton.connect("toggled(bool)", self._kind_chosen)
        ui.cohortCombo.connect("currentIndexChanged(int)", self._cohort_chosen)
        ui.folderEdit.connect("returnPressed()", self._folder_entered)
        ui.browseButton.connect("clicked()", self._browse)
        ui.openButton.connect("clicked()", self._open_chosen)
        ui.previousButton.connect("clicked()", lambda: self._step(-1))
        ui.nextButton.connect("clicked()", lambda: self._step(1))

    @property
    def kind(self) -> str:
        """Of the chosen source."""
        return FOLDER if self.ui.folderButton.checked else SERVER

    @property
    def reason(self) -> str:
        """Why no case can be opened; empty when one can."""
        if self._task is not None:
            return _("Reading the cohort …")
        if self.kind == FOLDER:
            return self._failure or ("" if self.cohort is not None else NO_FOLDER)
        if self._server is None and self.cohort is None:
            return NOT_CONNECTED
        if self._server is not None and not self._server.cohorts.sizes:
            return NO_COHORT
        return self._failure

    def restore(self) -> None:
        """Take the choices of the parameter node; an empty scene changes nothing."""
        kind = self._logic.parameters().kind or self.kind
        button = self.ui.folderButton if kind == FOLDER else self.ui.serverButton
        if not button.checked:
            button.checked = True
        self.fill(self._server)

    def fill(self, server: CohortServer | None) -> None:
        """Offer what the server has; an earlier choice stays where it is still offered."""
        gone = self._server is not None and server is None
        self._server = server
        sizes = server.cohorts.sizes if server else {}
        names = [f"{name}  ({words.cases(size)})" for name, size in sizes.items()]
        if not gone:
            offer(self.ui.cohortCombo, names, self._logic.parameters().cohort, sizes)
        if self.kind == SERVER and server is not None:
            self._read_server()

    def refresh(self, busy: bool) -> None:
        """Enable what can be used and say why the rest cannot."""
        ui, waiting = self.ui, _("A case is being opened; wait for it, or cancel.") if busy else ""
        by_server = self.kind == SERVER
        connected = "" if self._server is not None else _("Connect to the server first.")
        other = _("Choose “Server cohort” first.")
        enable(
            ui.cohortCombo,
            waiting or (connected if by_server else other),
            _("The cohort of the server; nothing is sent to it."),
        )
        for widget in (ui.folderEdit, ui.browseButton):
            widget.enabled = not by_server and not busy
        reason = waiting or self.reason
        number, cases = self._position, self.cohort.cases if self.cohort is not None else ()
        one = "" if self.table.chosen is not None else NO_CASE
        enable(ui.openButton, reason or one, _("Load all images and masks of the chosen case (Enter)."))
        first, last = _("This is the first case."), _("This is the last case.")
        enable(ui.previousButton, reason or (first if number <= 0 else ""), _("Open the case above (Alt+Left)."))
        enable(
            ui.nextButton, reason or (last if number >= len(cases) - 1 else ""), _("Open the case below (Alt+Right).")
        )
        ui.cohortState.text = self._words()
        ui.cohortState.visible = bool(ui.cohortState.text)
        ui.caseTable.visible = bool(cases)
        ui.cohortSection.text = _("Cohort") if self.cohort is None else f"{_('Cohort')} – {self.cohort.name}"
        self._mark()

    def _mark(self) -> None:
        found = self._logic.shown
        if found is None or self.cohort is None or found.origin.cohort != self.cohort.name:
            self.table.mark("", {})
            return
        image = next(iter(found.images.values()), None)
        name = found.origin.case
        known = {} if image is None else {SPACING: words.mm(image.GetSpacing())}
        lacking = table_problems(self.cohort).get(name, ())
        self.table.mark(name, {**known, PROBLEMS: ", ".join((*lacking, *found.problems)) or "–"})

    @property
    def _position(self) -> int:
        """Number of the case from which previous and next are counted; -1 before the first one."""
        cases = self.cohort.cases if self.cohort is not None else ()
        found = self._logic.shown
        known = found is not None and self.cohort is not None and found.origin.cohort == self.cohort.name
        chosen_case = self.table.chosen
        name = found.origin.case if known and found is not None else chosen_case.id if chosen_case else ""
        return next((number for number, case in enumerate(cases) if case.id == name), -1)

    def _step(self, by: int) -> None:
        if self.cohort is not None:
            number = min(max(self._position + by, 0), len(self.cohort.cases) - 1)
            self._open(self.cohort.cases[number])

    def _open_chosen(self) -> None:
        case = self.table.chosen
        if case is not None:
            self._open(case)

    def _open(self, case: Case) -> None:
        if self._source is not None and self.cohort is not None and not self.reason:
            self.table.choose(case.id)
            self._open_case(self._source, self.cohort.name, case)

    def _words(self) -> str:
        if self.reason or self.cohort is None:
            lines = [escape(self.reason)]
        else:
            drawn = words.raters(tuple(self.cohort.raters))
            text = _("{cases}; raters: {raters}.").format(cases=words.cases(len(self.cohort.cases)), raters=drawn)
            lines = [escape(text)]
        unusable = self._server.cohorts.unusable if self._server is not None and self.kind == SERVER else {}
        cannot = _("{name} cannot be used: {reason}")
        lines += [cannot.format(name=f"<i>{escape(name)}</i>", reason=escape(why)) for name, why in unusable.items()]
        return "<br>".join(line for line in lines if line)

    def _kind_chosen(self, _checked: bool) -> None:
        self._logic.parameters().kind = self.kind
        self._forget()
        if self.kind == FOLDER:
            if self.ui.folderEdit.text:
                self._read(FolderSource(Path(self.ui.folderEdit.text)))
        else:
            self._read_server()
        self._changed()

    def _cohort_chosen(self, _index: int) -> None:
        self._logic.parameters().cohort = str(chosen(self.ui.cohortCombo) or "")
        self._forget()
        self._read_server()
        self._changed()

    def _browse(self) -> None:
        start = self.ui.folderEdit.text or str(Path.home())
        folder = str(qt.QFileDialog.getExistingDirectory(self.ui.browseButton, _("Folder of the cohort"), start))
        if folder:
            self.ui.folderEdit.text = folder
            self._folder_entered()

    def _folder_entered(self) -> None:
        folder = str(self.ui.folderEdit.text).strip()
        qt.QSettings().setValue(SETTING, folder)
        self._forget()
        if folder:
            self._read(FolderSource(Path(folder)))
        self._changed()

    def _read_server(self) -> None:
        name = str(chosen(self.ui.cohortCombo) or "")
        if self._server is not None and name and self.kind == SERVER:
            self._logic.parameters().cohort = name
            self._read(ServerSource(self._server.client, name))

    def _read(self, source: Source) -> None:
        """Ask for the cases of a source."""
        if self._task is not None:
            self._tasks.drop(self._task)
        self._failure, self._source = "", source

        def read(stop: Event, _progress: Any) -> Cohort:
            return source.cohort(stop)

        self._task = self._tasks.start(read, self._arrived, self._failed)

    def _forget(self) -> None:
        """Another cohort is chosen; of this one nothing is shown any more."""
        if self._task is not None:
            self._tasks.drop(self._task)
        self._task, self._source, self.cohort, self._failure = None, None, None, ""
        self.table.fill(None)

    def _arrived(self, cohort: Cohort) -> None:
        self._task = None
        self.cohort = cohort
        self.table.fill(cohort)
        self._changed()

    def _failed(self, error: BaseException) -> None:
        self._task = None
        self._failure = _("The cohort cannot be read. {error}").format(error=error)
        self._changed()
        if isinstance(error, ServerError):
            self._lost(error)
            self._changed()
        elif not isinstance(error, SceneError):
            raise error
