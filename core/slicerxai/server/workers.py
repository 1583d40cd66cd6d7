"""Warm worker processes and the fair queue in front of them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import pebble

from slicerxai.server.fair_queue import FairQueue, Pace
from slicerxai.server.fork_server import worker_context
from slicerxai.server.metrics import WORKER_ENDS
from slicerxai.server.worker import Failure, Outcome, Stopped, lower_priority
from slicerxai.settings import settings

logger = logging.getLogger(__name__)

# A worker inside a long native call does not see SIGTERM; pebble would wait 3 s before SIGKILL.
pebble.CONSTS.term_timeout = 0.5

MAX_ATTEMPTS = 3
WATCH_SECONDS = 0.5
RESTART_SECONDS = 5.0
DRAIN_STEP_SECONDS = 0.05

Lane = Literal["inference", "case", "cohort"]
"""Work that a person waits for, explanations of a case, and explanations of a cohort, which may take hours."""
WEIGHTS: dict[str, float] = {"inference": 8.0, "case": 2.0, "cohort": 1.0}


@dataclass(eq=False)
class _Ticket:
    id: str
    function: Callable[..., Outcome]
    arguments: tuple[Any, ...]
    lane: Lane
    client: str
    future: Future[Outcome] = field(default_factory=Future)
    attempts: int = 0
    inner: Future[Any] | None = None
    started: float = 0.0


class Workers:
    """A fixed number of processes (`slicerxai.server.fork_server`), started at once and replaced when they die.

    pebble hands every task to its processes' pipe at once, and cancelling one that waits there would cost a warm
    process. So the queue is kept here, and pebble holds as many tasks as there are processes. Clients take turns, and
    work on cohorts leaves one process to the others where there are several.
    """

    def __init__(self, count: int, initializer: Callable[[], None], places: int) -> None:
        """Start the processes in the background.

        Args:
            count: of the processes.
            initializer: called once in each.
            places: tasks that may wait in each lane.
        """
        self.count = count
        self._initializer = initializer
        self._lock = threading.RLock()
        self._waiting: FairQueue[_Ticket] = FairQueue(WEIGHTS, places)
        self._pace = Pace()
        self._running: dict[str, _Ticket] = {}
        self._closing = threading.Event()
        self._drained_by: float | None = None
        self._restarted = -RESTART_SECONDS
        self._pool = self._new_pool()
        self._watch = threading.Thread(target=self._supervise, name="workers", daemon=True)
        self._watch.start()

    @property
    def waiting(self) -> int:
        """Tasks that no process has taken yet."""
        return len(self._waiting)

    def lanes(self) -> dict[str, tuple[int, int]]:
        """Tasks that wait and that run in each lane."""
        with self._lock:
            running = [ticket.lane for ticket in self._running.values()]
            return {lane: (self._waiting.waiting(lane), running.count(lane)) for lane in WEIGHTS}  # type: ignore[arg-type]

    @property
    def closing(self) -> bool:
        """Whether nothing is started any more."""
        return self._closing.is_set() or self._drained_by is not None

    def pids(self) -> list[int]:
        """The worker processes that live, of all instances in this process."""
        return [p.pid for p in multiprocessing.active_children() if p.name == "pebble_pool_worker" and p.pid]

    def check_room(self, lane: Lane, client: str) -> None:
        """Raises `TooManyJobsError` when the lane, or the client's share of it, is full."""
        with self._lock:
            turns = max(1, self._waiting.clients(lane)) / self.count  # until the next of this client's is taken
            self._waiting.check_room(lane, client, self._pace.retry_after(lane, turns))

    def submit(
        self,
        ticket_id: str,
        function: Callable[..., Outcome],
        *arguments: Any,
        lane: Lane = "case",
        client: str = "",
    ) -> Future[Outcome]:
        """Queue a picklable call.

        Args:
            ticket_id: names it for `cancel`.
            client: who asked; clients take turns.

        Returns:
            A future of what the function returns, `Stopped` when it was cancelled, or `Failure` when the process died.
            It never raises.
        """
        ticket = _Ticket(ticket_id, function, arguments, lane, client)
        with self._lock:
            if self.closing:
                ticket.future.set_result(Stopped())
                return ticket.future
            self._waiting.add(ticket, lane, client)
            self._dispatch()
        return ticket.future

    def cancel(self, ticket_id: str) -> None:
        """Drop a waiting task; kill the process of a running one (another is started in its place)."""
        with self._lock:
            queued = self._waiting.pop(lambda ticket: ticket.id == ticket_id)
            running = self._running.get(ticket_id)
        if queued is not None:
            _resolve(queued, Stopped())
        if running is not None and running.inner is not None:
            WORKER_ENDS.labels("cancelled").inc()
            running.inner.cancel()

    def drain(self, seconds: float) -> None:
        """Answer all that wait with `Stopped` and let what runs end, for so many seconds from the first call on."""
        with self._lock:
            if self._drained_by is None:
                self._drained_by = time.monotonic() + seconds
            until, left = self._drained_by, self._waiting.clear()
        for ticket in left:
            _resolve(ticket, Stopped())
        while self._running and time.monotonic() < until:
            time.sleep(DRAIN_STEP_SECONDS)

    def shutdown(self) -> None:
        """Kill all processes and answer all that wait with `Stopped`."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            left = [*self._waiting.clear(), *self._running.values()]
            self._running.clear()
        self._watch.join()
        _stop(self._pool)
        for ticket in left:
            _resolve(ticket, Stopped())

    def _new_pool(self) -> pebble.ProcessPool:
        context: Any = worker_context()
        start = partial(_start, self._initializer, dict(os.environ))
        return pebble.ProcessPool(max_workers=self.count, initializer=start, context=context)

    def _supervise(self) -> None:
        """Start the processes, then watch: pebble gives up for good when an idle process dies."""
        while True:
            if not _is_active(self._pool) and time.monotonic() - self._restarted > RESTART_SECONDS:
                self._restart()
            with self._lock:
                self._dispatch()  # what waited while there was no process
            if self._closing.wait(WATCH_SECONDS):
                return

    def _restart(self) -> None:
        logger.warning("the worker processes broke down; starting them again")
        WORKER_ENDS.labels("died").inc()
        self._restarted = time.monotonic()
        with self._lock:
            broken, self._pool = self._pool, self._new_pool()
            left = list(self._running.values())
        _stop(broken)
        for ticket in left:
            self._retry(ticket, "the worker processes broke down")

    def _dispatch(self) -> None:
        while len(self._running) < self.count and not self.closing:
            ticket = self._waiting.take(self._may_start)
            if ticket is None:
                return
            try:
                inner = self._pool.schedule(ticket.function, args=ticket.arguments)
            except RuntimeError:  # the pool is broken; the supervisor restarts it and comes back
                self._waiting.add(ticket, ticket.lane, ticket.client, first=True)
                return
            ticket.inner = inner
            ticket.attempts += 1
            ticket.started = time.monotonic()
            self._running[ticket.id] = ticket
            inner.add_done_callback(partial(self._ended, ticket))

    def _may_start(self, lane: str, client: str) -> bool:
        del client
        cohorts = sum(ticket.lane == "cohort" for ticket in self._running.values())
        return lane != "cohort" or cohorts < max(1, self.count - 1)

    def _ended(self, ticket: _Ticket, inner: Future[Any]) -> None:
        if ticket.inner is not inner or self._closing.is_set():
            return
        error = None if inner.cancelled() else inner.exception()
        if isinstance(error, BrokenProcessPool):
            self._retry(ticket, "the worker processes broke down")
            return
        with self._lock:
            if self._running.pop(ticket.id, None) is not ticket:
                return
            if error is None and not inner.cancelled():
                self._pace.note(ticket.lane, time.monotonic() - ticket.started)
            self._dispatch()
        if inner.cancelled():
            _resolve(ticket, Stopped())
        elif error is None:
            _resolve(ticket, inner.result())
        else:
            _resolve(ticket, Failure(500, _death(error)))

    def _retry(self, ticket: _Ticket, reason: str) -> None:
        """Queue a task again whose processes were lost without its own fault."""
        with self._lock:
            if self._running.pop(ticket.id, None) is not ticket:
                return
            if ticket.attempts < MAX_ATTEMPTS:
                self._waiting.add(ticket, ticket.lane, ticket.client, first=True)
                return
        _resolve(ticket, Failure(500, f"{reason}, {ticket.attempts} times; see the server's log"))


def _start(initializer: Callable[[], None], environment: Mapping[str, str]) -> None:
    """Prepare a new process, in the environment that the server has now: the one it is forked from may be older."""
    os.environ.clear()
    os.environ.update(environment)
    settings.cache_clear()
    lower_priority()
    initializer()


def _is_active(pool: pebble.ProcessPool) -> bool:
    """Whether the pool can work; one that is new is started first."""
    try:
        return bool(pool.active)
    except BrokenProcessPool:
        logger.warning("the worker processes could not be started", exc_info=True)
        return False


def _resolve(ticket: _Ticket, outcome: Outcome) -> None:
    if not ticket.future.done():
        ticket.future.set_result(outcome)


def _death(error: BaseException) -> str:
    if isinstance(error, pebble.ProcessExpired):
        WORKER_ENDS.labels("died").inc()
        logger.error("a worker process ended unexpectedly, exit code %s", error.exitcode)
        cause = "killed, probably because memory ran out" if error.exitcode == -9 else f"exit code {error.exitcode}"
        return f"the worker process ended unexpectedly ({cause}); submit the request again, or use a smaller image"
    logger.error("a task was lost", exc_info=error)
    return f"the task could not be handed to a worker ({type(error).__name__}); see the server's log"


def _stop(pool: pebble.ProcessPool) -> None:
    pool.stop()
    pool.join()
