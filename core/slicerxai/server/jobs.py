"""Jobs in SQLite: what was asked, how far it is, how it ended. Safe with several threads and processes."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from slicerxai.errors import NotFoundError
from slicerxai.server import job_schema
from slicerxai.server.job_file import JobFile
from slicerxai.server.logs import REQUEST

logger = logging.getLogger(__name__)

Kind = Literal["explain", "infer"]
State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ACTIVE: tuple[State, ...] = ("queued", "running")
"""States of a job that has not ended; every other one is final."""

INTERRUPTED = "the server stopped; submit the request again"
REMEMBERED_JOBS = 2000
"""Ended jobs that a server keeps in memory too, in case that the file is lost while it runs."""
_T = TypeVar("_T")
_COLUMNS = (
    "id, kind, method, state, request, key, computation, owner, fraction, message, "
    "created, started, updated, ended, pid, error, request_id"
)
_END = "state, fraction, message, ended, pid, error"
_INSERT = f"INSERT INTO jobs ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(', ')))})"  # noqa: S608
_FORGET = "DELETE FROM jobs WHERE state NOT IN ('queued', 'running') AND rowid <= (SELECT MAX(rowid) FROM jobs) - ?"


@dataclass(frozen=True)
class Job:
    """One request of a client.

    Attributes:
        request: the request's JSON as it can be sent again; holds ids, never file paths.
        key: address of the result in the result store; empty for a job without one.
        computation: shared by jobs that wait for the same work.
        owner: the server process that runs it.
        fraction: share done, in [0, 1].
        created, started, updated, ended: seconds since the epoch; `updated` is the time of the last progress.
        pid: the worker process that runs it, or ran it when it was cancelled.
        error: {"status", "title", "detail"} of a failed job.
        request_id: of the HTTP request that submitted it, by which the log tells more; empty without one.
    """

    kind: Kind
    method: str
    request: dict[str, Any]
    owner: str
    key: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    computation: str = field(default_factory=lambda: uuid.uuid4().hex)
    state: State = "queued"
    fraction: float = 0.0
    message: str = "waiting"
    created: float = field(default_factory=time.time)
    started: float | None = None
    updated: float | None = None
    ended: float | None = None
    pid: int | None = None
    error: dict[str, Any] | None = None
    request_id: str = field(default_factory=REQUEST.get)

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    def eta(self, now: float) -> float | None:
        """Seconds left at the pace so far; None while unknown, as after the clock was set back."""
        if self.state != "running" or self.started is None or self.updated is None or self.fraction < 0.01:
            return None
        if not self.started <= self.updated <= now:
            return None
        total = (self.updated - self.started) / self.fraction
        return max(0.0, self.started + total - now)


class JobStore:
    """The jobs of one SQLite file. Several instances, threads and processes may use the same file.

    A damaged file is moved aside with a log line, and one with what could be read of it takes its place. One of
    an older version of this package is brought up to date, one of a newer version refused (`ConflictError`).

    An instance that `remembers` answers from memory while the file cannot be written or read, and brings the file up
    to date when it can be again: the end of a job is not lost to a full disk, nor a job to a file that is damaged,
    deleted or replaced under a running server. New jobs are refused meanwhile.
    """

    def __init__(self, path: Path, *, remembers: bool = False) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._behind = False
        self._memory: sqlite3.Connection | None = None
        self._file = JobFile(path, job_schema.prepare, _salvage, self._bring_back)
        if remembers:
            self._memory = sqlite3.connect(":memory:", check_same_thread=False)
            job_schema.prepare(self._memory)
            self._file.use(self._recall)

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def add(self, job: Job) -> None:
        """Store a new job."""
        values = [getattr(job, column) for column in _COLUMNS.split(", ")]
        values = [json.dumps(value) if isinstance(value, dict) else value for value in values]
        with self._lock:
            self._use(lambda connection: _change(connection, _INSERT, values))
            if self._memory is not None:
                _change(self._memory, _INSERT, values)
                _change(self._memory, _FORGET, (REMEMBERED_JOBS,))

    def get(self, job_id: str) -> Job:
        """The job of that id. Raises `NotFoundError`."""
        found = self._select("WHERE id = ?", job_id)
        if not found:
            msg = f"no job {job_id!r}; GET /explain/jobs lists them"
            raise NotFoundError(msg)
        return found[0]

    def newest(self, limit: int) -> list[Job]:
        """At most so many jobs, newest first."""
        return self._select("ORDER BY rowid DESC LIMIT ?", limit)

    def of_computation(self, computation: str) -> list[Job]:
        """The jobs, ended or not, that share a computation."""
        return self._select("WHERE computation = ?", computation)

    def with_key(self, key: str) -> list[Job]:
        """The jobs that refer to a result."""
        return self._select("WHERE key = ?", key)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are of each method and state."""

        def read(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
            return connection.execute("SELECT method, state, COUNT(*) FROM jobs GROUP BY method, state").fetchall()

        with self._lock:
            return {(method, state): count for method, state, count in self._use(read)}

    def owners(self) -> set[str]:
        """Servers that have jobs which have not ended."""
        return {job.owner for job in self._select("WHERE state IN ('queued', 'running') AND 0 = ?", 0)}

    def unfinished(self, owner: str) -> list[Job]:
        """Jobs of a server that have not ended."""
        return self._select("WHERE state IN ('queued', 'running') AND owner = ?", owner)

    def begin(self, computation: str, pid: int) -> bool:
        """Mark the waiting jobs of a computation as running; False when none waits any more."""
        now = time.time()
        changed = self._update(
            "SET state = 'running', started = ?, updated = ?, pid = ?, message = 'starting' "
            "WHERE computation = ? AND state = 'queued'",
            (now, now, pid, computation),
        )
        return changed > 0

    def report(self, computation: str, fraction: float, message: str) -> None:
        """Progress of a running computation, for all its jobs (one that joined late may still be called waiting)."""
        now = time.time()
        self._update(
            "SET state = 'running', started = COALESCE(started, ?), fraction = ?, message = ?, updated = ? "
            "WHERE computation = ? AND state IN ('queued', 'running')",
            (now, fraction, message, now, computation),
        )

    def finish(self, computation: str, state: State, message: str, error: dict[str, Any] | None = None) -> None:
        """End the jobs of a computation that have not ended yet."""
        self._update(
            "SET state = ?, message = ?, error = ?, ended = ?, pid = NULL, fraction = CASE ? WHEN 'done' THEN 1.0 "
            "ELSE fraction END WHERE computation = ? AND state IN ('queued', 'running')",
            (state, message, json.dumps(error) if error else None, time.time(), state, computation),
        )

    def cancel(self, job_id: str) -> bool:
        """Mark one job as cancelled; False when it has ended already."""
        changed = self._update(
            "SET state = 'cancelled', message = 'cancelled', ended = ? WHERE id = ? AND state IN ('queued', 'running')",
            (time.time(), job_id),
        )
        return changed > 0

    def interrupt(self, owner: str) -> int:
        """Mark the jobs that a stopped server left behind; returns how many."""
        return self._update(
            "SET state = 'interrupted', message = ?, ended = ?, pid = NULL "
            "WHERE owner = ? AND state IN ('queued', 'running')",
            (INTERRUPTED, time.time(), owner),
        )

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        with self._lock:
            self._use(lambda connection: _change(connection, "DELETE FROM jobs WHERE id = ?", (job_id,)))
            if self._memory is not None:
                _change(self._memory, "DELETE FROM jobs WHERE id = ?", (job_id,))

    def _select(self, condition: str, value: object) -> list[Job]:
        def read(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return connection.execute(f"SELECT {_COLUMNS} FROM jobs {condition}", (value,)).fetchall()  # noqa: S608

        with self._lock:
            try:
                rows = self._use(read)
            except (OSError, sqlite3.OperationalError):
                if self._memory is None:
                    raise
                rows = read(self._memory)
        return [_job(row) for row in rows]

    def _update(self, statement: str, values: tuple[object, ...]) -> int:
        """How many rows were changed. Where the file cannot be written, an instance that remembers does it later."""
        with self._lock:
            remembered = 0 if self._memory is None else _change(self._memory, f"UPDATE jobs {statement}", values)
            try:
                return self._use(lambda connection: _change(connection, f"UPDATE jobs {statement}", values))
            except (OSError, sqlite3.OperationalError) as error:
                if self._memory is None:
                    raise
                if not self._behind:
                    logger.error("the job list cannot be written, memory serves until it can: %s", error)
                self._behind = True
                return remembered

    def _use(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._behind:
            self._file.use(self._catch_up)
        return self._file.use(work)

    def _catch_up(self, connection: sqlite3.Connection) -> None:
        """Write the ends of jobs that could not be written when they came."""
        assert self._memory is not None  # noqa: S101
        ended = self._memory.execute(f"SELECT {_END}, id FROM jobs WHERE state NOT IN ('queued', 'running')").fetchall()  # noqa: S608
        places = ", ".join(f"{column} = ?" for column in _END.split(", "))
        with connection:
            connection.executemany(f"UPDATE jobs SET {places} WHERE id = ? AND state IN ('queued', 'running')", ended)  # noqa: S608
        if self._behind:
            logger.warning("the job list can be written again and is up to date")
        self._behind = False

    def _bring_back(self, connection: sqlite3.Connection) -> None:
        """Give the jobs in memory to a file that took the place of the one they were in."""
        if self._memory is None:
            return
        rows = self._memory.execute(f"SELECT {_COLUMNS} FROM jobs ORDER BY rowid").fetchall()  # noqa: S608
        with connection:
            connection.executemany(_INSERT.replace("INSERT", "INSERT OR IGNORE"), rows)
        self._catch_up(connection)

    def _recall(self, connection: sqlite3.Connection) -> None:
        """Take the newest jobs of the file into memory."""
        assert self._memory is not None  # noqa: S101
        newest = f"SELECT {_COLUMNS} FROM jobs ORDER BY rowid DESC LIMIT ?"  # noqa: S608
        with self._memory:
            self._memory.executemany(_INSERT, reversed(connection.execute(newest, (REMEMBERED_JOBS,)).fetchall()))


def _change(connection: sqlite3.Connection, statement: str, values: Sequence[object]) -> int:
    with connection:
        return connection.execute(statement, values).rowcount


def _salvage(damaged: sqlite3.Connection, connection: sqlite3.Connection) -> int:
    """Copy the jobs that can be read, from both ends up to the damage, in their order."""
    rows: dict[int, tuple[Any, ...]] = {}
    with suppress(sqlite3.Error):
        job_schema.prepare(damaged)  # an older list has fewer columns
    for direction in ("ASC", "DESC"):
        query = f"SELECT rowid, {_COLUMNS} FROM jobs NOT INDEXED ORDER BY rowid {direction}"  # noqa: S608
        try:
            with closing(damaged.execute(query)) as found:
                for number, *row in found:
                    _job(tuple(row))
                    rows[number] = tuple(row)
        except (sqlite3.Error, ValueError, TypeError):
            continue
    with connection:
        connection.executemany(_INSERT, [rows[number] for number in sorted(rows)])
    return len(rows)


def _job(row: tuple[Any, ...]) -> Job:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["request"] = json.loads(values["request"])
    values["error"] = json.loads(values["error"]) if values["error"] else None
    return Job(**values)
