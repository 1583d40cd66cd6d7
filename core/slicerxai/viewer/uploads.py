"""Files that the page sends in pieces, kept until the last of them has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Files = list[tuple[str, bytes]]
"""Names and contents."""


class Uploads:
    """One control of the page.

    Args:
        limit: largest files together, bytes.
        came: called with the files.
        refused: called when they are larger; nothing is kept of them.
    """

    def __init__(self, limit: int, came: Callable[[Files], None], refused: Callable[[], None]) -> None:
        self.limit = limit
        self._came = came
        self._refused = refused
        self._received: list[Mapping[str, Any]] = []

    def receive(self, files: Sequence[Mapping[str, Any]]) -> None:
        """Some files of the page; an empty list follows the last of them."""
        self._received += files
        if sum(int(file.get("size") or 0) for file in self._received) > self.limit:
            self._received = []
            self.refuse()
        elif not files and self._received:
            received, self._received = self._received, []
            self._came([(str(file["name"]), _content(file)) for file in received])

    def refuse(self) -> None:
        """The page did not send the files: they are too large."""
        self._refused()


def _content(file: Mapping[str, Any]) -> bytes:
    content = file["content"]
    return b"".join(content) if isinstance(content, list) else bytes(content)
