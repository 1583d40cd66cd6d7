"""One HTTP exchange that can be stopped at any time, also while nothing arrives.

`requests` blocks in the operating system until data or a timeout come. So the exchange runs in a thread of its own, and
stopping shuts its socket down, which wakes that thread at once.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Generic, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .errors import Stopped

CHECK_SECONDS = 0.05
"""How often a waiting exchange looks at the stop event."""
GRACE_SECONDS = 1.0
"""How long a stopped exchange that must not be torn apart may still take before the caller goes on without it."""

T = TypeVar("T")


class DeadlineError(Exception):
    """The exchange as a whole took too long, however busily the server dribbles."""


def exchange(
    work: Callable[[requests.Session], T],
    stop: threading.Event | None = None,
    *,
    seconds: float | None = None,
    watch: Callable[[], None] | None = None,
    late: Callable[[T], None] | None = None,
) -> T:
    """Run `work` with a session of its own and return its value; its exceptions are raised here.

    Args:
        stop: ends the exchange when it is set.
        seconds: limit for the whole exchange.
        watch: called in the caller's thread every `CHECK_SECONDS`.
        late: the request changes the server. When stopped, its answer is still awaited and given to `late`: here if it
            comes within `GRACE_SECONDS`, otherwise later in the exchange's thread.

    Raises:
        Stopped: `stop` was set. DeadlineError: after `seconds`.
    """
    if stop is not None and stop.is_set():
        raise Stopped
    running = _Exchange(work)
    deadline = None if seconds is None else time.monotonic() + seconds
    while not running.ended.wait(CHECK_SECONDS):
        if watch is not None:
            watch()
        if stop is not None and stop.is_set():
            if late is None:
                running.abort()
            else:
                running.leave(late)
            raise Stopped
        if deadline is not None and time.monotonic() > deadline:
            running.abort()
            raise DeadlineError
    return running.value()


@dataclass
class _Exchange(Generic[T]):
    """`work` in its thread."""

    work: Callable[[requests.Session], T]
    ended: threading.Event = field(default_factory=threading.Event)
    values: list[T] = field(default_factory=list)
    error: BaseException | None = None
    late: Callable[[T], None] | None = None

    def __post_init__(self) -> None:
        self.sockets = _Sockets()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, name="XAILib request", daemon=True)
        self.thread.start()

    def value(self) -> T:
        self.thread.join()
        if self.error is not None:
            raise self.error
        return self.values[0]

    def abort(self) -> None:
        """Wake the thread, which is gone on return unless it looks up a name or waits for a connection."""
        self.sockets.shut()
        self.thread.join(GRACE_SECONDS)

    def leave(self, late: Callable[[T], None]) -> None:
        self.ended.wait(GRACE_SECONDS)
        with self.lock:
            if not self.ended.is_set():
                self.late = late
                return
        self.thread.join()
        if self.values:
            late(self.values[0])

    def _run(self) -> None:
        try:
            with self.sockets, _session(self.sockets) as session:
                self.values.append(self.work(session))
        except BaseException as error:
            self.error = error
        with self.lock:
            self.ended.set()
        if self.late is not None and self.values:
            with contextlib.suppress(Exception):  # nobody waits for it any more
                self.late(self.values[0])


class _Sockets:
    """Duplicates of an exchange's sockets: the originals pass into the TLS layer, out of reach of other threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._shut = False

    def __enter__(self) -> _Sockets:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            for one in self._sockets:
                one.close()
            self._sockets.clear()

    def add(self, original: socket.socket) -> None:
        with self._lock:
            self._sockets.append(original.dup())
            if self._shut:
                _shut(self._sockets[-1])

    def shut(self) -> None:
        with self._lock:
            self._shut = True
            for one in self._sockets:
                _shut(one)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was quicker
        one.shutdown(socket.SHUT_RDWR)


def _session(sockets: _Sockets) -> requests.Session:
    session = requests.Session()
    adapter = _Adapter(sockets)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class _Adapter(HTTPAdapter):
    """Hands over every socket that it opens."""

    def __init__(self, sockets: _Sockets) -> None:
        self._classes = {
            "http": _recording(HTTPConnectionPool, sockets),
            "https": _recording(HTTPSConnectionPool, sockets),
        }
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = self._classes

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = self._classes
        return manager


def _recording(pool: Any, sockets: _Sockets) -> Any:
    """The pool's class, with connections that record their sockets as soon as they are connected."""

    class Connection(pool.ConnectionCls):
        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()
            sockets.add(made)
            return made

    return type(f"Recording{pool.__name__}", (pool,), {"ConnectionCls": Connection})
