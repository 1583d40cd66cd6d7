"""Pumps Qt's events and finds what makes them wait: calls that block the main thread, and time that it takes."""

from __future__ import annotations

import functools
import gc
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from PySide6 import QtCore

BLOCK_LIMIT = 1.0
"""Seconds that events may wait; generous, as slow machines and disks are not the panel's fault."""
COMPUTE_LIMIT = 0.5
"""Seconds of them that the main thread may compute. People notice 0.1, which `python -m benchmarks run panel_blocking`
demands (`--block-limit`): there is no tracing of coverage there, which makes all Python slower.
"""
BLOCKING_CALLS = frozenset({"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "time.sleep"})
"""Audit events of what may take any time, however fast it happens to be here."""
_BEAT_MS = 10


class Watchdog:
    """Looks only while somebody pumps events or clicks: between these the test itself is at work.

    The clock is wall time minus the time in which the main thread, or another thread of Python that it may wait for,
    was ready to run but the machine gave it no processor (Linux: second figure of /proc/self/task/<id>/schedstat),
    minus excused time; at least what the main thread computed counts. So computing, sleeping, waiting for a socket, a
    lock or the interpreter lock all count, and a busy machine does not. Nor does collecting garbage, whose time grows
    with what all tests of the process hold, not with what a panel does. While the kernel reads code back from the disk
    that it had thrown out of memory (major page faults of the main thread), only what is computed counts.

    Attributes:
        stalls: what was found, each with the stack of the main thread at that time, if seen.
        longest: seconds that events waited at most since somebody set it to 0.
    """

    def __init__(self) -> None:
        self.stalls: list[str] = []
        self.longest = 0.0
        self._schedstat = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._main = threading.get_ident()
        self._depth = 0
        self._excused_depth = 0
        self._excuse_start = 0.0, 0.0
        self._excused = 0.0
        self._excused_cpu = 0.0
        self._starved: dict[int, float] = {}
        self._last = 0.0
        self._last_wall = 0.0
        self._last_cpu = 0.0
        self._pages = 0
        self._stack = ""
        self._timer = QtCore.QTimer()
        self._timer.setInterval(_BEAT_MS)
        self._timer.timeout.connect(self._beat)
        threading.Thread(target=self._sample, name="slicer_double watchdog", daemon=True).start()
        if sys.version_info < (3, 13):
            time.sleep = _audited(time.sleep)
        sys.addaudithook(self._audit)
        gc.callbacks.append(self._collecting)

    @property
    def timer(self) -> QtCore.QTimer:
        """The heartbeat: not a leak."""
        return self._timer

    @contextmanager
    def watching(self) -> Iterator[None]:
        """The event loop should run now: anything that takes long in this block is a stall."""
        if self._depth == 0:
            self._restart()
            self._timer.start()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._timer.stop()
                self._beat()

    @contextmanager
    def excused(self) -> Iterator[None]:
        """This time does not count (drawing by software OpenGL, which a graphics card does in milliseconds)."""
        self._begin_excuse()
        try:
            yield
        finally:
            self._end_excuse()
            self._last_wall = time.perf_counter()

    def _begin_excuse(self) -> None:
        if self._excused_depth == 0:
            self._excuse_start = self._clock(), self._computed()
        self._excused_depth += 1

    def _end_excuse(self) -> None:
        self._excused_depth -= 1
        if self._excused_depth == 0:
            start, computed = self._excuse_start
            self._excused += self._clock() - start
            self._excused_cpu += self._computed() - computed

    def _collecting(self, phase: str, _details: dict[str, int]) -> None:
        if threading.get_ident() != self._main:
            return
        if phase == "start":
            self._begin_excuse()
        else:
            self._end_excuse()

    def _clock(self) -> float:
        return time.perf_counter() - _starved(self._schedstat) - self._excused

    def _computed(self) -> float:
        return time.thread_time() - self._excused_cpu

    def _restart(self) -> None:
        self._last, self._last_wall, self._stack = self._clock(), time.perf_counter(), ""
        self._last_cpu = self._computed()
        self._starved = _others_starved()
        self._pages = _pages_read()

    def _beat(self) -> None:
        seconds = self._clock() - self._last
        computed = self._computed() - self._last_cpu
        if seconds > BLOCK_LIMIT and _pages_read() > self._pages:
            seconds = computed
        if seconds > BLOCK_LIMIT:
            now = _others_starved()
            seconds = max(computed, seconds - sum(now[one] - self._starved.get(one, 0.0) for one in now))
        self.longest = max(self.longest, seconds, computed)
        if seconds > BLOCK_LIMIT or computed > COMPUTE_LIMIT:
            self.stalls.append(f"events waited {seconds:.3f} s (computing {computed:.3f} s)\n{self._stack}")
        self._restart()

    def _audit(self, event: str, _arguments: tuple[object, ...]) -> None:
        if event not in BLOCKING_CALLS or not self._depth or self._excused_depth:
            return
        if threading.get_ident() == self._main:
            self.stalls.append(f"{event} while events wait\n{_stack(sys._getframe(1))}")

    def _sample(self) -> None:
        while True:
            time.sleep(BLOCK_LIMIT / 5)
            late = time.perf_counter() - self._last_wall > BLOCK_LIMIT / 2
            if self._depth and not self._excused_depth and late and not self._stack:
                self._stack = _stack(sys._current_frames().get(self._main))


def _audited(sleep: Callable[[float], None]) -> Callable[[float], None]:
    """With the audit event that Python has since 3.13."""

    @functools.wraps(sleep)
    def audited(seconds: float) -> None:
        sys.audit("time.sleep", seconds)
        sleep(seconds)

    return audited


def _stack(frame: FrameType | None) -> str:
    lines = traceback.format_stack(frame)
    return "".join([*[line for line in lines[:-2] if "slicer_double" not in line][-6:], *lines[-2:]])


def _starved(schedstat: Path) -> float:
    """Seconds that a thread was ready to run but got no processor."""
    try:
        return int(schedstat.read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # not Linux, or the thread has ended: a busy machine counts too
        return 0.0


def _pages_read() -> int:
    """Pages that the main thread waited for until they were read from the disk; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_THREAD).ru_majflt


def _others_starved() -> dict[int, float]:
    """The same of Python's other threads, by their ids."""
    found = [one.native_id for one in threading.enumerate() if one is not threading.main_thread()]
    return {one: _starved(Path(f"/proc/self/task/{one}/schedstat")) for one in found if one is not None}


def limit(seconds: float) -> None:
    """From now on events may wait and the main thread may compute so long at most."""
    global BLOCK_LIMIT, COMPUTE_LIMIT  # noqa: PLW0603 - of the process, as the one watchdog is
    BLOCK_LIMIT = COMPUTE_LIMIT = seconds


@functools.cache
def watchdog() -> Watchdog:
    """The one watchdog of the process; made in the main thread, after the QApplication."""
    return Watchdog()


def pump() -> None:
    """Process the events that wait, deferred deletions included, under the watchdog's eye."""
    with watchdog().watching():
        QtCore.QCoreApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
