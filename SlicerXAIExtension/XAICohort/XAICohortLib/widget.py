"""The panel: sections put together, one case opened at a time, and what becomes of it when the scene changes."""

from __future__ import annotations

from html import escape

import slicer
from slicer.i18n import tr as _
from XAILib.cohorts import Case
from XAILib.sample import HINT, NAME
from XAIPanels.choosing import enable
from XAIPanels.job_state import JobState
from XAIPanels.server_section import ServerSection
from XAIPanels.tasks import Tasks
from XAIPanels.words import RESEARCH_USE

from .case_section import CaseSection
from .cohort_section import CohortSection
from .logic import CohortLogic
from .opener import CaseOpener
from .server import ask, found
from .sources import SAMPLE_CASE, SampleSource, Source


class CohortPanel:
    """Everything that is seen of the module.

    Attributes:
        root: the widget to put into the module's layout.
    """

    def __init__(self, ui_file: str) -> None:
        self.root = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.ui.researchNote.text = f"<small>{escape(RESEARCH_USE)}</small>"
        self.logic = CohortLogic()
        self._tasks = Tasks()
        self.server = ServerSection(self.ui, self._tasks, ask, found, self._server_changed)
        self.state = JobState(self.ui, _("Not opened"))
        self.opener = CaseOpener(self.state, self.logic, self._tasks, self.refresh, self.server.lost)
        self.cohort = CohortSection(
            self.ui, self.logic, self._tasks, self._open_case, self.refresh, self.server.lost
        )  # fmt: skip
        self.case = CaseSection(
            self.ui, self.logic, self.opener.measure, self.opener.bring_back, self.refresh, self._tasks
        )
        self.ui.sampleButton.connect("clicked()", self.open_sample)
        self.ui.cancelButton.connect("clicked()", self.opener.cancel)
        self._later = self._tasks.timer(0, self.refresh, once=True)
        self.logic.on_change = self._later.start
        self.root.setMRMLScene(slicer.mrmlScene)
        self.restore()

    def restore(self) -> None:
        """Take the choices and cases of the scene."""
        self.server.propose(self.logic.parameters().server_url)
        self.cohort.restore()
        self.case.restore()
        self.logic.draw()
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        busy = self.opener.busy
        self.server.refresh()
        self.cohort.refresh(busy)
        self.case.refresh(busy, self.opener.measuring)
        waiting = _("A case is being opened; wait for it, or cancel.") if busy else ""
        enable(self.ui.sampleButton, _("Connecting …") if self.server.connecting else waiting, HINT)
        self.ui.cancelButton.enabled = busy
        self.ui.cancelButton.toolTip = (
            _("Stop opening the case; the scene stays as it was.") if busy else _("Nothing is being opened.")
        )

    def open_sample(self) -> None:
        """Open the synthetic patient of the server; connect first where that is not done."""
        server = self.server.server
        if server is None:
            self.server.connect_server(then=self.open_sample)
        else:
            self.opener.open(SampleSource(server.client), NAME, SAMPLE_CASE)

    def scene_closing(self) -> None:
        """The cases go; so does the one that is being opened."""
        self.server.forget_plans()
        self.opener.forget()
        self.state.say("")
        self.case.say("")

    def leave(self) -> None:
        """Another module is shown."""
        self.logic.look_away()

    def enter(self) -> None:
        """The module is shown again."""
        self.logic.look_back()

    def close(self) -> None:
        """Stop everything and let go of the scene; the panel cannot be used afterwards."""
        self._later.stop()
        self.opener.close()
        self.logic.close()
        self._tasks.close()
        self.server.close()

    def _open_case(self, source: Source, cohort: str, case: Case) -> None:
        if self.server.server is not None:
            self.logic.parameters().server_url = self.server.server.client.url
        self.opener.open(source, cohort, case)

    def _server_changed(self) -> None:
        self.cohort.fill(self.server.server)
        self.refresh()
