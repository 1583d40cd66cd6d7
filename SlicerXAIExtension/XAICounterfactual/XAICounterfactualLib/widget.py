"""The panel: sections put together, one job at a time, and what becomes of a job when the scene changes."""

from __future__ import annotations

import time
from typing import Any

from slicer.i18n import tr as _
from XAILib.client import Client
from XAILib.tray_entry import Entry
from XAIPanels.documents import model_of
from XAIPanels.export import Snapshot
from XAIPanels.image_panel import CONNECT_FIRST, ImagePanel
from XAIPanels.image_section import Source
from XAIPanels.turns import Steps
from XAIPanels.words import counted

from .logic import CounterfactualLogic
from .prepared import Prepared, prepare
from .question_section import QuestionSection
from .result_section import ResultSection
from .retrain_section import RetrainSection
from .server import CounterfactualServer, ask
from .share_section import ShareSection
from .view_section import ViewSection
from .words import JOB, METHOD
from .work import Predicted, explain, predict

NOT_OFFERED = _("This server does not offer counterfactuals; connect to another one.")


class CounterfactualPanel(ImagePanel[CounterfactualServer]):
    """Everything that is seen of the module."""

    logic: CounterfactualLogic

    def __init__(self, ui_file: str) -> None:
        super().__init__(ui_file, CounterfactualLogic(), ask, _("part of a result"))
        self.ui.retrainSection.collapsed = True
        self._asked: tuple[Any, ...] = ()
        self._new_model = ""
        self.question = QuestionSection(
            self.ui, self.logic, self.explain_image, self.find_lesions, self.cancel, self.refresh
        )
        result = ResultSection(self.ui, self.logic, self.open_report, self.follow_result, self._tasks)
        self.view = ViewSection(self.ui, self.logic, result.say)
        self.share = ShareSection(self.ui, self.logic, self._tasks, self.show)
        self.retrain = RetrainSection(
            self.ui, self._tasks, self.server.lost, self._trained, self.explain_again, self.refresh
        )
        self.start(self.question, result)

    def restore_sections(self) -> None:
        self.question.restore()
        self.view.restore()

    def follow_result(self) -> None:
        """Another result or counterfactual is shown."""
        self.view.update()
        self.share.update()
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        connecting = _("Connecting …") if self.server.connecting else ""
        self.server.refresh()
        self.image.refresh()
        model = self.model
        self.question.follow(model)
        reason = connecting or self._server_reason() or self.image.reason
        self.question.refresh(self.job.running, self.job.stopping, self.server.server is not None, reason)
        self.result.refresh(self.report_reason())
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
        self._explain(self.source_of(node), kept)

    def find_lesions(self) -> None:
        """Let the model list the lesions of the chosen image."""
        self.connected(self._find)

    def _explain(self, source: Source, parameters: dict[str, Any] | None) -> None:
        self.connected(lambda: self._start(source, parameters))

    def _start(self, source: Source, parameters: dict[str, Any] | None) -> None:
        source = self.image.with_model(source)
        wanted = self.question.parameters if parameters is None else parameters
        started = time.monotonic()

        def work(client: Client, image: Snapshot | str, stop: Any, progress: Any) -> Prepared:
            return explain(client, image, source.model, wanted, stop, progress)

        self.run(source, work, lambda result: self._explained(source, result, started), METHOD, JOB)

    def _find(self) -> None:
        source = self.image.source

        def work(client: Client, image: Snapshot | str, stop: Any, progress: Any) -> Predicted:
            return predict(client, image, source.model, stop, progress)

        self.run(source, work, lambda predicted: self._predicted(predicted, source.volume))

    def _explained(self, source: Source, result: Prepared, started: float) -> Steps:
        node = yield from self.loaded(source, result, started)
        yield
        self.view.jump()
        return node

    def _predicted(self, predicted: Predicted, volume: Any) -> Steps:
        self.logic.show_prediction(predicted.labelmap, volume)
        yield
        self.question.found(predicted.lesions)
        count = len(predicted.lesions)
        self.question.succeed(
            counted(
                count,
                _("{number} lesion found; choose one of them."),
                _("{number} lesions found; choose one of them."),
            )
        )

    def open_job(self, entry: Entry, volume: Any) -> None:
        """Put the result of a job of the tray into the scene, and show it."""
        self.fetch(entry, volume, prepare)

    # --- events ------------------------------------------------------------------------------------------------------

    def scene_closing(self) -> None:
        """The image of a running job goes; the job goes on in the tray. A training has no image and goes on."""
        self.question.forget_lesions()
        super().scene_closing()

    def leave(self) -> None:
        """Another module is shown: a running job goes on, picking does not."""
        self.question.stop_picking()

    def close(self) -> None:
        """Stop everything and let go of the scene; the panel cannot be used afterwards."""
        self.question.close()
        self.retrain.close()
        super().close()

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

    def _server_reason(self) -> str:
        server = self.server.server
        return NOT_OFFERED if server is not None and server.method(METHOD) is None else ""

    def _again_reason(self) -> str:
        node = self.result.shown
        if self.server.server is None:
            return CONNECT_FIRST
        if node is None:
            return _("Ask about an image first.")
        if self.job.running:
            return _("A computation is running; cancel it or wait for it.")
        if model_of(self.logic.result(node).document) == self.image.source.model:
            return _("Choose another model above than the one that the shown result is of.")
        return ""
