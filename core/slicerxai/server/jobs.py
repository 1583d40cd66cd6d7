"""Jobs in SQLite: what was asked, how far it is, how it ended. Safe with several threads and processes."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from slicerxai.errors import NotFoundError

logger = logging.getLogger(__name__)

Kind = Literal["explain", "infer"]
State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ACTIVE: tuple[State, ...] = ("queued", "running")
"""States of a job that has not ended; every other one is final."""

BUSY_SECONDS = 20.0
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, method TEXT NOT NULL, state TEXT NOT NULL, request TEXT NOT NULL,
    key TEXT NOT NULL, computation TEXT NOT NULL, owner TEXT NOT NULL, fraction REAL NOT NULL, message TEXT NOT NULL,
    created REAL NOT NULL, started REAL, updated REAL, ended REAL, pid INTEGER, error TEXT
);
CREATE INDEX IF NOT EXISTS jobs_computation ON jobs (computation);
CREATE INDEX IF NOT EXISTS jobs_key ON jobs (key);
CREATE INDEX IF NOT EXISTS jobs_created ON jobs (created);
"""
_COLUMNS = (
    "id, kind, method, state, request, key, computation, owner, fraction, message, "
    "created, started, updated, ended, pid, error"
)


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

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    def eta(self, now: float) -> float | None:
        """Seconds left at the pace so far; None while unknown."""
        if self.state != "running" or self.started is None or self.updated is None or self.fraction < 0.01:
            return None
        total = (self.updated - self.started) / self.fraction
        return max(0.0, self.started + total - now)


class JobStore:
    """The jobs of one SQLite file. Several instances, threads and processes may use the same file.

    A damaged file is moved aside with a log line, and an empty one takes its place.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            self._connection = self._open()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def add(self, job: Job) -> None:
        """Store a new job."""
        values = [getattr(job, column) for column in _COLUMNS.split(", ")]
        values = [json.dumps(value) if isinstance(value, dict) else value for value in values]
        with self._transaction() as connection:
            connection.execute(f"INSERT INTO jobs ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608

    def get(self, job_id: str) -> Job:
        """The job of that id. Raises `NotFoundError`."""
        found = self._select("WHERE id = ?", job_id)
        if not found:
            msg = f"no job {job_id!r}; GET /explain/jobs lists them"
            raise NotFoundError(msg)
        return found[0]

    def newest(self, limit: int) -> list[Job]:
        """At most so many jobs, newest first."""
        return self._select("ORDER BY created DESC, rowid DESC LIMIT ?", limit)

    def of_computation(self, computation: str) -> list[Job]:
        """The jobs, ended or not, that share a computation."""
        return self._select("WHERE computation = ?", computation)

    def with_key(self, key: str) -> list[Job]:
        """The jobs that refer to a result."""
        return self._select("WHERE key = ?", key)

    def owners(self) -> set[str]:
        """Servers that have jobs which have not ended."""
        with self._lock:
            rows = self._connection.execute("SELECT DISTINCT owner FROM jobs WHERE state IN ('queued', 'running')")
            return {str(row[0]) for row in rows}

    def begin(self, computation: str, pid: int) -> bool:
        """Mark the waiting jobs of a computation as running; False when none waits any more."""
        now = time.time()
        return self._update(
            "SET state = 'running', started = ?, updated = ?, pid = ?, message = 'starting' "
            "WHERE computation = ? AND state = 'queued'",
            (now, now, pid, computation),
        )

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
        return self._update(
            "SET state = 'cancelled', message = 'cancelled', ended = ? WHERE id = ? AND state IN ('queued', 'running')",
            (time.time(), job_id),
        )

    def interrupt(self, owner: str) -> int:
        """Mark the jobs that a stopped server left behind; returns how many."""
        with self._transaction() as connection:
            cursor = connection.execute(
                "UPDATE jobs SET state = 'interrupted', message = 'the server stopped; submit the request again', "
                "ended = ?, pid = NULL WHERE owner = ? AND state IN ('queued', 'running')",
                (time.time(), owner),
            )
            return cursor.rowcount

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def _select(self, condition: str, value: object) -> list[Job]:
        with self._lock:
            rows = self._connection.execute(f"SELECT {_COLUMNS} FROM jobs {condition}", (value,)).fetchall()  # noqa: S608
        return [_job(row) for row in rows]

    def _update(self, statement: str, values: tuple[object, ...]) -> bool:
        with self._transaction() as connection:
            return connection.execute(f"UPDATE jobs {statement}", values).rowcount > 0

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._connection:
            yield self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            return _connect(self.path)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", None) not in _DAMAGED:
                raise
            reason = str(error)
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}-{uuid.uuid4().hex[:4]}")
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        logger.error(
            "the job list %s is unusable (%s); moved to %s, an empty one takes its place; results stay",
            self.path,
            reason,
            aside,
        )
        return _connect(self.path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with closing(connection.execute("PRAGMA quick_check")) as answer:
            verdict = answer.fetchone()[0]
        if verdict != "ok":
            raise _damaged(str(verdict))
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in {0, _SCHEMA_VERSION}:
            raise _damaged(f"schema {version} of another version of this package")
        with connection:
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _damaged(reason: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(reason)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _job(row: tuple[Any, ...]) -> Job:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["request"] = json.loads(values["request"])
    values["error"] = json.loads(values["error"]) if values["error"] else None
    return Job(**values)
