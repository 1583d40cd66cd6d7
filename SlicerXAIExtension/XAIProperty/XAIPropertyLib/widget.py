"""The panel: sections put together, one job at a time, and what becomes of a job when the scene changes."""

from __future__ import annotations

import time
from typing import Any

from slicer.i18n import tr as _
from XAILib.client import Client
from XAILib.tray_entry import Entry
from XAIPanels.documents import model_of
from XAIPanels.export import Snapshot
from XAIPanels.image_panel import ImagePanel
from XAIPanels.image_section import Source
from XAIPanels.image_server import ImageServer, ask
from XAIPanels.turns import Steps

from .logic import PropertyLogic
from .prepared import Prepared, prepare
from .question_section import QuestionSection
from .result_section import ResultSection
from .tables import effects
from .walk_section import WalkSection
from .words import METHOD, RANKING, WALK, property_title
from .work import measure

NOT_OFFERED = _("This server does not offer property gradients; connect to another one.")
ASKED = ("properties", "low", "high", "steps", "controls")
"""Parameters that make a walk another one."""
KNOWN = _("This walk was made already and is shown again.")


class PropertyPanel(ImagePanel[ImageServer]):
    """Everything that is seen of the module."""

    logic: PropertyLogic

    def __init__(self, ui_file: str) -> None:
        super().__init__(ui_file, PropertyLogic(), ask, _("part of a result"))
        self._stamps: dict[str, Any] = {}
        self.question = QuestionSection(self.ui, self.logic, self.rank_all, self.walk_along, self.cancel, self.refresh)
        result = ResultSection(self.ui, self.logic, self.open_report, self.follow_result, self._tasks)
        self.walk = WalkSection(self.ui, self.logic, self.root, result.say, self.show, self._tasks)
        self.start(self.question, result)

    def restore_sections(self) -> None:
        self.question.restore()
        self.walk.restore()

    def follow_result(self) -> None:
        """Another result, property or output is shown."""
        self.walk.update()
        found = self.logic.shown
        if found is not None:
            course = found.curve
            known = effects(found.document)
            self.question.follow(found.node, course.effect if course is not None else None, known)
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        connecting = _("Connecting …") if self.server.connecting else ""
        self.server.refresh()
        self.image.refresh()
        reason = connecting or self._server_reason() or self.image.reason
        self.question.refresh(self.job.running, self.job.stopping, self.server.server is not None, reason)
        self.result.refresh(self.report_reason())

    def rank_all(self) -> None:
        """What the one big button does: connect if need be, then measure every property of what is chosen."""
        self.connected(lambda: self._ask(self.question.ranking))

    def walk_along(self) -> None:
        """Measure one property, with its images, unless that was done already."""
        wanted = self.question.walk
        known = self._known(wanted)
        if known is not None and not self.job.running:
            self.show(known)
            self.question.say(KNOWN)
            return
        self.connected(lambda: self._ask(wanted))

    def leave(self) -> None:
        """Another module is shown: a running job goes on, playing does not."""
        self.walk.pause()

    def scene_closing(self) -> None:
        """The image of a running job goes; the job goes on in the tray."""
        self.walk.pause()
        self._stamps.clear()
        super().scene_closing()

    def close(self) -> None:
        """Stop everything and let go of the scene; the panel cannot be used afterwards."""
        self.walk.close()
        super().close()

    def _ask(self, parameters: dict[str, Any]) -> None:
        source = self.image.with_model(self.image.source)
        started = time.monotonic()

        def work(client: Client, image: Snapshot | str, stop: Any, progress: Any) -> Prepared:
            return measure(client, image, source.model, parameters, stop, progress)

        stamp = self.logic.stamp(source.volume)
        names = parameters.get("properties")
        title = WALK.format(property=property_title(names[0]).lower()) if names else RANKING
        self.run(source, work, lambda result: self._measured(source, stamp, result, started), METHOD, title)

    def _measured(self, source: Source, stamp: Any, result: Prepared, started: float) -> Steps:
        node = yield from self.loaded(source, result, started)
        self._stamps[node.GetID()] = stamp
        if result.walk is not None:
            yield
            self.walk.jump()
        return node

    def open_job(self, entry: Entry, volume: Any) -> None:
        """Put the result of a job of the tray into the scene, and show it."""
        self.fetch(entry, volume, prepare)

    def _known(self, wanted: dict[str, Any]) -> Any:
        """A walk of the chosen image and model that was asked just so; None without one."""
        source = self.image.source
        for node in reversed(self.logic.results()):
            found = self.logic.result(node)
            asked = found.document.get("parameters", {})
            same = all(asked.get(name) == wanted.get(name) for name in ASKED)
            if same and found.walked and model_of(found.document) == source.model and self._is_of(node, source):
                return node
        return None

    def _is_of(self, node: Any, source: Source) -> bool:
        """Whether a result is of a volume of the scene as it is now, or of a study of the server."""
        kept = self._sources.get(node.GetID())
        if kept is None or (kept.volume, kept.study) != (source.volume, source.study):
            return False
        return self._stamps.get(node.GetID()) == self.logic.stamp(source.volume)

    def _server_reason(self) -> str:
        server = self.server.server
        return NOT_OFFERED if server is not None and server.method(METHOD) is None else ""

    def _server_changed(self) -> None:
        self.image.fill(self.server.server)
        self.question.fill(self.server.server)
        self.refresh()

    def _image_chosen(self) -> None:
        self.refresh()
