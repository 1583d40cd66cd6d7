"""Asking why: the saliency of a prediction or of one lesion, how it is drawn, its verdict and its lesions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from XAILib.tray_entry import Entry
from XAILib.verdict import checks_html, verdict_html
from XAIPanels.colours import EXPLAINED, LESIONS
from XAIPanels.errors import SceneError
from XAIPanels.map_colours import AGAINST, FOR
from XAIPanels.nodes import in_scene
from XAISaliencyLib.lesions import Lesion
from XAISaliencyLib.logic import SaliencyLogic
from XAISaliencyLib.near import is_near_lesion
from XAISaliencyLib.prepared import Prepared, prepare
from XAISaliencyLib.words import METHOD, VARIANT_HINTS, VARIANTS, legend

from slicerxai.viewer.application import Application
from slicerxai.viewer.connection import UNCONNECTED, Connection
from slicerxai.viewer.images import Images
from slicerxai.viewer.jobs import Jobs
from slicerxai.viewer.loop_tasks import LoopTasks
from slicerxai.viewer.messages import Messages
from slicerxai.viewer.origins import Source, ask_of, source_of

TITLE = "Saliency"
CANCELLED = "Cancelled. The server has stopped the computation; nothing was changed in the scene."
NO_IMAGE = "Open an image first."
NOT_NEAR = "There is no predicted lesion within 10 mm of that point; click on an outlined one."
CLICK = "Click on an outlined lesion in a slice view."
PICK_CHECK_MS = 200
GLYPH = 1.5
"""Size of a picked point, as a percentage of the view's."""
Point = tuple[float, float, float]


