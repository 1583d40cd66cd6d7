"""What the server needs in order to work: its folders, space on them, the job list and the workers."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from slicerxai.server.dicomweb.access import access_of, is_url
from slicerxai.server.dicomweb.client import DicomWeb
from slicerxai.server.storage import DATASTORE_FILE
from slicerxai.settings import settings

logger = logging.getLogger(__name__)

LOW_SPACE_BYTES = 64 * 1024**2
"""With less than that free, a result or a label of ordinary size may not fit."""
PATIENCE_SECONDS = 2.0
"""A check that takes longer hangs: a network folder whose server is away blocks whoever touches it."""

_PROBE_BYTES = 4096
_REASONS = {
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "its quota is used up",
    errno.EROFS: "it is mounted read-only",
    errno.EACCES: "this user may not write to it",
    errno.EPERM: "this user may not write to it",
    errno.ENOENT: "it is gone",
    errno.ENOTDIR: "it is gone",
    errno.ESTALE: "it is gone",
    errno.EIO: "its disk reports errors",
    errno.EFBIG: "files may not be as large as needed",
}


@dataclass(frozen=True)
class Condition:
    """One thing that the server needs.

    Attributes:
        detail: what is wrong and what helps, in words without paths or names; "" when nothing is.
    """

    name: str
    ok: bool
    detail: str = ""


def conditions() -> list[Condition]:
    """What the server needs, as it is now; takes at most `PATIENCE_SECONDS` for each that hangs."""
    return [_checked(name, check) for name, check in _CHECKS.items()]


def reason_of(error: OSError) -> str:
    """What an error of the file system says of the folder where it arose, without its path."""
    return _REASONS.get(error.errno or 0, f"it cannot be used ({os.strerror(error.errno or 0)})")


def check_folder(folder: Path, name: str) -> str:
    """What is wrong with a folder that is written to, or "": it is gone, read-only, full, or nearly so."""
    probe = folder / f".probe-{uuid4().hex}"
    try:
        free = shutil.disk_usage(folder).free
        with probe.open("xb") as file:
            file.write(bytes(_PROBE_BYTES))
    except OSError as error:
        return f"the folder of {name} cannot be written: {reason_of(error)}"
    finally:
        with suppress(OSError):
            probe.unlink()
    if free < LOW_SPACE_BYTES:
        return f"the folder of {name} has only {free // 1024**2} MiB left; free some space"
    return ""


class _Check(threading.Thread):
    """Asks once; `found` is what is wrong, "" for nothing, None while it is not known."""

    def __init__(self, name: str, check: Callable[[], str]) -> None:
        super().__init__(name=f"condition {name}", daemon=True)
        self._check = check
        self.found: str | None = None

    def run(self) -> None:
        try:
            self.found = self._check()
        except Exception as error:
            logger.exception("the condition %r could not be checked", self.name)
            self.found = f"it cannot be checked ({type(error).__name__}); the server's log says more"


def _home() -> str:
    return check_folder(settings().jobs, "jobs and results")


def _studies() -> str:
    from monailabel.config import settings as monailabel_settings

    studies = str(monailabel_settings.MONAI_LABEL_STUDIES)
    if is_url(studies):
        return DicomWeb(access_of(studies)).trouble(PATIENCE_SECONDS / 2)
    folder = Path(studies)
    fault = check_folder(folder, "studies")
    if not fault and not (folder / DATASTORE_FILE).is_file():
        return "the folder of studies is not the one that the server started with: mount it again"
    return fault


def _jobs() -> str:
    from slicerxai.server.pool import shared_pool

    try:
        shared_pool().jobs.newest(1)
    except sqlite3.Error as error:
        return f"the job list cannot be read ({type(error).__name__})"
    return ""


def _workers() -> str:
    from slicerxai.server.pool import shared_pool

    workers = shared_pool().workers
    if workers.closing:
        return "the server is shutting down"
    return "" if workers.pids() else "no worker process lives; they are being started"


_CHECKS: dict[str, Callable[[], str]] = {"home": _home, "studies": _studies, "jobs": _jobs, "workers": _workers}
_running: dict[str, _Check] = {}
_lock = threading.Lock()


def _checked(name: str, check: Callable[[], str]) -> Condition:
    """The answer of a check in a thread of its own; callers share one that is under way, hanging or not."""
    with _lock:
        thread = _running.get(name)
        if thread is None or not thread.is_alive():
            thread = _running[name] = _Check(name, check)
            thread.start()
    thread.join(PATIENCE_SECONDS)
    if thread.found is None:
        return Condition(name, False, f"the check does not answer within {PATIENCE_SECONDS:.0f} s")
    return Condition(name, not thread.found, thread.found)
