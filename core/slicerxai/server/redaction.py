"""Keeps tokens and what names a patient out of log lines.

Four rules: secrets by their form; files below the folders of images, whose names people choose; DICOM UIDs and
person names by their form; and the ids of images that this process knows. An id becomes its pseudonym, so that the
lines about one image can still be told from the others.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

from slicerxai.server.pseudonyms import pseudonym

REMEMBERED = 2000
SHORTEST, LONGEST = 3, 200
"""Shorter ids name nobody, and would match numbers."""
REFRESH_SECONDS = 5.0

_TOKEN = "[token]"  # noqa: S105
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]*\.[\w-]*"), _TOKEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {_TOKEN}"),
    (
        re.compile(
            r"""(?i)((?:password|passwd|secret|token|api[_-]?key|authorization)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s&,;}]+)"""
        ),
        r"\1[secret]",
    ),
    (re.compile(r"://[^/\s@'\"]+@"), "://[credentials]@"),
)
_UID = re.compile(r"(?<![\w.])[0-2](?:\.\d+){5,}(?![\w.])")
_PERSON = re.compile(r"\b[^\W\d_][\w'’-]*(?:[ ][\w'’-]+)?\^[\w'’^. -]*")


class Redaction:
    """Rewrites texts. Several threads may use one."""

    def __init__(self) -> None:
        self._paths: list[re.Pattern[str]] = []
        self._known: OrderedDict[str, None] = OrderedDict()
        self._listed: list[str] = []
        self._listed_at = -REFRESH_SECONDS
        self._lists: Callable[[], Iterable[str]] | None = None
        self._lock = threading.Lock()

    def hide_files_of(self, folders: Iterable[Path]) -> None:
        """Folders whose files are named after images, in place of those named before."""
        self._paths = [_below(folder) for folder in sorted({str(folder) for folder in folders}, key=len, reverse=True)]

    def learn(self, names: Iterable[str]) -> None:
        """Ids of images, patients or sessions that must not appear from now on; the oldest are forgotten."""
        with self._lock:
            for name in names:
                if SHORTEST <= len(name) <= LONGEST:
                    self._known[name] = None
                    self._known.move_to_end(name)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def follow(self, lists: Callable[[], Iterable[str]]) -> None:
        """Learn from a list of ids that changes; it is asked at most every few seconds and must answer from memory."""
        self._lists = lists

    def __call__(self, text: str) -> str:
        """The text without secrets and names."""
        for pattern, replacement in _SECRETS:
            text = pattern.sub(replacement, text)
        for pattern in self._paths:
            text = pattern.sub(_file, text)
        for name in self._names_in(text):
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", pseudonym(name), text)
        text = _UID.sub(lambda found: pseudonym(found[0]), text)
        return _PERSON.sub("[name]", text)

    def _names_in(self, text: str) -> list[str]:
        """Known names that the text holds, longest first: one may be part of another."""
        with self._lock:
            if self._lists is not None and time.monotonic() - self._listed_at > REFRESH_SECONDS:
                self._listed = [name for name in self._lists() if len(name) >= SHORTEST]
                self._listed_at = time.monotonic()
            found = {name for names in (self._known, self._listed) for name in names if name in text}
        return sorted(found, key=len, reverse=True)


def _below(folder: str) -> re.Pattern[str]:
    """A path below a folder: up to its closing quote, or else to the end of the line or what follows ": "."""
    prefix = re.escape(folder.rstrip("/\\"))
    return re.compile(
        rf"""(?:(?P<quote>["']){prefix}[/\\](?P<quoted>.*?)(?P=quote)|{prefix}[/\\](?P<bare>.*?)(?=: |$))""", re.M
    )


def _file(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    return f"{quote}[file {pseudonym(found['quoted'] or found['bare'] or '')}]{quote}"
