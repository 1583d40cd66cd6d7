"""What the panels that explain one image at a time have in common: connecting first, one job, what becomes of it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any, ClassVar, Generic, TypeVar

import qt
import slicer
from slicer.i18n import tr as _
from XAILib.catalogue import Model
from XAILib.client import Client
from XAILib.result import Result
from XAILib.tray_entry import Entry

from .errors import SceneError
from .export import Snapshot
from .image_section import ImageSection, Source
from .image_server import ImageServer, found
from .job_state import JobState
from .job_tray_home import About, home
from .nodes import in_scene
from .one_job import OneJob
from .reports import Reports
from .result_frame import ResultFrame
from .result_logic import ResultLogic
from .sending import fetched
from .server_section import ServerSection
from .tasks import Tasks
from .turns import Steps
from .words import RESEARCH_USE, duration

CANCELLED = _("Cancelled. The server has stopped the computation; nothing was changed in the scene.")
SCENE_CLOSED = _("The scene was closed. The computation for its image goes on; see “Jobs” below.")
STEP_CANCELLED = _("The scene was closed, so the computation for its image was cancelled.")
VOLUME_REMOVED = _("The volume was removed meanwhile, so the result brings its own copy of the image.")
IMAGE_GONE = _("the image of this result was removed from the scene; load it and ask again.")
UNREACHABLE = _("the server cannot be asked; see “Server” above.")
CONNECT_FIRST = _("Connect to the server first.")

S = TypeVar("S", bound=ImageServer)
Work = Callable[[Client, Any, Event, Any], Any]
"""Called in a thread as `work(client, image, stop, progress)`; the image is a `Snapshot` or the id of a study."""


class ImagePanel(ABC, Generic[S]):
    """Everything that is seen of a module.

    A subclass makes `logic`, `state` and `result` and calls `start` at the end of its constructor.

    Args:
        ask: called in a thread for what the panel needs to know of a server.
        own: what volumes of results are, for people, such as "part of a result".

    Attributes:
        MODULE: of a panel for any method: its module, which the job tray goes to.
        root: the widget to put into the module's layout.
        logic: of the module.
        state: says how the job is.
        result: the section of the results.
    """

    MODULE: ClassVar[str] = ""
    logic: ResultLogic[Any, Any]
    state: JobState
    result: ResultFrame
    job: OneJob
    reports: Reports

    def __init__(self, ui_file: str, logic: ResultLogic[Any, Any], ask: Callable[[Client, Event], S], own: str) -> None:
        self.root = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.ui.researchNote.text = f"<small>{RESEARCH_USE}</small>"
        self.ui.checksSection.collapsed = True
        self.logic = logic
        self._tasks = Tasks()
        self._sources: dict[str, Source] = {}
        self.server: ServerSection[S] = ServerSection(self.ui, self._tasks, ask, found, self._server_changed)
        self.image = ImageSection(self.ui, self.logic, self._image_chosen, own)
        self._later = qt.QTimer()
        self._later.singleShot = True
        self._later.interval = 0
        self._later.connect("timeout()", self.follow_scene)

    def start(self, state: JobState, result: ResultFrame) -> None:
        """The sections are there: listen to the scene and show it."""
        self.state, self.result = state, result
        self.job = OneJob(self._tasks, state, self.server.lost, self.refresh, CANCELLED)
        self.reports = Reports(self._tasks, result.say)
        self.logic.on_change = self._later.start
        self.root.setMRMLScene(slicer.mrmlScene)
        self.restore()

    # --- what a panel's own class says -------------------------------------------------------------------------------

    @abstractmethod
    def restore_sections(self) -> None:
        """Take the choices of the scene."""

    @abstractmethod
    def follow_result(self) -> None:
        """Another result, or another part of it, is shown."""

    @abstractmethod
    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""

    @abstractmethod
    def _server_reason(self) -> str:
        """Why the connected server cannot be asked; empty when it can."""

    @abstractmethod
    def _server_changed(self) -> None:
        """The connection came, went or failed."""

    @abstractmethod
    def _image_chosen(self) -> None:
        """Another image or model was chosen."""

    # --- the scene ---------------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Take the choices and results of the scene."""
        self.server.propose(self.logic.parameters().server_url)
        self.image.restore()
        self.restore_sections()
        shown = self.logic.shown
        if shown is not None:
            self.logic.show(shown.node)
        self.follow_scene()

    def follow_scene(self) -> None:
        """Nodes came or went."""
        self.image.follow_scene()
        self.result.update()
        self.follow_result()

    def show(self, node: Any) -> None:
        """Show a result."""
        self.result.show(node)
        self.follow_result()

    def scene_closing(self) -> None:
        """The image of a running job goes; the job goes on in the tray."""
        self._sources.clear()
        self.reports.forget()
        self.server.forget_plans()
        self.state.say("")
        self.job.leave(SCENE_CLOSED, STEP_CANCELLED)

    def close(self) -> None:
        """Let go of the scene; jobs go on in the tray. The panel cannot be used afterwards."""
        self._later.stop()
        self.logic.close()
        self.job.close()
        self._tasks.close()
        self.reports.close()
        self.server.close()

    # --- asking ------------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Stop the running job, here and on the server."""
        self.job.cancel()

    def connected(self, then: Callable[[], None]) -> None:
        """Do something with the server, after connecting where that is needed."""
        if self.job.running:
            return
        if self.server.server is not None:
            then()
            return
        self.state.say(_("Connecting to the server first …"))
        self.server.connect_server(then, lambda: self.state.fail(UNREACHABLE))

    def run(self, source: Source, work: Work, done: Callable[[Any], Any], method: str = "", title: str = "") -> None:
        """Start the panel's one job; what cannot be sent is said in words.

        Args:
            done: see `OneJob.start`.
            method, title: of the server, and for people; without them the job tray does not have the job.
        """
        server = self.server.server
        if server is None or self.job.running:
            return
        try:
            reason = self._server_reason() or self.image.reason_against(source)
            if reason or not (source.study or in_scene(self.logic.scene, source.volume)):
                self.state.fail(reason or IMAGE_GONE)
                return
            image = source.study or self._snapshot(source)
        except SceneError as error:
            self.state.fail(str(error))
            return
        self.logic.parameters().server_url = self.server.url
        client = server.client
        about = None
        if method:
            again = partial(self.run, source, work, done, method, title)
            about = About(method, title, source.name, source.volume, again, self.MODULE)
        self.job.start(lambda stop, progress: work(client, image, stop, progress), done, about)

    def fetch(self, entry: Entry, volume: Any, prepare: Callable[[Result], Any]) -> None:
        """Put the result of a job of the tray into the scene.

        Args:
            volume: what was explained; None, when it is not in the scene, loads the image that comes with the result.
        """
        client = home().tray.reached(entry)
        if client is None or self.job.running:
            return
        started = time.monotonic()
        source = Source(volume, "", None)

        def work(stop: Event, progress: Any) -> Any:
            return fetched(client, entry.job, stop, progress, prepare)

        def done(result: Any) -> Steps:
            node = yield from self.loaded(source, result, started)
            home().opened(entry, node)

        self.job.start(work, done)

    def loaded(self, source: Source, result: Any, started: float) -> Steps:
        """Put a result into the scene, show it, and say so, step by step; returns its node.

        Args:
            result: made ready for the logic, with the `job` that it came from.
            started: of `time.monotonic`.
        """
        node = self.logic.load(result, source.volume)
        self._sources[node.GetID()] = source
        self.reports.remember(node, result.job)
        yield
        yield from self.result.showing(node)
        yield
        self.follow_result()
        notes = [_("{name}, in {time}.").format(name=node.GetName(), time=duration(time.monotonic() - started))]
        if source.volume is not None and not in_scene(self.logic.scene, source.volume):
            notes.append(VOLUME_REMOVED)
        self.state.succeed(" ".join(notes))
        return node

    def open_report(self, node: Any) -> None:
        """Open the result's report in the web browser."""
        if self.server.server is not None and not self.reports.reason(node):
            self.reports.open(self.server.server.client, node)

    # --- what is known -----------------------------------------------------------------------------------------------

    @property
    def model(self) -> Model | None:
        """The chosen model as the server describes it."""
        server, name = self.server.server, self.image.source.model
        models = server.catalogue.models if server is not None else ()
        return next((model for model in models if model.name == name), None)

    def source_of(self, node: Any) -> Source:
        """What a result was made of, with the model that is chosen now."""
        result, model = self.logic.result(node), self.image.source.model
        kept = self._sources.get(node.GetID())
        if kept is not None and (kept.study or in_scene(self.logic.scene, kept.volume)):
            return Source(kept.volume, kept.study, model)
        return Source(result.source, "", model)

    def report_reason(self) -> str:
        """Why the shown result's report cannot be opened; empty when it can."""
        if self.server.connecting:
            return _("Connecting …")
        return CONNECT_FIRST if self.server.server is None else self.reports.reason(self.result.shown)

    def _snapshot(self, source: Source) -> Snapshot:
        channels = self.image.channels(source.model)
        return self.logic.snapshot(source.volume, channels[0] if channels else "image")
