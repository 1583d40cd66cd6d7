"""The worklist as the server has it: fetched when asked for, and again and again while the server is scoring."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from threading import Event
from typing import Any

from XAILib.client import Client
from XAILib.errors import ServerError
from XAILib.review import fetch_worklist
from XAILib.worklist import Item, Worklist
from XAIPanels.task_list import Task, TaskList

POLL_MS = 1000


class Feed:
    """One model's worklist.

    Args:
        changed: called whenever another list came, or fetching it began or failed.
        lost: called with the error when the server does not give it.

    Attributes:
        worklist: the newest that came; None before.
        failure: why there is no newer one; empty when there is.
    """

    def __init__(self, tasks: TaskList, changed: Callable[[], None], lost: Callable[[ServerError], None]) -> None:
        self.worklist: Worklist | None = None
        self.failure = ""
        self._tasks = tasks
        self._changed = changed
        self._lost = lost
        self._client: Client | None = None
        self._model = ""
        self._task: Task | None = None
        self._again = False
        self._timer = tasks.timer(POLL_MS, self.refresh, once=True)

    @property
    def fetching(self) -> bool:
        """Whether the first list of a model is being waited for."""
        return self._task is not None and self.worklist is None

    def follow(self, client: Client | None, model: str) -> None:
        """Show the list of this model from now on; without a client, the last list stays as it is."""
        if (client, model) == (self._client, self._model):
            return
        if model != self._model:
            self.worklist = None
        self._drop()
        self._client, self._model, self.failure = client, model, ""
        self.refresh()

    def refresh(self) -> None:
        """Fetch the list; once more when that is being done already, as the answer may be old by then."""
        client, model = self._client, self._model
        if client is None or not model:
            return
        if self._task is not None:
            self._again = True
            return
        self._timer.stop()

        def work(stop: Event, _progress: Any) -> Worklist:
            return fetch_worklist(client, model, stop)

        self._task = self._tasks.start(work, self._arrived, self._failed)
        self._changed()

    def replace(self, item: Item) -> None:
        """Put in what a decision has made of an item; the list's order is fetched."""
        if self.worklist is not None:
            items = tuple(item if one.image == item.image else one for one in self.worklist.items)
            self.worklist = dataclasses.replace(self.worklist, items=items)
        self.refresh()

    def close(self) -> None:
        """Fetch no more."""
        self._drop()
        self._client = None

    def _drop(self) -> None:
        self._timer.stop()
        self._again = False
        if self._task is not None:
            self._tasks.drop(self._task)
            self._task = None

    def _arrived(self, worklist: Worklist) -> None:
        self._task = None
        if self._again:  # something was written since this was asked
            self._again = False
            self.refresh()
            return
        self.worklist, self.failure = worklist, ""
        if worklist.scoring:
            self._timer.start()
        self._changed()

    def _failed(self, error: BaseException) -> None:
        self._task, self._again = None, False
        self.failure = str(error)
        self._changed()
        if not isinstance(error, ServerError):
            raise error
        self._lost(error)
