"""The panel: sections put together, one job at a time, and what becomes of a job when the scene changes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Event
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from XAILib.client import OnProgress
from XAILib.tray_entry import Entry
from XAIPanels.documents import model_of
from XAIPanels.errors import SceneError
from XAIPanels.export import Snapshot
from XAIPanels.image_section import ImageSection, Source
from XAIPanels.image_server import ImageServer, ask, found
from XAIPanels.job_tray_home import About, home
from XAIPanels.nodes import in_scene
from XAIPanels.one_job import OneJob
from XAIPanels.reports import Reports
from XAIPanels.sending import fetched
from XAIPanels.server_section import ServerSection
from XAIPanels.tasks import Tasks
from XAIPanels.turns import Steps
from XAIPanels.words import RESEARCH_USE, duration

from .explain_section import RUNNING, ExplainSection
from .logic import SaliencyLogic
from .prepared import Prepared, prepare
from .result_section import ResultSection
from .server import saliency_of
from .words import JOB, METHOD
from .work import explain

CANCELLED = _("Cancelled. The server has stopped the computation; nothing was changed in the scene.")
SCENE_CLOSED = _("The scene was closed. Its explanation goes on; see “Jobs” below.")
VOLUME_REMOVED = _("The volume was removed meanwhile, so the result brings its own copy of the image.")
OTHER_LESION = _(
    "The centre of lesion {} lies nearer to another lesion, which was explained; pick it in the views instead."
)
UNREACHABLE = _("the server cannot be asked; see “Server” above.")


@dataclass(frozen=True)
class Wish:
    """What shall be explained: a whole image, or the lesion at a point (R, A, S in mm).

    Attributes:
        lesion: its number, where it is known.
    """

    source: Source
    point: tuple[float, float, float] | None = None
    lesion: int | None = None


class SaliencyPanel:
    """Everything that is seen of the module.

    Attributes:
        root: the widget to put into the module's layout.
    """

    def __init__(self, ui_file: str) -> None:
        self.root = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.ui.researchNote.text = f"<small>{RESEARCH_USE}</small>"
        self.ui.checksSection.collapsed = True
        self.logic = SaliencyLogic()
        self._tasks = Tasks()
        self._sources: dict[str, Source] = {}
        self.server: ServerSection[ImageServer] = ServerSection(self.ui, self._tasks, ask, found, self._server_changed)
        self.image = ImageSection(self.ui, self.logic, self.refresh, _("a saliency map"))
        self.explain = ExplainSection(self.ui, self.logic, self.explain_image, self.cancel)
        self.job = OneJob(self._tasks, self.explain, self.server.lost, self.refresh, CANCELLED)
        self.result = ResultSection(
            self.ui, self.logic, self.explain_point, self.open_report, self.refresh, self._tasks
        )
        self.reports = Reports(self._tasks, self.result.say)
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
        self.image.restore()
        self.explain.restore()
        self.follow_scene()

    def follow_scene(self) -> None:
        """Nodes came or went."""
        self.image.follow_scene()
        self.result.update()
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        running = self.job.running
        busy = RUNNING if running else ""
        self.server.refresh()
        self.image.refresh()
        reason = _("Connecting …") if self.server.connecting else self._server_reason() or self.image.reason
        self.explain.refresh(running, self.job.stopping, self.server.server is not None, reason)
        connecting = _("Connecting …") if self.server.connecting else ""
        shown = self.result.shown
        self.result.refresh(self._report_reason(shown))
        self.result.refresh_lesions(busy or connecting)

    def explain_image(self) -> None:
        """What the one big button does: connect if need be, then explain what is chosen."""
        self._explain(Wish(self.image.source))

    def explain_point(self, node: Any, point: tuple[float, float, float], lesion: int | None = None) -> None:
        """Explain one lesion of a result's image, with that result's model."""
        result = self.logic.result(node)
        source = self._sources.get(node.GetID()) or Source(result.source, "", model_of(result.document))
        if source.volume is not None and not in_scene(self.logic.scene, source.volume):
            source = Source(result.source, "", source.model)
        if source.volume is None and not source.study:
            self.explain.fail(_("the image of this result was removed from the scene; load it and explain it again."))
            return
        self._explain(Wish(source, point, lesion))

    def cancel(self) -> None:
        """Stop the running job, here and on the server."""
        self.job.cancel()

    def scene_closing(self) -> None:
        """The image of a running job goes; the job goes on in the tray."""
        self._sources.clear()
        self.reports.forget()
        self.server.forget_plans()
        self.explain.say("")
        self.job.leave(SCENE_CLOSED)

    def leave(self) -> None:
        """Another module is shown: a running job goes on, picking does not."""
        self.result.stop_picking()

    def close(self) -> None:
        """Let go of the scene; a job goes on in the tray. The panel cannot be used afterwards."""
        self._later.stop()
        self.result.close()
        self.logic.close()
        self.job.close()
        self._tasks.close()
        self.reports.close()
        self.server.close()

    def show(self, node: Any) -> None:
        """Show a result."""
        self.result.show(node)
        self.refresh()

    def open_job(self, entry: Entry, volume: Any) -> None:
        """Put the result of a job of the tray into the scene, and show it.

        Args:
            volume: what was explained; None, when it is not in the scene, loads the image that comes with the result.
        """
        client = home().tray.reached(entry)
        if client is None or self.job.running:
            return
        started = time.monotonic()
        source = Source(volume, "", None)

        def work(stop: Event, progress: OnProgress) -> Prepared:
            return fetched(client, entry.job, stop, progress, prepare)

        def done(result: Prepared) -> Steps:
            node = yield from self._explained(source, None, result, started)
            home().opened(entry, node)

        self.job.start(work, done)

    def _explain(self, wish: Wish) -> None:
        if self.job.running:
            return
        server = self.server.server
        if server is None:
            self.explain.say(_("Connecting to the server first …"))
            self.server.connect_server(lambda: self._explain(wish), lambda: self.explain.fail(UNREACHABLE))
            return
        source = self.image.with_model(wish.source)
        if reason := self._server_reason() or self.image.reason_against(source):
            self.explain.fail(reason)
            return
        started = time.monotonic()
        try:
            image = self._snapshot(source)
        except SceneError as error:
            self.explain.fail(str(error))
            return
        parameters = self.explain.parameters
        if wish.point is not None:
            parameters["point"] = [round(float(value), 3) for value in wish.point]
        self.logic.parameters().server_url = self.server.url
        client = server.client
        self.job.start(
            lambda stop, progress: explain(client, image, source.model, parameters, stop, progress),
            lambda result: self._explained(source, wish.lesion, result, started),
            About(METHOD, JOB, source.name, source.volume, lambda: self._explain(wish)),
        )

    def _snapshot(self, source: Source) -> Snapshot | str:
        """What is sent of the scene, or the id of a study."""
        if source.volume is None:
            return source.study
        channels = self.image.channels(source.model)
        name = channels[0] if channels else "image"
        return self.logic.snapshot(source.volume, name)

    def _explained(self, source: Source, lesion: int | None, result: Prepared, started: float) -> Steps:
        """Put a result into the scene and show it, step by step; returns its node."""
        node = self.logic.load(result, source.volume)
        self._sources[node.GetID()] = source
        self.reports.remember(node, result.job)
        yield
        yield from self.result.showing(node)
        yield
        notes = [_("{name}, in {time}.").format(name=node.GetName(), time=duration(time.monotonic() - started))]
        if source.volume is not None and not in_scene(self.logic.scene, source.volume):
            notes.append(VOLUME_REMOVED)
        if lesion is not None and self.result.explained not in (None, lesion):
            notes.append(OTHER_LESION.format(lesion))
        self.explain.succeed(" ".join(notes))
        return node

    def _server_changed(self) -> None:
        server = self.server.server
        self.image.fill(server)
        self.explain.fill(server)
        self.refresh()

    def _server_reason(self) -> str:
        server = self.server.server
        if server is not None and saliency_of(server) is None:
            return _("This server does not offer saliency; connect to another one.")
        return ""

    def _report_reason(self, node: Any) -> str:
        if self.server.server is None:
            return _("Connect to the server first.")
        return self.reports.reason(node)

    def open_report(self, node: Any) -> None:
        """Open the result's report in the web browser."""
        if self.server.server is not None and not self.reports.reason(node):
            self.reports.open(self.server.server.client, node)
