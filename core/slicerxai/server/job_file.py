"""The SQLite file of the jobs, which may be damaged, replaced or taken away while it is open."""

from __future__ import annotations

import ctypes
import errno
import logging
import shutil
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from io import FileIO
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

logger = logging.getLogger(__name__)

BUSY_SECONDS = 20.0
DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HEADER = b"SQLite format 3\0"
_T = TypeVar("_T")


class JobFile:
    """A connection to the file that lies under a path now.

    A damaged file is moved aside with a log line; a new one with all rows that could be read takes its place. The
    processes that share the file notice it by the file's identity, and open the new one. Not safe with several threads.
    """

    def __init__(
        self,
        path: Path,
        prepare: Callable[[sqlite3.Connection], None],
        salvage: Callable[[sqlite3.Connection, sqlite3.Connection], int],
        replaced: Callable[[sqlite3.Connection], None],
    ) -> None:
        """Open or make the file.

        Args:
            prepare: makes or upgrades the tables; whatever it raises leaves the file as it is.
            salvage: copies what it can read of a damaged connection to a new one; returns how many rows.
            replaced: called with the new connection when another file has taken the place of the open one.
        """
        self.path = path
        self._prepare, self._salvage, self._replaced = prepare, salvage, replaced
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._reader: FileIO | None = None
        self._reopen()

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._identity_now() == self._identity:
            connection.close()
            self._close_reader()
        else:
            self._abandon(connection)

    def use(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """What the work returns for the connection; tried again once when the file turns out to be damaged.

        Raises:
            OSError: the folder is gone. sqlite3.Error: whatever else stands against it, such as a full disk.
        """
        connection = self._current()
        try:
            return work(connection)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._replace(str(error))
            return work(self._current())

    def _current(self) -> sqlite3.Connection:
        if self._connection is None:
            msg = "Cannot operate on a closed database."
            raise sqlite3.ProgrammingError(msg)
        if not self.path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "the folder of the jobs is gone", str(self.path.parent))
        if self._identity_now() != self._identity:
            logger.warning("%s is gone or another file; opening what is there", self.path)
            self._reopen()
            self._replaced(self._connection)
        elif not self._has_header():
            self._replace("its header is overwritten")
        return self._connection

    def _identity_now(self) -> tuple[int, int] | None:
        try:
            about = self.path.stat()
        except OSError:
            return None
        return about.st_dev, about.st_ino

    def _has_header(self) -> bool:
        assert self._reader is not None  # noqa: S101
        self._reader.seek(0)
        return self._reader.read(len(_HEADER)) == _HEADER

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _abandon(self, connection: sqlite3.Connection | None) -> None:
        """Never close a connection to a file that is no longer there, nor what reads it.

        SQLite would delete the -wal file of this name, which belongs to another database by now.
        """
        for stale in (connection, self._reader):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(stale))
        self._reader = None

    def _reopen(self) -> None:
        with self._locked():
            self._open()

    def _locked(self) -> FileLock:
        return FileLock(self.path.with_name(self.path.name + ".lock"))

    def _open(self) -> None:
        self.close()
        if not self.path.exists():
            self._remove_companions()
        try:
            self._connection = self._connected()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._connection = self._put_new_one(str(error))
        self._note_file()

    def _note_file(self) -> None:
        """Remember which file is open, and keep it open for reading: closing it would free SQLite's own locks on it."""
        self._identity = self._identity_now()
        self._reader = self.path.open("rb", buffering=0)

    def _replace(self, reason: str) -> None:
        """Put a new file in the place of the damaged one, unless another process has done so."""
        with self._locked():
            if self._identity_now() == self._identity:
                stale, self._connection = self._connection, None
                self._abandon(stale)
                self._connection = self._put_new_one(reason)
                self._note_file()
            else:
                self._open()
        assert self._connection is not None  # noqa: S101
        self._replaced(self._connection)

    def _put_new_one(self, reason: str) -> sqlite3.Connection:
        stamp = f"{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:4]}"
        aside = self.path.with_name(f"{self.path.name}.damaged-{stamp}")
        with tempfile.TemporaryDirectory(prefix=".salvage-", dir=self.path.parent) as folder:
            copy = Path(folder) / self.path.name
            for suffix in ("", "-wal"):
                source = self.path.with_name(self.path.name + suffix)
                if source.is_file():
                    shutil.copyfile(source, copy.with_name(copy.name + suffix))
            self.path.rename(aside)
            self._remove_companions()
            connection = self._connected()
            rows = self._rescued(copy, connection)
        logger.error(
            "the job list %s is unusable (%s); moved to %s; %d of its jobs were rescued, and results stay",
            self.path,
            reason,
            aside,
            rows,
        )
        return connection

    def _remove_companions(self) -> None:
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def _rescued(self, copy: Path, connection: sqlite3.Connection) -> int:
        try:
            with closing(sqlite3.connect(copy)) as damaged:
                return self._salvage(damaged, connection)
        except sqlite3.Error:
            return 0

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with closing(connection.execute("PRAGMA quick_check")) as answer:
                verdict = answer.fetchone()[0]
            if verdict != "ok":
                error = sqlite3.DatabaseError(str(verdict))
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it says that the file is no whole database."""
    return getattr(error, "sqlite_errorcode", None) in DAMAGED
