"""Fetched files: those used last stay, within a bound; what a killed process left in the middle of fetching goes."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from pathlib import Path

logger = logging.getLogger(__name__)

KEPT_SECONDS = 3600.0
"""A file that was used so lately stays beyond the bound: a job that waits may still want it."""


def used(path: Path) -> None:
    """Remember that a file is wanted; its time of modification, by which others know its content, stays."""
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))


def trim(folder: Path, limit: int, kept: float = KEPT_SECONDS) -> None:
    """Delete the files that were used longest ago until the others take at most so many bytes.

    Args:
        kept: seconds since its last use within which a file is never deleted.
    """
    files = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process trims too
            about = path.stat()
            files.append((about.st_atime, about.st_size, path))
    total = sum(size for _, size, _ in files)
    for last, size, path in sorted(files):
        if total <= limit or time.time() - last < kept:
            return
        path.unlink(missing_ok=True)
        logger.info("image %s given up for others", path.stem)
        total -= size


def clean(incoming: Path) -> None:
    """Delete what processes that are gone were fetching; folders are named PID-…."""
    for folder in incoming.iterdir():
        pid = folder.name.partition("-")[0]
        if folder.is_dir() and pid.isdecimal() and (int(pid) == os.getpid() or not _lives(int(pid))):
            logger.info("deleting an unfinished transfer")
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    if os.name == "nt":  # there a signal of 0 would end it; folders go when the machine's temporary files do
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
