"""A bounded number of requests at one time, and a bounded, fair queue of those that wait for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from slicerxai.server.fair_queue import FairQueue, Pace, may_hold

_LANE = "requests"


@dataclass(eq=False)
class _Waiter:
    client: str
    loop: asyncio.AbstractEventLoop
    granted: asyncio.Future[None]


class Place:
    """A place inside a gate. Leaving twice does nothing."""

    def __init__(self, gate: Gate, client: str) -> None:
        self._gate, self._client = gate, client
        self._entered: float | None = time.monotonic()

    def leave(self) -> None:
        """Let the next one in."""
        entered, self._entered = self._entered, None
        if entered is not None:
            self._gate._left(self._client, time.monotonic() - entered)


class Gate:
    """Lets so many requests in at one time; of the others so many wait, clients in turn.

    No client takes all places while it is alone (see `may_hold`), so that others get in however long its requests last.
    """

    def __init__(self, at_once: int, places: int) -> None:
        self.at_once = at_once
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._waiting: FairQueue[_Waiter] = FairQueue({_LANE: 1.0}, places)
        self._pace = Pace()

    @property
    def inside(self) -> int:
        return self._inside.total()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[Place]:
        """A place for the time of the block, or until it is left within; waits for it.

        Raises `TooManyJobsError` when too many wait already, or too many of this client's.
        """
        await self._enter(client)
        place = Place(self, client)
        try:
            yield place
        finally:
            place.leave()

    async def _enter(self, client: str) -> None:
        with self._lock:
            if self._may_enter(_LANE, client):  # those that wait may not, or they would be inside
                self._inside[client] += 1
                return
            turns = 1 + self.waiting / self.at_once
            self._waiting.check_room(_LANE, client, self._pace.retry_after(_LANE, turns))
            loop = asyncio.get_running_loop()
            waiter = _Waiter(client, loop, loop.create_future())
            self._waiting.add(waiter, _LANE, client)
        try:
            await waiter.granted
        except asyncio.CancelledError:
            with self._lock:
                gone = self._waiting.pop(lambda other: other is waiter)
                if gone is None:  # granted at the same moment
                    self._release(client)
            raise

    def _left(self, client: str, seconds: float) -> None:
        with self._lock:
            self._pace.note(_LANE, seconds)
            self._release(client)

    def _release(self, client: str) -> None:
        self._inside[client] -= 1
        self._inside += Counter()  # forgets clients without a place
        while (waiter := self._waiting.take(self._may_enter)) is not None:
            self._inside[waiter.client] += 1
            waiter.loop.call_soon_threadsafe(_grant, waiter.granted)

    def _may_enter(self, lane: str, client: str) -> bool:
        del lane
        return may_hold(self._inside[client], self.inside, self.at_once)


def _grant(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
