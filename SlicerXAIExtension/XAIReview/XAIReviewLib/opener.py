"""Opening an image: itself first, then its maps, which the server may have to compute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
from XAIPanels.turns import Steps

from .logic import ReviewLogic
from .opened import Origin
from .prepared import Image, Prepared
from .work import explain, fetch

STOPPED = _("Stopped; open the image again for its maps.")
SCENE_CLOSED = _("The scene was closed, so nothing was opened.")
CLOSED = _("The image was removed from the scene meanwhile; open it again.")
UNREADABLE = _("the server sends neither the image in a format that can be read here, nor a picture with its maps.")
DONE = _("{} is open.")
OTHER = _("Opening another image …")
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

    @property
    def busy(self) -> bool:
        return self._job.running

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
        if not self.busy:
            self._begin(wish)
            return
        self._next = wish
        self._job.drop(OTHER)
        self._job.cancel(OTHER)

    def cancel(self) -> None:
        """Stop what is under way; an image that is shown already stays."""
        self._next = None
        self._job.drop(STOPPED)
        self._job.cancel()

    def scene_closing(self) -> None:
        """Nobody waits for the image any more."""
        self._next = None
        self.state.say("")
        self._job.drop(SCENE_CLOSED)
        self._job.cancel(SCENE_CLOSED)

    def close(self) -> None:
        """The panel goes."""
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

    def _fetched(self, wish: Wish, image: Image | None) -> Steps:
        if image is not None:
            yield from self._logic.opening(wish.origin, image)
            yield
            self._came()
            yield
        self._explain(wish)

    def _explain(self, wish: Wish) -> None:
        def work(stop: Event, progress: OnProgress) -> Prepared:
            return explain(wish.client, wish.origin.image, wish.model, stop, part(progress, FIRST_SHARE, 1.0))

        self._job.start(work, lambda prepared: self._explained(wish, prepared))

    def _explained(self, wish: Wish, prepared: Prepared) -> Steps:
        """One map in each turn of the window's loop."""
        found = self._logic.opened(wish.origin)
        if found is None and prepared.image is not None:
            found = yield from self._logic.opening(wish.origin, prepared.image)
            yield
        if found is None:
            self.state.fail(CLOSED if prepared.image is not None else UNREADABLE)
            return
        self._server_job = prepared.job
        self.state.progress(1.0, _("Loading the maps"), None)
        self._logic.begin(found, prepared)
        for label, made in prepared.maps.items():
            yield
            self._logic.add_map(found, label, made)
        self._logic.finish(found)
        yield
        self.state.succeed(DONE.format(wish.origin.image))
        self._came()
