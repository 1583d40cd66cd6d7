"""Which server of several on one folder is alive, told by a file lock that dies with its process."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout


class Owner:
    """This server among those on a folder; holds its lock from the start until `release`.

    Attributes:
        id: names it in the job list.
    """

    def __init__(self, folder: Path) -> None:
        self.id = uuid.uuid4().hex
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self._path(self.id), thread_local=False)
        self._lock.acquire()

    def alone(self) -> bool:
        """Whether no other server on the folder lives."""
        return all(self.if_dead(path.stem, lambda _: 0) == 0 for path in self._others())

    def if_dead(self, other: str, then: Callable[[str], int]) -> int | None:
        """Call `then` with the id of another server that no longer lives, and forget it; None while it lives."""
        path = self._path(other)
        try:
            with FileLock(path, timeout=0):
                count = then(other)
        except Timeout:
            return None
        path.unlink(missing_ok=True)
        return count

    def release(self) -> None:
        """Let others see that this server ends."""
        self._lock.release()
        self._path(self.id).unlink(missing_ok=True)

    def _others(self) -> list[Path]:
        return [path for path in self._folder.glob("*.lock") if path != self._path(self.id)]

    def _path(self, owner: str) -> Path:
        return self._folder / f"{owner}.lock"
