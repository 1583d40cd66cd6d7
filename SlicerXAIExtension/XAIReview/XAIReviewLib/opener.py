"""Opening an image: itself first, then its maps, which the server may have to compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any

from slicer.i18n import tr as _
from XAILib.client import Client, OnProgress
from XAILib.errors import ServerError
from XAILib.run import part
from XAILib.worklist import Worklist
from XAIPanels.job_state import JobState
from XAIPanels.one_job import OneJob
from XAIPanels.task_list import TaskList

from .logic import ReviewLogic
from .opened import Opened, Origin
from .prepared import Image, Prepared
from .work import explain, fetch

STOPPED = _("Stopped; open the image again for its maps.")
SCENE_CLOSED = _("The scene was closed, so nothing was opened.")
CLOSED = _("The image was removed from the scene meanwhile; open it again.")
UNREADABLE = _("the server sends neither the image in a format that can be read here, nor a picture with its maps.")
DONE = _("{} is open.")
FIRST_SHARE = 0.1
"""Of the progress, for fetching the image."""


@dataclass(frozen=True)
class Wish:
    """An image that shall be opened."""

    client: Client
    model: str
    origin: Origin


class _Widgets:
    """The widgets of the image under the names that `JobState` uses."""

    def __init__(self, ui: Any) -> None:
        self.progressBar = ui.itemProgressBar
        self.jobState = ui.itemState


class Opener:
    """One image at a time; the newest wish counts.

    Args:
        came: called when an image, or its maps, came into the scene.
        changed: called whenever opening began or ended.
        lost: called with the error when the server does not answer.
    """

    def __init__(
        self,
        ui: Any,
        logic: ReviewLogic,
        tasks: TaskList,
        came: Callable[[], None],
        changed: Callable[[], None],
        lost: Callable[[ServerError], None],
    ) -> None:
        self.state = JobState(_Widgets(ui), _("Not opened"))
        self._logic = logic
        self._came = came
        self._changed = changed
        self._job = OneJob(tasks, self.state, lost, self._job_changed, STOPPED)
        self._wish: Wish | None = None
        self._next: Wish | None = None
        self._server_job = ""
        self._adding: list[Callable[[], None]] = []
        self._timer = tasks.timer(0, self._add_one)

    @property
    def busy(self) -> bool:
        return self._job.running or bool(self._adding)

    @property
    def image(self) -> str:
        """Id of the image that is being opened; empty when none is."""
        wish = self._next or (self._wish if self.busy else None)
        return wish.origin.image if wish is not None else ""

    @property
    def job(self) -> str:
        """The server's job of the newest result; empty without one."""
        return self._server_job

    def open(self, client: Client, worklist: Worklist, image: str) -> None:
        """Open an image, or show it when it is open; what is missing of it is fetched."""
        wish = Wish(client, worklist.model, Origin(client.url, image, worklist.digest))
        if self.busy:
            self._stop_adding()
            self._next = wish
            self._job.cancel(_("Opening another image …"))
            if not self._job.running:
                self._begin_next()
            return
        self._begin(wish)

    def cancel(self) -> None:
        """Stop what is under way; an image that is shown already stays."""
        self._next = None
        if self._adding:
            self._stop_adding()
            self.state.say(STOPPED)
            self._changed()
        self._job.cancel()

    def scene_closing(self) -> None:
        """Nobody waits for the image any more."""
        self._next = None
        self._stop_adding()
        self.state.say("")
        self._job.cancel(SCENE_CLOSED)

    def close(self) -> None:
        """The panel goes."""
        self._stop_adding()
        self._job.close()

    def _begin(self, wish: Wish) -> None:
        self._wish, self._server_job = wish, ""
        found = self._logic.opened(wish.origin)
        if found is not None:
            self._logic.reuse(found, wish.origin.digest)
            self._logic.show(found)
            self._came()
            if found.complete:
                self.state.succeed(DONE.format(wish.origin.image))
                self._changed()
            else:
                self._explain(wish)
            return

        def work(stop: Event, progress: OnProgress) -> Image | None:
            return fetch(wish.client, wish.origin.image, stop, part(progress, 0.0, FIRST_SHARE))

        self._job.start(work, lambda image: self._fetched(wish, image))

    def _begin_next(self) -> None:
        wish, self._next = self._next, None
        if wish is not None:
            self._begin(wish)

    def _job_changed(self) -> None:
        if not self._job.running and self._next is not None:
            self._begin_next()
        self._changed()

    def _fetched(self, wish: Wish, image: Image | None) -> None:
        if image is not None:
            self._logic.open(wish.origin, image)
            self._came()
        self._explain(wish)

    def _explain(self, wish: Wish) -> None:
        def work(stop: Event, progress: OnProgress) -> Prepared:
            return explain(wish.client, wish.origin.image, wish.model, stop, part(progress, FIRST_SHARE, 1.0))

        self._job.start(work, lambda prepared: self._explained(wish, prepared))

    def _explained(self, wish: Wish, prepared: Prepared) -> None:
        found = self._logic.opened(wish.origin)
        if found is None and prepared.image is not None:
            found = self._logic.open(wish.origin, prepared.image)
        if found is None:
            self.state.fail(CLOSED if prepared.image is not None else UNREADABLE)
            return
        self._logic.begin(found, prepared)
        self._server_job = prepared.job
        adding = self._logic.add_map
        self._adding = [partial(adding, found, label, made) for label, made in prepared.maps.items()]
        self._adding.append(partial(self._finish, wish, found))
        self.state.progress(1.0, _("Loading the maps"), None)
        self._timer.start()

    def _add_one(self) -> None:
        """One map in each round of the window's loop, so that it answers in between."""
        if self._adding:
            self._adding.pop(0)()
        if not self._adding:
            self._timer.stop()
            self._changed()

    def _stop_adding(self) -> None:
        self._timer.stop()
        self._adding = []

    def _finish(self, wish: Wish, found: Opened) -> None:
        self._logic.finish(found)
        self.state.succeed(DONE.format(wish.origin.image))
        self._came()
