"""Warm worker processes and the queue in front of them."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import pebble

from slicerxai.server.worker import Failure, Outcome, Stopped

logger = logging.getLogger(__name__)

# A worker inside a long native call does not see SIGTERM; pebble would wait 3 s before SIGKILL.
pebble.CONSTS.term_timeout = 0.5

MAX_ATTEMPTS = 3
WATCH_SECONDS = 0.5
RESTART_SECONDS = 5.0


@dataclass(eq=False)
class _Ticket:
    id: str
    function: Callable[..., Outcome]
    arguments: tuple[Any, ...]
    long: bool = False
    future: Future[Outcome] = field(default_factory=Future)
    attempts: int = 0
    inner: Future[Any] | None = None


class Workers:
    """A fixed number of spawned processes, started at once and replaced when they die.

    pebble hands every task to its processes' pipe at once, and cancelling one that waits there would cost a warm
    process. So the queue is kept here, and pebble holds as many tasks as there are processes. Long tasks leave one
    process to the others where there are several.
    """

    def __init__(self, count: int, initializer: Callable[[], None]) -> None:
        self.count = count
        self._initializer = initializer
        self._lock = threading.RLock()
        self._waiting: deque[_Ticket] = deque()
        self._running: dict[str, _Ticket] = {}
        self._closing = threading.Event()
        self._restarted = -RESTART_SECONDS
        self._pool = self._new_pool()
        self._watch = threading.Thread(target=self._supervise, name="workers", daemon=True)
        self._watch.start()

    @property
    def waiting(self) -> int:
        """Tasks that no process has taken yet."""
        return len(self._waiting)

    @property
    def closing(self) -> bool:
        """Whether the processes are being shut down."""
        return self._closing.is_set()

    def pids(self) -> list[int]:
        """The worker processes that live, of all instances in this process."""
        return [p.pid for p in multiprocessing.active_children() if p.name == "pebble_pool_worker" and p.pid]

    def submit(
        self,
        ticket_id: str,
        function: Callable[..., Outcome],
        *arguments: Any,
        urgent: bool = False,
        long: bool = False,
    ) -> Future[Outcome]:
        """Queue a picklable call.

        Args:
            ticket_id: names it for `cancel`.
            urgent: goes before those that wait.
            long: may take hours, so it never takes the last free process of several.

        Returns:
            A future of what the function returns, `Stopped` when it was cancelled, or `Failure` when the process died.
            It never raises.
        """
        ticket = _Ticket(ticket_id, function, arguments, long)
        with self._lock:
            if self._closing.is_set():
                ticket.future.set_result(Stopped())
                return ticket.future
            if urgent:
                self._waiting.appendleft(ticket)
            else:
                self._waiting.append(ticket)
            self._dispatch()
        return ticket.future

    def cancel(self, ticket_id: str) -> None:
        """Drop a waiting task; kill the process of a running one (another is started in its place)."""
        with self._lock:
            queued = next((ticket for ticket in self._waiting if ticket.id == ticket_id), None)
            if queued is not None:
                self._waiting.remove(queued)
            running = self._running.get(ticket_id)
        if queued is not None:
            _resolve(queued, Stopped())
        if running is not None and running.inner is not None:
            running.inner.cancel()

    def shutdown(self) -> None:
        """Kill all processes and answer all that wait with `Stopped`."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
            left = [*self._waiting, *self._running.values()]
            self._waiting.clear()
            self._running.clear()
        self._watch.join()
        _stop(self._pool)
        for ticket in left:
            _resolve(ticket, Stopped())

    def _new_pool(self) -> pebble.ProcessPool:
        context: Any = multiprocessing.get_context("spawn")
        return pebble.ProcessPool(max_workers=self.count, initializer=self._initializer, context=context)

    def _supervise(self) -> None:
        """Start the processes, then watch: pebble gives up for good when an idle process dies."""
        while True:
            if not self._pool.active and time.monotonic() - self._restarted > RESTART_SECONDS:
                self._restart()
            if self._closing.wait(WATCH_SECONDS):
                return

    def _restart(self) -> None:
        logger.warning("a worker process died while idle; starting the workers again")
        self._restarted = time.monotonic()
        with self._lock:
            broken, self._pool = self._pool, self._new_pool()
            left = list(self._running.values())
        _stop(broken)
        for ticket in left:
            self._retry(ticket, "the worker processes broke down")
        with self._lock:
            self._dispatch()

    def _dispatch(self) -> None:
        while len(self._running) < self.count and not self._closing.is_set():
            ticket = self._next()
            if ticket is None:
                return
            try:
                inner = self._pool.schedule(ticket.function, args=ticket.arguments)
            except RuntimeError:
                return  # the pool is broken; the supervisor restarts it and comes back
            self._waiting.remove(ticket)
            ticket.inner = inner
            ticket.attempts += 1
            self._running[ticket.id] = ticket
            inner.add_done_callback(lambda ended, ticket=ticket: self._ended(ticket, ended))  # type: ignore[misc]

    def _next(self) -> _Ticket | None:
        """The first that may start now."""
        full = sum(ticket.long for ticket in self._running.values()) >= max(1, self.count - 1)
        return next((ticket for ticket in self._waiting if not (ticket.long and full)), None)

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
                self._waiting.appendleft(ticket)
                return
        _resolve(ticket, Failure(500, f"{reason}, {ticket.attempts} times; see the server's log"))


def _resolve(ticket: _Ticket, outcome: Outcome) -> None:
    if not ticket.future.done():
        ticket.future.set_result(outcome)


def _death(error: BaseException) -> str:
    if isinstance(error, pebble.ProcessExpired):
        cause = "killed, probably because memory ran out" if error.exitcode == -9 else f"exit code {error.exitcode}"
        return f"the worker process ended unexpectedly ({cause}); submit the request again, or use a smaller image"
    logger.error("a task was lost", exc_info=error)
    return f"the task could not be handed to a worker ({type(error).__name__}); see the server's log"


def _stop(pool: pebble.ProcessPool) -> None:
    pool.stop()
    pool.join()
