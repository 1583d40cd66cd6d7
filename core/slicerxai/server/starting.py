"""What the server answers from the moment that its port is bound until it has started: 503 with Retry-After."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from slicerxai.server.problems import problem_response

RETRY_SECONDS = 2
_DRAINED_BYTES = 1024**2
_POLL_SECONDS = 0.05


class _Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if length.isdecimal():  # a client that still sends when the connection is closed may not read the answer
            self.rfile.read(min(int(length), _DRAINED_BYTES))
        headers = {"Retry-After": str(RETRY_SECONDS), "Connection": "close"}
        answer = problem_response(503, "the server is starting; ask again in a few seconds", headers)
        self.send_response_only(answer.status_code)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: there is nothing to know but that somebody asked early."""


class Starting:
    """Answers on a bound socket, in threads, from `with` on until `stop`; the socket stays open for the server.

    The socket is left listening and non-blocking, as an event loop wants it.
    """

    def __init__(self, bound: socket.socket) -> None:
        bound.setblocking(False)
        self._server = ThreadingHTTPServer(bound.getsockname()[:2], _Handler, bind_and_activate=False)
        self._server.socket.close()  # the one that it made; it answers on ours
        self._server.socket = bound
        self._server.daemon_threads = True
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Starting:
        self._server.server_activate()
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Accept nothing more; what has been accepted is still answered. A second call does nothing."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Who asks meanwhile is answered afterwards."""
        self.stop()
        try:
            yield
        finally:
            self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="starting", daemon=True
        )
        self._thread.start()
