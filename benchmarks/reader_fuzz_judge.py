"""What is accepted of a reader: it returns, or raises a `UserError` fit to be shown; in little time and memory; and it
writes nothing, starts nothing and reads no file but its own.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from slicerxai.errors import UserError

SECONDS = 5.0
"""CPU time that one input may take."""
HANG_SECONDS = 60.0
MEMORY_MB = 256
"""Resident memory that a reader may take beside what the process had before."""
ADDRESS_SPACE = 8 * 1024**3
"""What a reader may reserve at most: a library may ask for as much as a header says and fill only what is there."""
LONGEST_MESSAGE = 3000
SECRET = b"\x5a" * 4096

Sample = Mapping[str, bytes]
"""File contents by name."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_STARTS = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "pickle.find_class",
}


class _Hang(BaseException):
    """Raised by the alarm inside a reader that does not return."""


@dataclass(frozen=True)
class Kind:
    """One kind of input.

    Attributes:
        inputs: of the full run.
        samples: reads or makes sound examples, and returns what makes an input of them.
        read: reads what lies in a folder; raises `UserError` for what it does not accept.
        named: text that every message must have.
    """

    inputs: int
    samples: Callable[[], Callable[[Random], Sample]]
    read: Callable[[Path], object]
    named: str


@dataclass
class Findings:
    """What one process saw."""

    inputs: int = 0
    accepted: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    slowest: float = 0.0
    memory_mb: float = 0.0


class Judge:
    """Gives inputs to one reader and notes what is not accepted.

    Use one in a process of its own: its address space is limited, and an audit hook stays.
    """

    def __init__(self, folder: Path, read: Callable[[Path], object], named: str) -> None:
        """Make the folders, beside which lies a file that no reader may open; see `Kind`."""
        self.folder, self.inside, self.temporary = folder, folder / "in", folder / "tmp"
        for path in (self.inside, self.temporary):
            path.mkdir(parents=True, exist_ok=True)
        self.secret = folder / "secret.raw"
        self.secret.write_bytes(SECRET)
        self.read, self.named = read, named
        self.found = Findings()
        self._kinds: Counter[str] = Counter()
        self._events: list[str] = []
        self._armed = False
        self.measures = False
        tempfile.tempdir = str(self.temporary)
        sys.addaudithook(self._hook)
        signal.signal(signal.SIGALRM, self._ring)

    def limit_memory(self) -> None:
        """Limit and measure memory, and mind what is started, from now on: call it when everything is imported."""
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESS_SPACE, resource.getrlimit(resource.RLIMIT_AS)[1]))
        self.measures = True

    def judge(self, sample: Sample) -> None:
        """Give one input to the reader."""
        for name, content in sample.items():
            (self.inside / name).parent.mkdir(exist_ok=True, parents=True)
            (self.inside / name).write_bytes(content)
        before = self._listing()
        before_mb = _reset_peak_mb()
        fault = self._fault()
        rise = _peak_mb() - before_mb if self.measures else 0.0
        left = sorted((self._listing() - before) | (before - self._listing()))
        for path in sorted(self.inside.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.found.inputs += 1
        self.found.memory_mb = max(self.found.memory_mb, rise)
        if rise > MEMORY_MB and fault is None:
            fault = f"took memory: {rise:.0f} MB"
        if left and fault is None:
            fault = f"left or removed {left[:3]}"
        if self._events and self.measures and fault is None:
            fault = f"did {self._events[:3]}"
        if fault is not None:
            self._note(fault, sample)

    def _fault(self) -> str | None:
        self._events.clear()
        started = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
        self._armed = True
        try:
            self.read(self.inside)
            error: BaseException | None = None
        except (Exception, _Hang) as caught:
            error = caught
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.process_time() - started
        self.found.slowest = max(self.found.slowest, seconds)
        self.found.accepted += error is None
        if seconds > SECONDS:
            return f"took {seconds:.1f} s of CPU"
        return None if error is None else self._fault_of(error)

    def _fault_of(self, error: BaseException) -> str | None:
        if _out_of_memory(error):
            return f"memory at {_place(error)}"
        if not isinstance(error, UserError):
            return f"{type(error).__name__} at {_place(error)}: {str(error)[:200]}"
        text = str(error)
        if self.named not in text:
            return f"a message that does not name {self.named!r}: {text[:200]}"
        if len(text) > LONGEST_MESSAGE:
            return f"a message of {len(text)} characters at {_place(error)}"
        if any((ord(letter) < 32 and letter not in "\n\t") or 0xD800 <= ord(letter) < 0xE000 for letter in text):
            return f"a message that cannot be shown at {_place(error)}: {text[:200]!r}"
        return None

    def _note(self, fault: str, sample: Sample) -> None:
        """Keep the first three of every fault at one place."""
        where = fault.partition(":")[0]
        self._kinds[where] += 1
        if self._kinds[where] <= 3:
            self.found.failures.append({"fault": fault, "input": {k: v.hex() for k, v in sample.items()}})
        else:
            self.found.failures.append({"fault": where})

    def _listing(self) -> set[str]:
        return {str(path) for part in (self.inside, self.temporary) for path in part.rglob("*")}

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._armed:
            return
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            writes = isinstance(arguments[2], int) and arguments[2] & _WRITES
            if path == str(self.secret) or (writes and not path.startswith(str(self.temporary))):
                self._events.append(f"open {path}")
        elif event in _CHANGES and not self._in_temporary(arguments):
            self._events.append(f"{event} {arguments[0]!r}"[:200])
        elif event in _STARTS:
            self._events.append(event)

    def _in_temporary(self, arguments: tuple[Any, ...]) -> bool:
        """Whether a path, perhaps relative to an open folder (the last argument), lies in the temporary folder."""
        path = os.fsdecode(arguments[0])
        if isinstance(arguments[-1], int) and arguments[-1] >= 0 and not path.startswith("/"):
            path = os.path.realpath(f"/proc/self/fd/{arguments[-1]}")
        return path.startswith(str(self.temporary))

    @staticmethod
    def _ring(*_: object) -> None:
        raise _Hang


def _out_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        text = str(error).lower()
        if isinstance(error, MemoryError) or "bad_alloc" in text or "allocate memory" in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def _place(error: BaseException) -> str:
    """The innermost line of all, and of this package."""
    while error.__cause__ is not None:
        error = error.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "slicerxai" in frame.filename]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in (frames[-1:] + own[-1:]))


def _reset_peak_mb() -> float:
    """Forget the peak of resident memory; returns what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_mb()


def _peak_mb() -> float:
    """Peak of resident memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
