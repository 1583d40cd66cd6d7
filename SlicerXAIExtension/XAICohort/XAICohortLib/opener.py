"""Opening a case: read in a thread, put into the scene bit by bit, then measured in a thread. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol

from slicer.i18n import tr as _
from XAILib.agreement import Agreement, measure, votes
from XAILib.cohorts import Case
from XAILib.errors import ServerError, Stopped
from XAILib.nrrd import Volume
from XAIPanels.errors import SceneError
from XAIPanels.task_list import OnProgress, Task, TaskList

from .case_node import fingerprint
from .logic import CohortLogic
from .prepared import Origin, PreparedCase
from .sources import Source
from .words import raters

STOPPED = _("Stopped; the scene is as it was.")
READ = 0.8
"""Share of reading of the time that opening a case takes."""
STEP_MS = 0


class State(Protocol):
    """Says how far a job is, and what came of it; see `JobState`."""

    def progress(self, fraction: float, message: str, eta: float | None) -> None: ...

    def say(self, text: str) -> None: ...

    def succeed(self, text: str) -> None: ...

    def fail(self, text: str) -> None: ...


@dataclass(frozen=True)
class _Measured:
    """What the raters of a case were found to agree on, and the fingerprint of what they drew."""

    drawn: Mapping[str, list[float]]
    agreement: Agreement
    votes: Volume | None


class CaseOpener:
    """One case at a time.

    Args:
        changed: called whenever opening or measuring began or ended.
        lost: called with the error when the server does not answer.
    """

    def __init__(
        self,
        state: State,
        logic: CohortLogic,
        tasks: TaskList,
        changed: Callable[[], None],
        lost: Callable[[ServerError], None],
    ) -> None:
        self.state = state
        self._logic = logic
        self._tasks = tasks
        self._changed = changed
        self._lost = lost
        self._reading: Task | None = None
        self._measuring: Task | None = None
        self._waiting: list[PreparedCase] = []
        self._case: PreparedCase | None = None
        self._steps: Generator[float, None, Any] | None = None
        self._after: list[Callable[[], None]] = []
        self._stopping = False
        self._timer = tasks.timer(STEP_MS, self._step)

    @property
    def busy(self) -> bool:
        """Whether a case is being opened."""
        return self._reading is not None or self._steps is not None or bool(self._after)

    @property
    def measuring(self) -> bool:
        """Whether the agreement of the raters is being measured."""
        return self._measuring is not None

    def open(self, source: Source, cohort: str, case: Case) -> None:
        """Open a case of a source, or show it when it is open already."""
        if self.busy:
            return
        node = self._logic.opened(Origin(source.kind, cohort, case.id))
        if node is not None:
            self._logic.show(node)
            self._end(lambda: self.state.say(_("{case} was open already.").format(case=case.id)))
            return

        def work(stop: Event, progress: OnProgress) -> PreparedCase:
            return source.read(case, stop, progress)

        self._stopping = False
        self.state.progress(0.0, _("Opening {case}").format(case=case.id), None)
        self._reading = self._tasks.start(work, self._arrived, self._failed, self._progress)
        self._changed()

    def bring_back(self) -> None:
        """Open what was removed last."""
        if not self.busy and self._logic.removed:
            self._waiting = list(self._logic.take_removed())
            self._next()

    def measure(self, node: Any) -> None:
        """Measure the agreement of a case's raters as they are drawn now; what was being measured is dropped."""
        self.stop_measuring()
        try:
            drawn = self._logic.case(node).drawn()
        except SceneError as error:
            self.state.fail(str(error))
            return
        if not drawn:
            return

        def work(_stop: Event, _progress: OnProgress) -> _Measured:
            return _Measured(fingerprint(drawn), measure(drawn), votes(drawn))

        def done(found: _Measured) -> None:
            self._measuring = None
            self._logic.keep_agreement(node, found.agreement, found.drawn)
            self._logic.keep_votes(node, found.votes)
            self._logic.draw()
            self._changed()

        self._measuring = self._tasks.start(work, done, self._not_measured)
        self._changed()

    def cancel(self) -> None:
        """Stop opening; nothing of the case stays."""
        self._waiting = []
        if self._reading is not None:
            self._stopping = True
            self.state.progress(0.0, _("Stopping"), None)
            self._reading.cancel()
        elif self._steps is not None:
            self._drop_steps()
            self._end(lambda: self.state.say(STOPPED))

    def forget(self) -> None:
        """The scene is being closed: nobody waits for the case any more."""
        self.cancel()
        self._drop_steps()
        self.stop_measuring()

    def stop_measuring(self) -> None:
        """What is being measured interests nobody any more."""
        if self._measuring is not None:
            self._tasks.drop(self._measuring)
            self._measuring = None

    def close(self) -> None:
        """The panel goes; its tasks are closed elsewhere."""
        self._waiting = []
        self._reading = self._measuring = None
        self._drop_steps()

    def _arrived(self, case: PreparedCase) -> None:
        self._reading = None
        if self._stopping:  # it came just before it could be stopped: what the user wanted counts
            self._end(lambda: self.state.say(STOPPED))
            return
        self._waiting = [case]
        self._next()

    def _next(self) -> None:
        """Begin to put the next case that waits into the scene."""
        self._case = self._waiting.pop(0)
        self._steps = self._logic.loading(self._case)
        self._timer.start()
        self._changed()

    def _step(self) -> None:
        if self._steps is None:
            self._go_on()
            return
        try:
            share = next(self._steps)
        except StopIteration as ended:
            self._steps = None
            self._added(ended.value)
        else:
            self.state.progress(READ + (1 - READ) * share, _("Loading the case"), None)

    def _added(self, node: Any) -> None:
        """What is left to do takes a while too, so each of it waits for its turn."""
        case = self._case
        self._after = [lambda: self._logic.show(node), self._logic.make_room]
        if self._waiting:
            self._after += [self._next]
        elif case is not None:
            self._after += [lambda: self._end(lambda: self.state.succeed(_opened(case))), lambda: self.measure(node)]

    def _go_on(self) -> None:
        if self._after:
            self._after.pop(0)()
        else:
            self._timer.stop()
            self._changed()

    def _drop_steps(self) -> None:
        self._timer.stop()
        self._after = []
        if self._steps is not None:
            steps, self._steps = self._steps, None
            steps.close()

    def _progress(self, fraction: float, message: str, eta: float | None) -> None:
        if not self._stopping:
            self.state.progress(READ * fraction, message, eta)

    def _failed(self, error: BaseException) -> None:
        self._reading = None
        if isinstance(error, Stopped):
            self._end(lambda: self.state.say(STOPPED))
            return
        self._end(lambda: self.state.fail(str(error)))
        if isinstance(error, ServerError):
            self._lost(error)
        elif not isinstance(error, SceneError):
            raise error

    def _not_measured(self, error: BaseException) -> None:
        self._measuring = None
        self.state.fail(_("The agreement cannot be measured: {error}").format(error=error))
        self._changed()
        if not isinstance(error, Stopped):
            raise error

    def _end(self, say: Callable[[], None]) -> None:
        say()
        self._changed()


def _opened(case: PreparedCase) -> str:
    text = _("{case} with {images}; masks: {raters}.")
    return text.format(
        case=case.origin.case,
        images=", ".join(case.images),
        raters=raters(tuple(case.masks)) if case.masks else _("none"),
    )
