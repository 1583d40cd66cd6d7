"""The tables of the job list, and how those of an older version of this package become today's.

`PRAGMA user_version` says which version a file has. Each step is one transaction: a file is at one version or the
next, never between.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from slicerxai.errors import ConflictError

logger = logging.getLogger(__name__)

STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE jobs ("
        "id TEXT PRIMARY KEY, kind TEXT NOT NULL, method TEXT NOT NULL, state TEXT NOT NULL, request TEXT NOT NULL, "
        "key TEXT NOT NULL, computation TEXT NOT NULL, owner TEXT NOT NULL, fraction REAL NOT NULL, "
        "message TEXT NOT NULL, created REAL NOT NULL, started REAL, updated REAL, ended REAL, pid INTEGER, "
        "error TEXT)",
        "CREATE INDEX jobs_computation ON jobs (computation)",
        "CREATE INDEX jobs_key ON jobs (key)",
        "CREATE INDEX jobs_created ON jobs (created)",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN request_id TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX jobs_state ON jobs (state)",
    ),
)
"""Statements that lead from each version to the next; never change one that was released, add another."""
VERSION = len(STEPS)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or bring those of an older version up to date. Several processes may do so at one time.

    Raises `ConflictError` for a file of a newer version, which stays as it is.
    """
    first = version_of(connection)
    while (version := version_of(connection)) < VERSION:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            if version_of(connection) != version:
                continue  # another process was faster
            for statement in STEPS[version]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version + 1}")
        if first:
            logger.warning("the job list was brought from version %d to %d", version, version + 1)
    _refuse_newer(version)


def check(path: Path) -> None:
    """Raises `ConflictError` for a file of a newer version; a missing or damaged one is left to the store."""
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        _refuse_newer(version_of(connection))


def _refuse_newer(version: int) -> None:
    if version > VERSION:
        msg = (
            f"the job list has version {version}, this program knows up to {VERSION}: install the newer program "
            "again, or restore a backup that was made before the upgrade"
        )
        raise ConflictError(msg)


def version_of(connection: sqlite3.Connection) -> int:
    """0 for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
