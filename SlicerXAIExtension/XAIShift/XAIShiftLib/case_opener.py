"""Opening a case: image and outlines first, then the prediction, which the server may have to compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any

from slicer.i18n import tr as _
from XAILib.client import Client, OnProgress
from XAILib.errors import ServerError, Stopped
from XAILib.nrrd import Volume
from XAIPanels.job_state import JobState
from XAIPanels.tasks import Task, Tasks
from XAIPanels.turns import Turns

from .attribution import raters_of
from .logic import ShiftLogic
from .opened import has_prediction
from .prepared import PreparedCase
from .server import ShiftServer
from .words import PREDICTION
from .work import fetch, predict

STOPPED = _("Stopped.")
GONE = _("The result was removed meanwhile, so the case was not opened.")
NO_PREDICTION = _("its prediction is not drawn: {}")


@dataclass(frozen=True)
class Wish:
    """A case of a result that shall be opened."""

    node: Any
    cohort: str
    case: str
    model: str
    raters: tuple[str, ...]


class _Widgets:
    """The widgets of the case under the names that `JobState` uses."""

    def __init__(self, ui: Any) -> None:
        self.progressBar = ui.caseProgressBar
        self.jobState = ui.caseState


class CaseOpener:
    """One case at a time.

    Args:
        changed: called whenever opening began or ended.
        lost: called with the error when the server does not answer.
    """

    def __init__(
        self,
        ui: Any,
        logic: ShiftLogic,
        tasks: Tasks,
        changed: Callable[[], None],
        lost: Callable[[ServerError], None],
    ) -> None:
        self.state = JobState(_Widgets(ui), _("Not opened"))
        self._logic = logic
        self._tasks = tasks
        self._changed = changed
        self._lost = lost
        self._task: Task | None = None
        self._turns = Turns(tasks)
        self._wish: Wish | None = None
        self._stopping = False

    @property
    def busy(self) -> bool:
        return self._task is not None or self._turns.active

    def open(self, server: ShiftServer, node: Any, case: str) -> None:
        """Open a case of a result, or show it when it is open already; what is missing of it is fetched."""
        if self.busy:
            return
        document = self._logic.document(node)
        self._stopping = False
        model = str((document.get("provenance") or {}).get("model", ""))
        wish = self._wish = Wish(node, str(document["image_id"]), case, model, raters_of(document))
        segmentation = self._logic.opened(node, case)
        if segmentation is not None:
            self._logic.show(segmentation)
            self._predict(server, wish, segmentation)
            return
        known = next((found for found in server.catalogue.models if found.name == model), None)
        if known is None:
            self.state.fail(
                _("the server has no model “{model}” any more, so it is not known which image to show.").format(
                    model=model
                )
            )
            return
        client, channels = server.client, known.channels

        def work(stop: Event, progress: OnProgress) -> PreparedCase:
            return fetch(client, wish.cohort, wish.case, channels, wish.raters, stop, progress)

        self.state.progress(0.0, _("Fetching the case"), None)
        self._start(work, lambda prepared: self._arrived(server, wish, prepared))

    def show(self, node: Any, case: str) -> bool:
        """Show a case that is open already; whether it is."""
        segmentation = self._logic.opened(node, case)
        if segmentation is not None:
            self._logic.show(segmentation)
        return segmentation is not None

    def cancel(self) -> None:
        """Stop what is under way; what is drawn already stays."""
        if self._task is not None:
            self._stopping = True
            self.state.progress(0.0, _("Stopping"), None)
            self._task.cancel()

    def forget(self) -> None:
        """The scene was closed: nobody waits for the case any more."""
        self.cancel()
        self._wish = None
        if self._turns.active:
            self._turns.drop()
            self._end(lambda: self.state.say(STOPPED))

    def close(self) -> None:
        """The panel goes; its tasks are closed elsewhere."""
        self._turns.drop()

    def _arrived(self, server: ShiftServer, wish: Wish, prepared: PreparedCase) -> None:
        self._task = None
        if self._stopping:  # it came just before it could be stopped: what the user wanted counts
            self._end(lambda: self.state.say(STOPPED))
            return
        if self._wish is not wish or wish.node not in self._logic.results():
            self._end(lambda: self.state.say(GONE))
            return
        self._turns.take(
            self._logic.opening(wish.node, prepared), lambda segmentation: self._predict(server, wish, segmentation)
        )

    def _predict(self, server: ShiftServer, wish: Wish, segmentation: Any) -> None:
        if has_prediction(segmentation):
            self._end(lambda: self.state.succeed(_drawn(wish, True)))
            return
        if server.method(PREDICTION) is None:
            words = NO_PREDICTION.format(_("the server does not offer it."))
            self._end(lambda: self.state.say(_("{wish} But {words}").format(wish=_drawn(wish, False), words=words)))
            return
        client: Client = server.client

        def work(stop: Event, progress: OnProgress) -> Volume:
            return predict(client, wish.cohort, wish.case, wish.model, stop, progress)

        self.state.progress(0.0, _("Asking the model"), None)
        self._start(work, lambda labelmap: self._predicted(wish, segmentation, labelmap))

    def _predicted(self, wish: Wish, segmentation: Any, labelmap: Volume) -> None:
        self._task = None
        self._logic.predict(segmentation, labelmap)
        self._end(lambda: self.state.succeed(_drawn(wish, True)))

    def _start(self, work: Callable[[Event, OnProgress], Any], done: Callable[[Any], None]) -> None:
        self._task = self._tasks.start(work, done, self._failed, self._progress)
        self._changed()

    def _progress(self, fraction: float, message: str, eta: float | None) -> None:
        if not self._stopping:
            self.state.progress(fraction, message, eta)

    def _end(self, say: Callable[[], None]) -> None:
        self._task = None
        say()
        self._changed()

    def _failed(self, error: BaseException) -> None:
        wish = self._wish
        opened = wish is not None and wish.node in self._logic.results() and self._logic.opened(wish.node, wish.case)
        if isinstance(error, Stopped):
            self._end(lambda: self.state.say(STOPPED))
        elif opened and wish is not None:
            drawn = _drawn(wish, False)
            self._end(
                lambda: self.state.say(_("{drawn} But {error}").format(drawn=drawn, error=NO_PREDICTION.format(error)))
            )
        else:
            self._end(lambda: self.state.fail(str(error)))
        if isinstance(error, ServerError):
            self._lost(error)
        elif not isinstance(error, Stopped):
            raise error


def _drawn(wish: Wish, predicted: bool) -> str:
    """What is seen of a case."""
    outlines = _("the outlines of raters ") if len(wish.raters) > 1 else _("the outline of rater ")
    return _("{case} with {outlines}{raters}{predicted}.").format(
        case=wish.case,
        outlines=outlines,
        raters=_(" and ").join(wish.raters),
        predicted=_(" and the prediction") if predicted else "",
    )
