"""The audit log's file: lines of JSON that are on the disk before anybody goes on."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from errno import EIO, ENOSPC
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

CURRENT = "audit.jsonl"


class AuditLog:
    """Appends to `FOLDER/audit.jsonl`, which only its owner may read. Safe with several threads and processes.

    A file above the limit is renamed `audit-TIME-ID.jsonl` and another begins; none is ever removed. Nothing keeps who
    may write the files from changing them: send them to another machine where that matters.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        """Nothing is opened yet.

        Args:
            limit: of one file, bytes.
        """
        self.folder, self.limit = folder, limit
        self._path = folder / CURRENT
        self._writing, self._syncing = threading.Lock(), threading.Lock()
        self._file: int | None = None
        self._written = self._synced = self._lost = 0  # lines of this process

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append one line and wait for the disk; threads that write at one time share the wait. Raises `OSError`."""
        line = (json.dumps(entry, ensure_ascii=True) + "\n").encode()
        with self._writing:
            file = self._opened()
            if _torn(file):
                line = b"\n" + line
            if os.write(file, line) != len(line):
                self._close()
                raise OSError(ENOSPC, "a line of the audit log is incomplete")
            self._written += 1
            mine = self._written
        with self._syncing:
            if self._synced < mine and self._lost < mine:
                self._sync()
            if self._lost >= mine:
                raise OSError(EIO, "the audit log does not reach the disk")

    def close(self) -> None:
        """Let go of the file; another line opens it again."""
        with self._writing:
            self._close()

    def _sync(self) -> None:
        with self._writing:
            file, written = self._file, self._written
            descriptor = None if file is None else os.dup(file)
        if descriptor is None:  # closed meanwhile, which waits for the disk too
            return
        try:
            os.fsync(descriptor)
            self._synced = written
        except OSError:
            self._lost = written
        finally:
            os.close(descriptor)

    def _close(self) -> None:
        if self._file is None:
            return
        try:
            os.fsync(self._file)
            self._synced = self._written
        except OSError:
            self._lost = self._written
        os.close(self._file)
        self._file = None

    def _opened(self) -> int:
        """The current file, which another process may have renamed meanwhile."""
        if self._file is not None and not self._is_current(self._file):
            self._close()
        if self._file is None:
            self._file = self._open()
        if os.fstat(self._file).st_size >= self.limit:
            self._rotate()
            self._close()
            self._file = self._open()
        return self._file

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False

    def _open(self) -> int:
        self.folder.mkdir(mode=0o700, exist_ok=True)  # not its parents: a folder that went away is not made anew
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)

    def _rotate(self) -> None:
        # another process may have renamed it and not made the next one yet
        with FileLock(self.folder / ".rotation.lock"), suppress(FileNotFoundError):
            if self._path.stat().st_size >= self.limit:
                time = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
                self._path.rename(self.folder / f"audit-{time}-{uuid4().hex[:8]}.jsonl")


def _torn(file: int) -> bool:
    """Whether a full disk cut the last line short, which must not swallow the next."""
    size = os.lseek(file, 0, os.SEEK_END)
    if not size:
        return False
    os.lseek(file, size - 1, os.SEEK_SET)
    return os.read(file, 1) != b"\n"


def entries(folder: Path) -> Iterator[dict[str, Any]]:
    """What the log holds, oldest first; lines that a full disk cut short are left out. Raises `OSError`."""
    full = sorted(path for path in folder.glob("audit-*.jsonl"))
    for path in (*full, folder / CURRENT):
        if not path.exists():
            continue
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    yield entry