class Explaining:
    """Saliency results of the scene.

    Attributes:
        logic: the extension's own.
        listeners: called when another result is shown, or none.
        answered: called when a result has come from the server.
    """

    def __init__(
        self,
        state: Any,
        application: Application,
        tasks: LoopTasks,
        connection: Connection,
        images: Images,
        jobs: Jobs,
    ) -> None:
        self.logic = SaliencyLogic(application.scene)
        self.listeners: list[Callable[[], None]] = []
        self.answered: list[Callable[[], None]] = []
        self._state = state
        self._application = application
        self._connection = connection
        self._images = images
        self._jobs = jobs
        self._later = tasks.timer(0, self.follow_scene, once=True)
        self._pick_timer = tasks.timer(PICK_CHECK_MS, self._check_pick)
        self.said = Messages(state, "explain")
        variants = [{"title": VARIANTS[name], "value": name, "hint": VARIANT_HINTS[name]} for name in VARIANTS]
        state.update({"variants": variants, "variant": "lrp", "model_items": [], "model": None})
        state.update(
            {"results": [], "result": None, "lesions": [], "lesion": None, "picking": False, "result_removed": False}
        )
        state.update(
            {
                "verdict_html": "",
                "checks_html": "",
                "report": "",
                "legend_html": legend(AGAINST, FOR, LESIONS, EXPLAINED),
            }
        )
        chosen = self.logic.parameters()
        state.update({"opacity": chosen.opacity, "threshold": chosen.threshold})
        state.change("result")(lambda result, **_: self._show_chosen(result))
        state.change("opacity")(lambda opacity, **_: self._set_opacity(opacity))
        state.change("threshold")(lambda threshold, **_: self._set_threshold(threshold))
        images.hidden.append(self.logic.is_map)
        connection.listeners.append(self._server_changed)
        jobs.openers[METHOD] = self._open_result
        self.logic.on_change = self._later.start
        self.logic.on_point = self._picked

    @property
    def shown(self) -> Any:
        """The result node that the views show; None without one."""
        node = self.logic.parameters().shown
        return node if node is not None and in_scene(self._application.scene, node) else None

    def outlines_of(self, volume: Any) -> Any:
        """The segmentation with the predicted lesions of the newest result of an image; None without one."""
        found = [self.logic.result(node) for node in self.logic.results()]
        return next((one.outlines for one in reversed(found) if one.source is volume), None)

    def explain(self) -> None:
        """Explain the chosen image as a whole."""
        self._explain(self._images.chosen, None)

    def explain_lesion(self) -> None:
        """Explain the chosen lesion alone."""
        lesion = self._lesion(self._state.lesion)
        if lesion is not None and self.shown is not None:
            self._explain(self.logic.result(self.shown).source, lesion.centre)

    def go_to(self, number: int) -> None:
        """Choose a lesion of the table, and centre the views on it."""
        lesion = self._lesion(number)
        if lesion is not None:
            self._state.lesion = lesion.number
            self.logic.jump_to(lesion.centre)

    def pick(self) -> None:
        """Let the next click in a view choose a lesion, or do so no more."""
        if self._state.picking:
            self._stop_picking("")
            return
        self.logic.start_pick()
        display = self.logic.parameters().point.GetDisplayNode()
        display.SetPointLabelsVisibility(False)  # its name would hide the lesion
        display.SetGlyphScale(GLYPH)
        self._state.picking = True
        self._pick_timer.start()
        self.said.say(CLICK)

    def remove(self) -> None:
        """Remove the shown result; the image stays."""
        if self.shown is not None:
            self.logic.remove([self.shown])
            self.follow_scene()

    def undo_removing(self) -> None:
        """Bring back the result that was removed last."""
        for node in self.logic.undo():
            self.show(node)

    def follow_scene(self) -> None:
        """Results may have come or gone."""
        nodes, shown = self.logic.results(), self.shown
        self._state.results = [{"title": node.GetName(), "value": node.GetID()} for node in nodes]
        self._state.result = shown.GetID() if shown is not None else None
        self._state.result_removed = bool(self.logic.removed)
        self._show_words(shown)
        self._images.follow_scene()

    def show(self, node: Any) -> None:
        """Show a result in the views and on the page."""
        source = self.logic.result(node).source
        if source is not None and source is not self._images.chosen:
            self._images.choose(source)
        self.logic.show(node)
        self.follow_scene()

    def hide(self) -> None:
        """Show no result; it can be chosen again."""
        self.logic.hide()
        self.follow_scene()

    def _explain(self, volume: Any, point: Point | None) -> None:
        server = self._connection.server
        if server is None or volume is None:
            self.said.fail(UNCONNECTED if server is None else NO_IMAGE)
            return
        client, model = server.client, self._state.model
        try:
            source = source_of(self._application.scene, volume, client.url, server.channels(model))
        except SceneError as error:
            self.said.fail(str(error))
            return
        parameters: dict[str, Any] = {"method": self._state.variant}
        if point is not None:
            parameters["point"] = [round(value, 3) for value in point]

        def work(stop: Any, progress: Any) -> Prepared:
            found = ask_of(client, METHOD, source, model, parameters, stop, progress)
            progress(1.0, "Loading the result", None)
            return prepare(found)

        entry = Entry(METHOD, TITLE, volume.GetName(), client.url)
        self._jobs.node.refer_image(entry.id, volume)
        self._jobs.run(entry, work, lambda made: self._explained(entry.id, volume, source, made), self.said, CANCELLED)

    def _explained(self, entry: str, volume: Any, source: Source, prepared: Prepared) -> None:
        node = self.logic.load(prepared, volume)
        self._jobs.node.refer_result(entry, node)
        self.show(node)
        self.said.succeed(f"{node.GetName()}.")
        for listener in self.answered:
            listener()

    def _open_result(self, entry: str) -> None:
        node = self._jobs.node.result(entry)
        if node is None:
            self.said.fail("Its result was removed from the scene; explain the image again.")
            return
        self.show(node)

    def _picked(self, point: Point) -> None:
        self._stop_picking("")
        shown = self.shown
        if shown is None:
            return
        found = self.logic.result(shown)
        if not is_near_lesion(found.outlines, point):
            self.said.fail(NOT_NEAR)
            return
        self._explain(found.source, point)

    def _check_pick(self) -> None:
        """Another tool may have ended the picking."""
        if self._state.picking and not self.logic.picking:
            self._stop_picking("")

    def _stop_picking(self, text: str) -> None:
        self._pick_timer.stop()
        self.logic.stop_pick()
        self._state.picking = False
        self.said.say(text)

    def _lesion(self, number: int | None) -> Lesion | None:
        shown = self.shown
        lesions = self.logic.lesions(shown) if shown is not None else []
        return next((lesion for lesion in lesions if lesion.number == number), None)

    def _show_chosen(self, identifier: str | None) -> None:
        node = self._application.scene.GetNodeByID(identifier) if identifier else None
        if node is not None and node is not self.shown:
            self.show(node)

    def _show_words(self, node: Any) -> None:
        if node is None:
            self._state.update({"verdict_html": "", "checks_html": "", "lesions": [], "lesion": None, "report": ""})
        else:
            document, found = self.logic.document(node), self.logic.result(node)
            self._state.update({"verdict_html": verdict_html(document), "checks_html": checks_html(document)})
            self._state.report = self._jobs.report_of(node)
            self._state.lesions = [_row(lesion) for lesion in found.lesions]
            self._state.update({"opacity": found.opacity, "threshold": found.threshold})
        for listener in self.listeners:
            listener()

    def _set_opacity(self, value: float) -> None:
        if self.shown is not None:
            self.logic.set_opacity(self.shown, float(value))

    def _set_threshold(self, value: float) -> None:
        if self.shown is not None:
            self.logic.set_threshold(self.shown, float(value))

    def _server_changed(self) -> None:
        server = self._connection.server
        names = [model.name for model in server.catalogue.models] if server is not None else []
        self._state.model_items = names
        if self._state.model not in names:
            self._state.model = names[0] if names else None


def _row(lesion: Lesion) -> dict[str, Any]:
    """What the page shows of a lesion."""
    return {
        "number": lesion.number,
        "volume": f"{lesion.volume:.2f}",
        "probability": "–" if lesion.probability is None else f"{100 * lesion.probability:.0f} %",
        "inside": "–" if lesion.inside is None else f"{100 * lesion.inside:.0f} %",
        "explained": lesion.explained,
    }
