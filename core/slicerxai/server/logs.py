"""The log: one JSON object a line, in a file that all processes of a server share.

`time` (UTC), `level`, `logger`, `message`, `process`; `request` and `job` where a line belongs to one, by which the
lines of one request are found; further fields of some lines; `exception` with the traceback. What would tell a patient
or a token is taken out before a line is written (`slicerxai.server.redaction`).
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from filelock import FileLock

from slicerxai.server.redaction import Redaction

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""Id of the request that this code works for."""
JOB: ContextVar[str] = ContextVar("job", default="")
"""Computation that this worker works on; the jobs that share it have it in the job list."""

redaction = Redaction()
"""The rules of this process."""

FILE_VARIABLE = "SLICERXAI_LOG_FILE"
"""Tells the processes that a server starts where its log is."""
FILE_BYTES = 10 * 1024**2
FILES_KEPT = 5
COMPLAINT_SECONDS = 60.0
CHATTY = (
    "monailabel",
    "urllib3",
    "requests",
    "dicomweb_client",
    "pydicom",
    "highdicom",
    "matplotlib",
    "PIL",
    "timeloop",
)
"""Loggers that say at INFO what they were sent, file names and ids included; only their warnings are kept."""

_WRITERS = frozenset({"logging", "logging.handlers"})
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without a newline at its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redaction(record.getMessage()),
            "process": record.process,
        }
        line |= {name: value for name, value in (("request", REQUEST.get()), ("job", JOB.get())) if value}
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = value if isinstance(value, int | float | bool) or value is None else redaction(str(value))
        if record.exc_info:
            line["exception"] = redaction(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True)


class ShortLines(logging.Formatter):
    """A record for the terminal: level and message, no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname}: {redaction(record.getMessage())}"


class SharedFile(logging.handlers.RotatingFileHandler):
    """A rotated file that several processes append to. A line is written at once and whole.

    A line that cannot be written, for a full disk say, is lost, which is told on stderr once a minute; the work that
    wanted to log goes on.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._complained = -COMPLAINT_SECONDS
        self._turning = FileLock(path.with_name(path.name + ".lock"))
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._follow()
        except OSError:
            self.handleError(record)
            return
        super().emit(record)

    def doRollover(self) -> None:  # noqa: N802
        with self._turning:
            self._follow()  # another process may have been first
            if Path(self.baseFilename).stat().st_size > self.maxBytes // 2:
                super().doRollover()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if time.monotonic() - self._complained > COMPLAINT_SECONDS:
            self._complained = time.monotonic()
            error = sys.exc_info()[1]
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            print(f"ERROR: the log {self.baseFilename} cannot be written: {reason}", file=sys.stderr)  # noqa: T201

    def _follow(self) -> None:
        """Open the file again when another process has put a new one in its place, or someone has removed it."""
        try:
            there = os.stat(self.baseFilename)  # noqa: PTH116
        except FileNotFoundError:
            there = None
        mine = os.fstat(self.stream.fileno()) if self.stream is not None else None
        if there is None or mine is None or (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            if self.stream is not None:
                self.stream.close()
                self.stream = None  # stays so where the folder is gone too, until it is back
            self.stream = self._open()

    def _open(self) -> TextIOWrapper:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, "a", encoding="utf-8", opener=private)


def configure(file: Path, folders: tuple[Path, ...]) -> None:
    """Log to a file from now on, and warnings to stderr too; the standard library's handlers of all loggers, which
    write unredacted lines, are taken off.

    Args:
        file: made with its folder.
        folders: whose files are named after images.
    """
    redaction.hide_files_of(folders)
    lines = SharedFile(file)
    lines.setFormatter(JsonLines())
    console = logging.StreamHandler()
    console.setLevel(logging.WARNING)
    console.setFormatter(ShortLines())
    root = logging.getLogger()
    for name in (None, *logging.Logger.manager.loggerDict):
        _take_off_writers(logging.getLogger(name))
    root.setLevel(logging.INFO)
    root.addHandler(lines)
    root.addHandler(console)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)  # `slicerxai.server.telemetry` has a line for each
    os.environ[FILE_VARIABLE] = str(file)


def _take_off_writers(logger: logging.Logger) -> None:
    """MONAI Label's stock start gives its tasks files and streams past the root logger, as uvicorn does its loggers."""
    for handler in list(logger.handlers):
        if type(handler).__module__ in _WRITERS or isinstance(handler, SharedFile):
            logger.removeHandler(handler)
            logger.propagate = True


def configure_server(app_dir: str, studies: str) -> None:
    """Log to `logs/app.log` of MONAI Label's app folder, where its route `/logs/` looks for it; if not done already."""
    if app_dir and not any(isinstance(handler, SharedFile) for handler in logging.getLogger().handlers):
        configure(Path(app_dir) / "logs" / "app.log", folders_of_images(studies))


def folders_of_images(studies: str | None) -> tuple[Path, ...]:
    """Folders whose files are named after images: the studies, when they are a folder, cohorts, sessions, DICOM."""
    from slicerxai.settings import settings

    home = settings().home
    named = [settings().cohorts_folder, home / "sessions", home / "dicom"]
    if studies and "://" not in studies:
        named.append(Path(studies))
    return tuple({path for folder in named for path in (folder.absolute(), folder.resolve())})


def configure_worker() -> None:
    """Log to the file of the server that started this process; without one, to stderr."""
    file = os.environ.get(FILE_VARIABLE)
    if file:
        configure(Path(file), folders_of_images(os.environ.get("MONAI_LABEL_STUDIES")))
    else:
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
