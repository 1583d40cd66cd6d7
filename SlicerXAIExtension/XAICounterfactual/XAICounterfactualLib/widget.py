"""The panel: sections put together, one job at a time, and what becomes of a job when the scene changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt
import slicer
from XAILib.catalogue import Model
from XAILib.client import Client
from XAIPanels.documents import model_of
from XAIPanels.errors import SceneError
from XAIPanels.export import Snapshot
from XAIPanels.image_section import ImageSection, Source
from XAIPanels.image_server import found
from XAIPanels.nodes import in_scene
from XAIPanels.one_job import OneJob
from XAIPanels.reports import Reports
from XAIPanels.server_section import ServerSection
from XAIPanels.tasks import Tasks
from XAIPanels.words import RESEARCH_USE, duration

from .logic import CounterfactualLogic
from .prepared import Prepared
from .question_section import QuestionSection
from .result_section import ResultSection
from .retrain_section import RetrainSection
from .server import CounterfactualServer, ask
from .share_section import ShareSection
from .view_section import ViewSection
from .words import METHOD
from .work import Predicted, explain, predict

CANCELLED = "Cancelled. The server has stopped the computation; nothing was changed in the scene."
SCENE_CLOSED = "The scene was closed, so the computation for its image was cancelled."
VOLUME_REMOVED = "The volume was removed meanwhile, so the result brings its own copy of the image."
NOT_OFFERED = "This server does not offer counterfactuals; connect to another one."
IMAGE_GONE = "the image of this result was removed from the scene; load it and ask again."
UNREACHABLE = "the server cannot be asked; see “Server” above."


class CounterfactualPanel:
    """Everything that is seen of the module.

    Attributes:
        root: the widget to put into the module's layout.
    """

    def __init__(self, ui_file: str) -> None:
        self.root = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.ui.researchNote.text = f"<small>{RESEARCH_USE}</small>"
        for section in (self.ui.checksSection, self.ui.retrainSection):
            section.collapsed = True
        self.logic = CounterfactualLogic()
        self._tasks = Tasks()
        self._sources: dict[str, Source] = {}
        self._asked: tuple[Any, ...] = ()
        self._new_model = ""
        self.server: ServerSection[CounterfactualServer] = ServerSection(
            self.ui, self._tasks, ask, found, self._server_changed
        )
        self.image = ImageSection(self.ui, self.logic, self._image_chosen, "part of a result")
        self.question = QuestionSection(
            self.ui, self.logic, self.explain_image, self.find_lesions, self.cancel, self.refresh
        )
        self.job = OneJob(self._tasks, self.question, self.server.lost, self.refresh, CANCELLED)
        self.result = ResultSection(self.ui, self.logic, self.open_report, self.follow_result)
        self.view = ViewSection(self.ui, self.logic, self.result.say)
        self.share = ShareSection(self.ui, self.logic, self._tasks, self.show)
        self.retrain = RetrainSection(
            self.ui, self._tasks, self.server.lost, self._trained, self.explain_again, self.refresh
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
        self.question.restore()
        self.view.restore()
        shown = self.logic.shown
        if shown is not None:
            self.logic.show(shown.node)
        self.follow_scene()

    def follow_scene(self) -> None:
        """Nodes came or went."""
        self.image.follow_scene()
        self.result.update()
        self.follow_result()

    def follow_result(self) -> None:
        """Another result or counterfactual is shown."""
        self.view.update()
        self.share.update()
        self.refresh()

    def show(self, node: Any) -> None:
        """Show a result."""
        self.result.show(node)
        self.follow_result()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        connecting = "Connecting …" if self.server.connecting else ""
        self.server.refresh()
        self.image.refresh()
        model = self._model
        self.question.follow(model)
        reason = connecting or self._server_reason() or self.image.reason
        self.question.refresh(self.job.running, self.job.stopping, self.server.server is not None, reason)
        self.result.refresh(connecting or self._report_reason())
        self.retrain.propose(model.name if model is not None else None)
        self.retrain.refresh(
            model.name if model is not None else None, self.question.classifies, connecting or self._again_reason()
        )

    # --- asking ------------------------------------------------------------------------------------------------------

    def explain_image(self) -> None:
        """What the one big button does: connect if need be, then ask about what is chosen."""
        self._explain(self.image.source, None)

    def explain_again(self) -> None:
        """The shown case once more, with the chosen model."""
        node = self.result.shown
        if node is None:
            return
        asked = self.logic.result(node).document.get("parameters", {})
        kept = {name: asked[name] for name in ("label", "point", "count", "distance", "space") if asked.get(name)}
        self._explain(self._source_of(node), kept)

    def find_lesions(self) -> None:
        """Let the model list the lesions of the chosen image."""
        self._connected(self._find)

    def cancel(self) -> None:
        """Stop the running job, here and on the server."""
        self.job.cancel()

    def _explain(self, source: Source, parameters: dict[str, Any] | None) -> None:
        self._connected(lambda: self._start(source, parameters))

    def _connected(self, then: Callable[[], None]) -> None:
        """Do something with the server, after connecting where that is needed."""
        if self.job.running:
            return
        if self.server.server is not None:
            then()
            return
        self.question.say("Connecting to the server first …")
        self.server.connect_server(then, lambda: self.question.fail(UNREACHABLE))

    def _start(self, source: Source, parameters: dict[str, Any] | None) -> None:
        source = self.image.with_model(source)
        wanted = self.question.parameters if parameters is None else parameters
        started = time.monotonic()

        def work(client: Client, image: Snapshot | str, stop: Any, progress: Any) -> Prepared:
            return explain(client, image, source.model, wanted, stop, progress)

        self._run(source, work, lambda result: self._explained(source, result, started))

    def _find(self) -> None:
        source = self.image.source

        def work(client: Client, image: Snapshot | str, stop: Any, progress: Any) -> Predicted:
            return predict(client, image, source.model, stop, progress)

        self._run(source, work, self._predicted)

    def _run(self, source: Source, work: Callable[..., Any], done: Callable[[Any], None]) -> None:
        server = self.server.server
        if server is None or self.job.running:
            return
        try:
            reason = self._server_reason() or self.image.reason_against(source)
            if reason or not (source.study or in_scene(self.logic.scene, source.volume)):
                self.question.fail(reason or IMAGE_GONE)
                return
            channels = self.image.channels(source.model)
            name = channels[0] if channels else "image"
            image = source.study or self.logic.snapshot(source.volume, name)
        except SceneError as error:
            self.question.fail(str(error))
            return
        self.logic.parameters().server_url = self.server.url
        client = server.client
        self.job.start(lambda stop, progress: work(client, image, stop, progress), done)

    def _explained(self, source: Source, result: Prepared, started: float) -> None:
        node = self.logic.load(result, source.volume)
        self._sources[node.GetID()] = source
        self.reports.remember(node, result.job)
        self.show(node)
        self.view.jump()
        notes = [f"{node.GetName()}, in {duration(time.monotonic() - started)}."]
        if source.volume is not None and not in_scene(self.logic.scene, source.volume):
            notes.append(VOLUME_REMOVED)
        self.question.succeed(" ".join(notes))

    def _predicted(self, predicted: Predicted) -> None:
        self.logic.show_prediction(predicted.labelmap)
        self.question.found(predicted.lesions)
        count = len(predicted.lesions)
        self.question.succeed(f"{count} lesion{'s' * (count != 1)} found; choose one of them.")

    # --- events ------------------------------------------------------------------------------------------------------

    def scene_closing(self) -> None:
        """The image of a running job goes; so does the job. A training has no image and goes on."""
        self._sources.clear()
        self.reports.forget()
        self.server.forget_plans()
        self.question.forget_lesions()
        self.question.say("")
        self.job.cancel(SCENE_CLOSED)

    def leave(self) -> None:
        """Another module is shown: a running job goes on, picking does not."""
        self.question.stop_picking()

    def close(self) -> None:
        """Stop everything and let go of the scene; the panel cannot be used afterwards."""
        self._later.stop()
        self.question.close()
        self.logic.close()
        self._tasks.close()
        self.reports.close()
        self.job.close()
        self.retrain.close()

    def open_report(self, node: Any) -> None:
        """Open the result's report in the web browser."""
        if self.server.server is not None and not self.reports.reason(node):
            self.reports.open(self.server.server.client, node)

    def _trained(self, name: str) -> None:
        """A new model is there: ask the server for it, then choose it."""
        self._new_model = name
        self.server.connect_server()

    def _server_changed(self) -> None:
        server = self.server.server
        self.image.fill(server)
        self.question.fill(server)
        if server is not None and self._new_model in {model.name for model in server.catalogue.models}:
            self.image.choose_model(self._new_model)
            self._new_model = ""
        self.retrain.fill(server)
        self.refresh()

    def _image_chosen(self) -> None:
        source = self.image.source
        asked = (source.volume, source.study)
        if asked != self._asked:
            self._asked = asked
            self.question.forget_lesions()
        self.refresh()

    # --- what is known -----------------------------------------------------------------------------------------------

    @property
    def _model(self) -> Model | None:
        """The chosen model as the server describes it."""
        server, name = self.server.server, self.image.source.model
        models = server.catalogue.models if server is not None else ()
        return next((model for model in models if model.name == name), None)

    def _source_of(self, node: Any) -> Source:
        """What a result was made of, with the model that is chosen now."""
        result, model = self.logic.result(node), self.image.source.model
        kept = self._sources.get(node.GetID())
        if kept is not None and (kept.study or in_scene(self.logic.scene, kept.volume)):
            return Source(kept.volume, kept.study, model)
        return Source(result.source, "", model)

    def _server_reason(self) -> str:
        server = self.server.server
        return NOT_OFFERED if server is not None and server.method(METHOD) is None else ""

    def _report_reason(self) -> str:
        if self.server.server is None:
            return "Connect to the server first."
        return self.reports.reason(self.result.shown)

    def _again_reason(self) -> str:
        node = self.result.shown
        if self.server.server is None:
            return "Connect to the server first."
        if node is None:
            return "Ask about an image first."
        if self.job.running:
            return "A computation is running; cancel it or wait for it."
        if model_of(self.logic.result(node).document) == self.image.source.model:
            return "Choose another model above than the one that the shown result is of."
        return ""
