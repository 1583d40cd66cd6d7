"""What MONAI Label's routes answer, without the server's paths.

MONAI Label tells where its images, labels and sessions lie, for clients on the same machine that open the files
themselves. Others learn from it what the server's folders and their owner are called, and all clients can download.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from monailabel.config import settings as monailabel_settings
from monailabel.endpoints import logs
from starlette.responses import PlainTextResponse, Response

from slicerxai.errors import NotFoundError
from slicerxai.settings import settings

LOG_LINES = 10_000
"""Lines of the log that are shown at most, by one file of a rotated log."""


def without_paths(answer: Any) -> Any:
    """An answer of JSON whose texts do not name the server's folders: what lies below one is told from there on.

    Keys "path" whose value is such a place are left out, for clients would look for it on their own machine.
    """
    return answer if isinstance(answer, Response) else _cleaned(answer, _folders())


def clean_text(text: str) -> str:
    """A text without the names of the server's folders, of its user's home and of the folder of temporary files."""
    return _replaced(text, _folders(tempfile.gettempdir(), Path.home()))


def show_log(file: str, lines: int | None, *_: object) -> Response:
    """The last lines of the log as plain text, in the place of MONAI Label's page, which loads scripts from elsewhere.

    Raises `NotFoundError` while there is no log.
    """
    path = Path(file)
    if not path.is_file():
        msg = "there is no log yet"
        raise NotFoundError(msg)
    wanted = LOG_LINES if lines is None or lines < 1 else min(lines, LOG_LINES)
    with path.open(encoding="utf-8", errors="replace") as opened:
        last = opened.readlines()[-wanted:]
    return PlainTextResponse(clean_text("".join(last)))


def install() -> None:
    """Let the route of the log answer with `show_log`."""
    logs.get_logs = show_log


def _folders(*more: str | Path) -> tuple[str, ...]:
    """The server's folders, the longest first, so that one within another is told by its own name."""
    named = [settings().home, settings().cohorts_folder, monailabel_settings.MONAI_LABEL_APP_DIR, *more]
    named += [monailabel_settings.MONAI_LABEL_STUDIES, monailabel_settings.MONAI_LABEL_SESSION_PATH]
    known = [str(folder) for folder in named if folder and "://" not in str(folder)]
    both = {str(path) for folder in known for path in (Path(folder).absolute(), Path(folder).resolve())}
    return tuple(sorted((path for path in both if len(path) > 1), key=len, reverse=True))


def _cleaned(value: Any, folders: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return _replaced(value, folders)
    if isinstance(value, dict):
        return {
            key: _cleaned(one, folders)
            for key, one in value.items()
            if not (key == "path" and isinstance(one, str) and one.startswith(folders))
        }
    if isinstance(value, list | tuple):
        return [_cleaned(one, folders) for one in value]
    return value


def _replaced(text: str, folders: tuple[str, ...]) -> str:
    for folder in folders:
        if folder in text:
            text = text.replace(f"{folder}/", "").replace(folder, ".")
    return text
