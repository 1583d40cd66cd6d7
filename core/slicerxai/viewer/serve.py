"""Serving the page: to this computer alone unless told otherwise, and only to those who were given its address."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from slicerxai.errors import InputError
from slicerxai.viewer.gate import KEY, Gate

NEEDED = {"slicer": "slicer-core", "trame_slicer": "trame-slicer", "trame": "trame"}
ACCEPTED = (".nii", ".nii.gz", ".nrrd")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
DEFAULT_SERVER = "http://127.0.0.1:8000"


def check(host: str, files: Sequence[Path], allow_others: bool) -> None:
    """Whether the page can be served. Raises `InputError` saying what is wrong and what is accepted."""
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if missing:
        msg = f"{', '.join(missing)} not installed; install the page with: pip install 'slicerxai[view]'"
        raise InputError(msg)
    if not is_loopback(host) and not allow_others:
        msg = (
            f"binding {host} lets other machines see the images of this page; keep 127.0.0.1, or say --allow-others "
            "behind a gateway that encrypts and asks for a login"
        )
        raise InputError(msg)
    for path in files:
        if not path.is_file():
            msg = f"{path}: no such file"
            raise InputError(msg)
        if not path.name.lower().endswith(ACCEPTED):
            msg = f"{path}: accepted are {', '.join(ACCEPTED)}"
            raise InputError(msg, ACCEPTED)


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(url: str | None, host: str, port: int, files: Sequence[Path], allow_others: bool) -> None:
    """Serve the page until interrupted; one line on the terminal says where it is.

    Args:
        url: of the explain server to connect to; None connects to none.
        port: 0 takes a free one.

    Raises:
        InputError: see `check`; or a port that is taken.
    """
    check(host, files, allow_others)
    gate = Gate(None if allow_others else LOOPBACK)
    # trame would read the command line of this process otherwise
    os.environ["TRAME_ARGS"] = f"--server --authKey={gate.secret}"
    os.environ.setdefault("WSLINK_READY_MSG", "")
    from slicerxai.viewer.app import ViewerApp

    app = ViewerApp(url or DEFAULT_SERVER, url is not None, files)

    def bound(web: Any) -> None:
        gate.install(web.app)
        app.reports.install(web.app)

    def ready(**_: Any) -> None:
        address = f"[{host}]" if ":" in host else host
        print(f"Explainable AI: http://{address}:{app.server.port}/?{KEY}={gate.key}", flush=True)  # noqa: T201

    app.server.controller.on_server_bind.add(bound)
    app.server.controller.on_server_ready.add(ready)
    try:
        app.server.start(
            host=host, port=port, open_browser=False, show_connection_info=False, disable_logging=True, timeout=0
        )
    except OSError as error:
        msg = f"port {port} of {host} cannot be used: {error.strerror}; take another one with --port"
        raise InputError(msg) from error
    finally:
        app.close()
