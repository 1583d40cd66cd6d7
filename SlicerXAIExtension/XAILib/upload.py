"""Image files as the body of a multipart/form-data request, read piece by piece."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

PIECE = 256 * 1024


class Upload:
    """An iterable body of known length, so that nothing is held in memory.

    Attributes:
        sent: bytes that were taken from it so far.
    """

    def __init__(self, paths: Sequence[Path], field: str = "files") -> None:
        """Look at the files. Raises `OSError` naming one that cannot be read, `ValueError` for a bad file name."""
        boundary = f"xailib-{uuid.uuid4().hex}"
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.sent = 0
        self._files = []
        for path in paths:
            if any(ord(character) < 32 or character in '"\\' for character in path.name):
                msg = f"the file name {path.name!r} has characters that cannot be sent"
                raise ValueError(msg)
            head = (
                f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{path.name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            )
            self._files.append((head.encode("utf-8"), path, path.stat().st_size))
        self._tail = f"--{boundary}--\r\n".encode("ascii")
        self.total = sum(len(head) + size + 2 for head, _, size in self._files) + len(self._tail)

    def __len__(self) -> int:
        return self.total

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces():
            yield piece
            self.sent += len(piece)

    def _pieces(self) -> Iterator[bytes]:
        for head, path, size in self._files:
            yield head
            left = size
            with path.open("rb") as file:
                while left:
                    piece = file.read(min(PIECE, left))
                    if not piece:
                        msg = f"{path} became shorter while it was sent"
                        raise OSError(msg)
                    left -= len(piece)
                    yield piece
            yield b"\r\n"
        yield self._tail
