"""The folder of the studies: locked between threads and processes, and never made anew where it went away."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import lock_descriptor

from slicerxai.errors import UnavailableError

POLL_SECONDS = 0.05


class StudiesFolder:
    """A folder that may be unmounted or moved at any time, and its lock, which MONAI Label's own processes respect.

    `FileLock` itself makes the folder and the file that it locks, wherever the path leads at that moment: a folder
    that is just leaving would come into being again, empty, and its return fail.
    """

    def __init__(self, config: Path, lock: Path) -> None:
        """Args:
        config: the list of images; by it a folder that was unmounted is told from one without images.
        lock: the file that is locked.
        """
        self.config, self._lock = config, lock
        self._turn = threading.RLock()
        self._held: tuple[int, int] | None = None

    def is_there(self) -> bool:
        """Whether the folder is in its place; while it is locked: whether it is still the one that was locked."""
        return self.config.is_file() and self._held in (None, self._identity())

    def check_there(self) -> None:
        """Raises `UnavailableError` while the folder is away."""
        if not self.is_there():
            msg = "the folder of the studies is gone at present, and nothing was kept; send this again later"
            raise UnavailableError(msg)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock, which the same thread may take again. Raises `UnavailableError` when the folder is away, or
        goes away before the block ends with a file that is not found.
        """
        with self._turn:
            if self._held is not None:
                yield
                return
            descriptor = self._acquired()
            try:
                self._held = self._identity()
                yield
            except FileNotFoundError:
                self.check_there()
                raise
            finally:
                self._held = None
                os.close(descriptor)

    def _acquired(self) -> int:
        """A descriptor of the file, locked."""
        while True:
            descriptor = self._opened()
            if lock_descriptor(descriptor, blocking=False) and self._is_current(descriptor):
                return descriptor
            os.close(descriptor)
            time.sleep(POLL_SECONDS)

    def _opened(self) -> int:
        with suppress(FileNotFoundError):
            return os.open(self._lock, os.O_RDWR)
        self.check_there()
        return os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o644)  # someone deleted it alone

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._lock.stat())
        except FileNotFoundError:
            return False

    def _identity(self) -> tuple[int, int] | None:
        try:
            about = self.config.parent.stat()
        except OSError:
            return None
        return about.st_dev, about.st_ino
