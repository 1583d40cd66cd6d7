"""Responses that are read from files while they are sent, so that no copy of a result is held in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from slicerxai.explain.multipart import Body

CHUNK_BYTES = 256 * 1024


class FilesResponse(Response):
    """A body made of bytes and of files, which are opened at once: those removed meanwhile are sent all the same."""

    def __init__(self, body: Body, at_end: Callable[[], None] | None = None) -> None:
        """Open the files.

        Args:
            at_end: called when all is sent or the client is gone.

        Raises `OSError` for a file that cannot be opened, after `at_end`.
        """
        self._held = ExitStack()
        if at_end is not None:
            self._held.callback(at_end)
        try:
            self._pieces = [piece if isinstance(piece, bytes) else self._opened(piece) for piece in body.pieces]
        except OSError:
            self._held.close()
            raise
        self.status_code = 200
        self.background = None
        length = sum(len(piece) if isinstance(piece, bytes) else size_of(piece) for piece in self._pieces)
        self.init_headers({"Content-Length": str(length), "Content-Type": body.content_type})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            chunks = self._chunks()
            while (chunk := await anyio.to_thread.run_sync(next, chunks, None)) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._held.close()

    def _opened(self, path: Path) -> BinaryIO:
        return self._held.enter_context(path.open("rb"))

    def _chunks(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            while chunk := piece.read(CHUNK_BYTES):
                yield chunk


def size_of(file: BinaryIO) -> int:
    """Bytes of an open file."""
    return os.fstat(file.fileno()).st_size
