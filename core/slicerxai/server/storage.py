"""Faults of the disks and folders that the server works on, as problems that say what helps."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from slicerxai.errors import NotFoundError, UnavailableError, UserError
from slicerxai.settings import settings

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from fastapi.responses import Response

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
UNUSABLE = {errno.EROFS, errno.EIO, errno.ESTALE, errno.ENXIO, errno.ENODEV}
DATASTORE_FILE = "datastore_v2.json"
"""MONAI Label keeps it among the images; an unmounted folder of studies is there, but empty."""
_GONE = {errno.ENOENT, errno.ENOTDIR}
_AWAY = "a folder of the server is gone at present, and nothing was kept; send this again later"


class StorageFullError(UserError):
    """There is no space for what the request would write; nothing of it was kept."""

    http_status = 507


def storage_error(error: BaseException, needed: tuple[Path, ...] = ()) -> UserError | None:
    """What an error of the file system or of SQLite means for a client; None for one that has another cause.

    Args:
        needed: a missing file is a fault of the storage when one of these is gone too.
    """
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error)
    if not isinstance(error, OSError):
        return None
    if error.errno in FULL:
        return StorageFullError("the server's disk is full, and nothing was kept; free space, then send this again")
    if error.errno in UNUSABLE:
        return UnavailableError("the server's disk cannot be used at present; GET /health/ready says more")
    if error.errno in _GONE and not all(path.exists() for path in needed):
        return UnavailableError(_AWAY)
    return None


def _of_sqlite(error: sqlite3.Error) -> UserError | None:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError("the server's disk is full, and nothing was kept; free space, then send this again")
    if code in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY}:
        return UnavailableError("the server's job list cannot be used at present; GET /health/ready says more")
    return None


def install_storage_handlers(app: FastAPI, otherwise: Callable[[Request, Exception], Awaitable[Response]]) -> None:
    """Answer 507 where a disk is full and 503 where a folder is gone, instead of a fault without a name or a 404.

    Args:
        otherwise: answers errors of the same classes with another cause.
    """
    from slicerxai.server.problems import of_user_error

    async def on_error(request: Request, error: Exception) -> Response:
        found = storage_error(error, _needed())
        return await otherwise(request, error) if found is None else of_user_error(found)

    async def on_not_found(request: Request, error: Exception) -> Response:
        assert isinstance(error, NotFoundError)  # noqa: S101
        away = not all(path.exists() for path in _needed())
        return of_user_error(UnavailableError(_AWAY) if away else error)

    app.add_exception_handler(NotFoundError, on_not_found)
    app.add_exception_handler(OSError, on_error)
    app.add_exception_handler(sqlite3.Error, on_error)


def _needed() -> tuple[Path, ...]:
    """What is there as long as neither the home nor the studies are away."""
    from monailabel.config import settings as monailabel_settings

    studies = str(monailabel_settings.MONAI_LABEL_STUDIES)
    local = () if studies.startswith(("http://", "https://")) else (Path(studies) / DATASTORE_FILE,)
    return settings().jobs, *local
