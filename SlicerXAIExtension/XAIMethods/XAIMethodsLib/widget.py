"""The panel: sections put together, one job at a time, and what becomes of it."""

from __future__ import annotations

import time
from typing import Any

from slicer.i18n import tr as _
from XAILib.catalogue import COHORT, Method
from XAILib.client import Client
from XAILib.tray_entry import Entry
from XAIPanels.export import Snapshot
from XAIPanels.image_panel import ImagePanel
from XAIPanels.image_section import Source
from XAIPanels.job_tray_home import About

from .cohort_section import CohortSection
from .logic import MethodsLogic
from .method_section import MethodSection
from .parameters import MODULE
from .picking import ViewPicker
from .prepared import Prepared, prepare
from .result_section import ResultSection
from .server import MethodsServer, ask
from .view_section import ViewSection
from .work import explain, explain_cohort


class MethodsPanel(ImagePanel[MethodsServer]):
    """Everything that is seen of the module."""

    MODULE = MODULE
    logic: MethodsLogic

    def __init__(self, ui_file: str) -> None:
        super().__init__(ui_file, MethodsLogic(), ask, _("part of a result"))
        self.picker = ViewPicker(self.logic)
        self.method = MethodSection(self.ui, self.logic, self.run_method, self.cancel, self.refresh, self.picker)
        self.cohort = CohortSection(self.ui, self.logic, self.image, self.refresh)
        result = ResultSection(self.ui, self.logic, self.open_report, self.follow_result, self._tasks)
        self.view = ViewSection(self.ui, self.logic, result.say)
        self.start(self.method, result)

    def restore_sections(self) -> None:
        self.method.restore()
        self.cohort.restore()
        self.view.restore()

    def follow_result(self) -> None:
        """Another result is shown."""
        self.view.update()
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        connecting = _("Connecting …") if self.server.connecting else ""
        method = self.method.method
        self.server.refresh()
        self.image.refresh()
        self.cohort.refresh(method)
        reason = connecting or self.method.reason or self.cohort.reason(method)
        self.method.refresh(self.job.running, self.job.stopping, self.server.server is not None, reason)
        self.result.refresh(self.report_reason())

    # --- asking ------------------------------------------------------------------------------------------------------

    def run_method(self) -> None:
        """What the one big button does: connect, or ask by the chosen method."""
        if self.server.server is None:
            self.connected(lambda: self.state.say(""))
            return
        method = self.method.method
        if method is None or self.job.running:
            return
        parameters = self.method.parameters
        if method.subject == COHORT:
            self._run_on_cohort(method, self.cohort.cohort, self.image.source.model, parameters)
        else:
            self._run_on_image(method, self.image.with_model(self.image.source), parameters)

    def open_job(self, entry: Entry, image: Any) -> None:
        """Show the result of a job of the tray.

        Args:
            image: the volume that was explained; None when it is not in the scene.
        """
        self.fetch(entry, image, prepare)

    def _run_on_image(self, method: Method, source: Source, parameters: Any) -> None:
        started = time.monotonic()

        def work(client: Client, image: Snapshot | str, stop: Any, progress: Any) -> Prepared:
            return explain(client, method.name, image, source.model, parameters, stop, progress)

        self.run(source, work, lambda result: self.loaded(source, result, started), method.name, method.title)

    def _run_on_cohort(self, method: Method, cohort: str, model: str | None, parameters: Any) -> None:
        server = self.server.server
        if server is None or self.job.running:
            return
        started, client = time.monotonic(), server.client
        self.logic.parameters().server_url = self.server.url
        source = Source(None, "", model)

        def work(stop: Any, progress: Any) -> Prepared:
            return explain_cohort(client, method.name, cohort, model, parameters, stop, progress)

        def again() -> None:
            self._run_on_cohort(method, cohort, model, parameters)

        about = About(method.name, method.title, cohort, None, again, MODULE)
        self.job.start(work, lambda result: self.loaded(source, result, started), about)

    # --- events ------------------------------------------------------------------------------------------------------

    def scene_closing(self) -> None:
        """The form stays as it is; what was picked in the views goes."""
        self.picker.stop()
        super().scene_closing()

    def leave(self) -> None:
        """Another module is shown: a running job goes on, picking does not."""
        self.picker.stop()

    def close(self) -> None:
        """Let go of the scene; jobs go on in the tray. The panel cannot be used afterwards."""
        self.method.close()
        super().close()

    def _server_changed(self) -> None:
        server = self.server.server
        self.image.fill(server)
        self.method.fill(server)
        self.cohort.fill(server)
        self.refresh()

    def _image_chosen(self) -> None:
        self.refresh()

    def _server_reason(self) -> str:
        return ""
