"""The section of the model: which one, its alarm, and scoring all images with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from typing import Any, Protocol

from slicer.i18n import tr as _
from XAILib.catalogue import Catalogue, Method
from XAILib.client import Client
from XAILib.errors import ServerError
from XAILib.review import start_scoring, stop_scoring
from XAILib.worklist import Worklist
from XAIPanels.choosing import enable, offer
from XAIPanels.job_state import JobState
from XAIPanels.task_list import TaskList
from XAIPanels.words import shortened

from . import words
from .feed import Feed
from .logic import ReviewLogic

NOT_CONNECTED = _("Connect to the server first.")
NO_METHOD = _("This server offers no quality control; connect to another one, or ask whoever runs it to update it.")
NO_MODEL = _("The server has no model yet; whoever runs it can train one with: slicerxai train")
SCORING = _("The server is scoring images; stop it or wait for it.")
STOPPED = _("Stopped. {} of {} scored; what is scored stays.")


class Scorer(Protocol):
    """A connected server."""

    @property
    def client(self) -> Client: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def quality(self) -> Method | None:
        """The method that scores; None where the server lacks it."""


class _Widgets:
    """The widgets of scoring under the names that `JobState` uses."""

    def __init__(self, ui: Any) -> None:
        self.progressBar = ui.scoreProgressBar
        self.jobState = ui.scoreState


class ScoringSection:
    """Progress is what the worklist says, so that it does not matter who has started the scoring, or when.

    Args:
        lost: called with the error when the server does not answer.
        changed: called when another model was chosen, or scoring begins or ends.
    """

    def __init__(
        self,
        ui: Any,
        logic: ReviewLogic,
        tasks: TaskList,
        feed: Feed,
        lost: Callable[[ServerError], None],
        changed: Callable[[], None],
    ) -> None:
        self.ui = ui
        self.state = JobState(_Widgets(ui), _("Not scored"))
        self._logic = logic
        self._tasks = tasks
        self._feed = feed
        self._lost = lost
        self._changed = changed
        self._server: Scorer | None = None
        self._asking = self._stopping = self._was_scoring = False
        self._start = (0.0, 0)
        ui.modelCombo.connect("currentIndexChanged(int)", self._model_chosen)
        ui.scoreButton.connect("clicked()", self.score)
        ui.stopButton.connect("clicked()", self.stop)

    @property
    def model(self) -> str:
        return str(self.ui.modelCombo.currentText)

    @property
    def reason(self) -> str:
        """Why there is no worklist; empty when there is."""
        return self._server_reason or (_("Reading the worklist …") if self._feed.fetching else "")

    @property
    def _server_reason(self) -> str:
        server = self._server
        if server is None:
            return NOT_CONNECTED
        if server.quality is None:
            return NO_METHOD
        return "" if server.catalogue.models else NO_MODEL

    def fill(self, server: Scorer | None) -> None:
        """Offer the models of the server; an earlier choice stays where it is still offered."""
        self._server = server
        if server is not None:
            offer(self.ui.modelCombo, [model.name for model in server.catalogue.models], self._logic.parameters().model)
        self._follow()

    def restore(self) -> None:
        """Take the choice of the parameter node."""
        self.fill(self._server)

    def update(self) -> None:
        """Show what the feed has."""
        worklist = self._feed.worklist
        if worklist is not None:
            self.ui.alarmLabel.text = words.alarm(worklist.alarm, worklist.model)
            if not self._asking:
                self._show_progress(worklist)
        else:
            self.ui.alarmLabel.text = escape(self.reason or self._feed.failure)
        name = f" – {self.model}" if self.model and self._server is not None else ""
        self.ui.modelSection.text = shortened(_("Model{name}").format(name=name))

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        worklist = self._feed.worklist
        reason = self.reason
        if not reason and worklist is None:
            reason = self._feed.failure or _("There is no worklist.")
        scoring = worklist is not None and worklist.scoring
        enable(self.ui.modelCombo, self._server_reason, _("The model whose predictions are read again."))
        without = _("Fit an alarm first; see above.") if worklist is not None and worklist.alarm is None else ""
        nothing = _("The server has no image.") if worklist is not None and not worklist.items else ""
        score = reason or (SCORING if scoring or self._asking else without or nothing)
        enable(self.ui.scoreButton, score, _("Let the model and its alarm look at every image of the server."))
        stop = reason or ("" if scoring and not self._stopping else _("Nothing is being scored."))
        enable(self.ui.stopButton, stop, _("Stop the scoring on the server too; what is scored stays."))

    def score(self) -> None:
        """Start scoring."""
        server, model = self._server, self.model
        if server is None or self._asking:
            return
        client: Client = server.client
        self._asking = True
        self.state.progress(0.0, _("Starting"), None)
        self._tasks.start(lambda stop, progress: start_scoring(client, model), self._started, self._failed)
        self._changed()

    def stop(self) -> None:
        """Stop scoring, whoever has started it."""
        server = self._server
        if server is None or self._stopping:
            return
        client: Client = server.client
        self._stopping = True
        self.state.progress(0.0, _("Stopping"), None)
        self._tasks.start(lambda stop, progress: stop_scoring(client), self._answered, self._failed)
        self._changed()

    def _started(self, _answer: Any) -> None:
        self._was_scoring = True  # a quick server has ended before the list comes
        self._start = (time.monotonic(), self._settled)
        self._answered(None)

    def _answered(self, _answer: Any) -> None:
        self._asking = False
        self._feed.refresh()
        self._changed()

    def _failed(self, error: BaseException) -> None:
        self._asking = self._stopping = False
        self.state.fail(str(error))
        self._changed()
        if not isinstance(error, ServerError):
            raise error
        self._lost(error)

    @property
    def _settled(self) -> int:
        return self._feed.worklist.settled if self._feed.worklist is not None else 0

    def _show_progress(self, worklist: Worklist) -> None:
        done, total = worklist.settled, len(worklist.items)
        if worklist.scoring:
            if not self._was_scoring:
                self._start = (time.monotonic(), done)
            self._was_scoring = True
            if not self._stopping:
                self.state.progress(
                    done / max(total, 1),
                    _("{done} of {total} scored").format(done=done, total=words.images(total)),
                    self._eta(done, total),
                )
        elif self._was_scoring:
            stopped, self._was_scoring, self._stopping = self._stopping, False, False
            self._say_end(worklist, stopped)

    def _eta(self, done: int, total: int) -> float | None:
        """Seconds left at the pace so far; None while unknown."""
        began, before = self._start
        return None if done <= before else (time.monotonic() - began) / (done - before) * (total - done)

    def _say_end(self, worklist: Worklist, stopped: bool) -> None:
        scored, total = sum(item.scored for item in worklist.items), len(worklist.items)
        errors = sum(bool(item.error) for item in worklist.items)
        if stopped and scored + errors < total:
            self.state.say(STOPPED.format(scored, words.images(total)))
        elif errors:
            which = words.images(errors)
            self.state.say(
                _("{scored} of {total} scored. {which} cannot be; point at “cannot be scored” for the reason.").format(
                    scored=scored, total=total, which=which
                )
            )
        elif scored < total:
            self.state.fail(
                _("scoring ended after {scored} of {total}; the server's log says why.").format(
                    scored=scored, total=words.images(total)
                )
            )
        else:
            self.state.succeed(_("{total} scored.").format(total=words.images(total)))

    def _model_chosen(self, _index: int) -> None:
        self._logic.parameters().model = self.model
        self.state.say("")
        self._was_scoring = self._stopping = False
        self._follow()

    def _follow(self) -> None:
        usable = self._server is not None and self._server.quality is not None
        self._feed.follow(self._server.client if usable and self._server is not None else None, self.model)
        self._changed()
