"""The real server for the tests of the Slicer extension, and stand-ins for servers that are not ours."""

from __future__ import annotations

import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slicerxai.data.io import write_volume
from tests.conftest import spotted_brain
from tests.support.server import FRUGAL, Server

__all__ = ["new_server", "own_server", "server"]

STUDY = "case"
"""Id of the study that every server has."""


@contextmanager
def running_server(root: Path, tiny_home: Path, **environment: str) -> Iterator[Server]:
    """A server with a study and a model "tiny" that finds its lesions; jobs and results are its own."""
    home = root / "home"
    shutil.copytree(tiny_home / "models", home / "models")
    running = Server(root, home, **{**FRUGAL, **environment})
    write_volume(running.studies / f"{STUDY}.nii.gz", spotted_brain(seed=11)[0])
    with running:
        yield running


@pytest.fixture(scope="session")
def server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it alive."""
    with running_server(tmp_path_factory.mktemp("server"), tiny_home) as running:
        yield running


@pytest.fixture
def new_server(tiny_home: Path, tmp_path: Path) -> Callable[..., object]:
    """Start a server of the test's own, with environment variables, as a context manager."""

    def start(**environment: str) -> object:
        return running_server(tmp_path / "server", tiny_home, **environment)

    return start


@pytest.fixture
def own_server(tiny_home: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that the test may kill and start again."""
    with running_server(tmp_path / "server", tiny_home) as running:
        yield running


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def stand_in(answer: Answer, certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Some web server that answers every request by calling `answer(handler)`; gives its address.

    Args:
        certificate: files of certificate and key for a server with TLS.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            answer(self)

        do_PUT = do_POST = do_DELETE = do_GET

        def log_message(self, *arguments: object) -> None:
            """Say nothing on the terminal."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *arguments: object) -> None:
            """Clients that hang up are what is tested."""

    httpd = Quiet(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{httpd.server_address[1]}"
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, content_type: str, **headers: str) -> None:
    """A whole answer; underscores in the names of headers stand for hyphens."""
    handler.send_response(status)
    handler.send_header("Content-Type", content_type)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
