"""A bounded queue that serves its clients in turn, and the pace by which it tells them when to come back."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from slicerxai.server.problems import TooManyJobsError

T = TypeVar("T")

GREED = 3
"""A client may hold at most so many times the places that are left free: alone ¾ of them, with another 3/7 each."""

FIRST_GUESS_SECONDS = 10.0
LONGEST_RETRY_SECONDS = 600
_WEIGHT_OF_NEWEST = 0.2


def may_hold(own: int, taken: int, places: int) -> bool:
    """Whether a client that holds `own` of the `taken` among so many places may take one more.

    What a client may hold shrinks as the rest fills up, so that a newcomer finds a place (the dynamic thresholds of
    Choudhury and Hahne, IEEE/ACM Trans. Networking 6, 1998).
    """
    return taken < places and own < GREED * (places - taken)


class FairQueue(Generic[T]):
    """Waiting items of several clients in several lanes.

    Within a lane clients take turns, each with its items in the order in which they came. Lanes share what is taken
    by their weights (stride scheduling), so that none starves. Not safe for threads: its owner locks.
    """

    def __init__(self, weights: Mapping[str, float], places: int) -> None:
        """Make an empty queue.

        Args:
            weights: share of each lane when all of them are waited in.
            places: items that may wait in each lane.
        """
        self.places = places
        self._weights = dict(weights)
        self._lanes: dict[str, OrderedDict[str, deque[T]]] = {lane: OrderedDict() for lane in weights}
        self._served = dict.fromkeys(weights, 0.0)

    def __len__(self) -> int:
        return sum(map(self.waiting, self._lanes))

    def waiting(self, lane: str) -> int:
        """Items in a lane."""
        return sum(map(len, self._lanes[lane].values()))

    def of_client(self, lane: str, client: str) -> int:
        """A client's items in a lane."""
        return len(self._lanes[lane].get(client, ()))

    def clients(self, lane: str) -> int:
        """How many clients wait in a lane."""
        return len(self._lanes[lane])

    def check_room(self, lane: str, client: str, seconds: int) -> None:
        """Raises `TooManyJobsError`, to be tried again after so many seconds, unless the client may add an item."""
        taken, own = self.waiting(lane), self.of_client(lane, client)
        if may_hold(own, taken, self.places):
            return
        if taken >= self.places:
            msg = f"{taken} jobs wait already, which is the limit; try again later"
        else:
            msg = f"{own} jobs of yours wait already; the other {self.places - taken} places are for other clients"
        raise TooManyJobsError(msg, retry_after=seconds)

    def add(self, item: T, lane: str, client: str, *, first: bool = False) -> None:
        """Put an item behind the client's others or, with `first`, before everything in its lane."""
        queues = self._lanes[lane]
        if not queues:  # what a lane did not use while nobody waited in it is not made up for
            busy = [self._served[name] for name, other in self._lanes.items() if other]
            self._served[lane] = max([self._served[lane], *([min(busy)] if busy else [])])
        queue = queues.setdefault(client, deque())
        if first:
            queue.appendleft(item)
            queues.move_to_end(client, last=False)
        else:
            queue.append(item)

    def take(self, allowed: Callable[[str, str], bool]) -> T | None:
        """The next item whose lane and client are allowed now; None when there is none."""
        for lane in sorted(self._lanes, key=self._served.__getitem__):
            queues = self._lanes[lane]
            client = next((name for name in queues if allowed(lane, name)), None)
            if client is None:
                continue
            self._served[lane] += 1 / self._weights[lane]
            item = queues[client].popleft()
            queues.move_to_end(client)
            if not queues[client]:
                del queues[client]
            return item
        return None

    def pop(self, chosen: Callable[[T], bool]) -> T | None:
        """Take out the item that was chosen; None when there is none."""
        for queues in self._lanes.values():
            for client, queue in queues.items():
                found = next((item for item in queue if chosen(item)), None)
                if found is not None:
                    queue.remove(found)
                    if not queue:
                        del queues[client]
                    return found
        return None

    def clear(self) -> list[T]:
        """Take out everything."""
        left = [item for queues in self._lanes.values() for queue in queues.values() for item in queue]
        for queues in self._lanes.values():
            queues.clear()
        return left


class Pace:
    """How long work of each kind takes, as a moving average."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, kind: str, seconds: float) -> None:
        """Work of a kind took so long."""
        known = self._seconds.get(kind, seconds)
        self._seconds[kind] = known + _WEIGHT_OF_NEWEST * (seconds - known)

    def retry_after(self, kind: str, turns: float) -> int:
        """Whole seconds that so many pieces of work take one after the other, at least 1."""
        expected = self._seconds.get(kind, FIRST_GUESS_SECONDS) * turns
        return min(LONGEST_RETRY_SECONDS, max(1, math.ceil(expected)))
