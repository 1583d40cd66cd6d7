"""Start the server: checks first, then one line that says where it is."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import threading
from pathlib import Path

from slicerxai import runtime
from slicerxai.data.files import replaced_text
from slicerxai.errors import InputError
from slicerxai.models.store import ModelStore
from slicerxai.server import fork_server, job_schema, logs
from slicerxai.server.confinement import is_loopback
from slicerxai.server.dicomweb.access import access_of, is_url
from slicerxai.server.provider import check_address
from slicerxai.server.starting import Starting
from slicerxai.settings import settings

MAIN = '''"""MONAI Label loads the app from here."""

from slicerxai.server.monailabel.app import SlicerXAIApp

__all__ = ["SlicerXAIApp"]
'''


def serve(
    studies: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    cohorts: Path | None = None,
    app_dir: Path | None = None,
    allow_unauthenticated: bool = False,
) -> None:
    """Serve the images of a folder until interrupted; until it has started it answers 503.

    Args:
        studies: folder of NIfTI or NRRD images; labels are kept in it as MONAI Label does. Or the address of a
            DICOMweb server.
        host: address to bind; any but loopback needs MONAI Label's logins.
        port: port to bind; 0 takes a free one.
        cohorts: folder whose subfolders are the cohorts; `settings().cohorts_folder` by default.
        app_dir: MONAI Label app folder, with a `main.py`; holds the log too. Made below `settings().home` by default.
        allow_unauthenticated: serve other machines although logins are off.

    Raises:
        InputError: unusable studies folder or address, cohorts folder, address, port or app folder.
        ConflictError: the job list is of a newer version of this package.
    """
    studies = access_of(str(studies)).url if is_url(str(studies)) else str(check_studies(Path(studies)))
    cohorts = check_cohorts(cohorts)
    job_schema.check(settings().jobs / "jobs.sqlite3")
    remote = _check_host(host, allow_unauthenticated)
    app_dir = check_app_dir(app_dir)
    with _bound(host, port) as bound:
        port = bound.getsockname()[1]
        _set_environment(studies, cohorts, app_dir, port, allow_unauthenticated)
        logs.configure_server(str(app_dir), studies)
        _run(bound, f"http://{_url_host(host)}:{port}", remote)


def check_studies(studies: Path) -> Path:
    """The folder, resolved. Raises `InputError` unless it exists and can be read and written."""
    if not studies.exists():
        msg = f"{studies}: no such folder; create it and put NIfTI or NRRD images into it"
        raise InputError(msg)
    if not studies.is_dir():
        msg = f"{studies}: is a file, expected the folder that holds the images"
        raise InputError(msg)
    if not os.access(studies, os.R_OK | os.W_OK | os.X_OK):
        msg = f"{studies}: cannot be read and written by this user; labels are kept in it"
        raise InputError(msg)
    return studies.resolve()


def check_cohorts(cohorts: Path | None) -> Path:
    """The folder of the cohorts, resolved. Raises `InputError` when one was named that is no readable folder."""
    chosen = cohorts or settings().cohorts
    if chosen is not None and not chosen.is_dir():
        msg = f"{chosen}: no such folder; its subfolders are the cohorts"
        raise InputError(msg)
    if chosen is not None and not os.access(chosen, os.R_OK | os.X_OK):
        msg = f"{chosen}: cannot be read by this user"
        raise InputError(msg)
    return (chosen or settings().cohorts_folder).resolve()


def check_app_dir(app_dir: Path | None) -> Path:
    """The app folder, resolved; the default one is made. Raises `InputError` when another holds no `main.py`."""
    if app_dir is None:
        app_dir = settings().home / "monailabel_app"
        app_dir.mkdir(parents=True, exist_ok=True)
        replaced_text(app_dir / "main.py", MAIN)
    elif not (app_dir / "main.py").is_file():
        msg = f"{app_dir}: no MONAI Label app, for it has no main.py"
        raise InputError(msg)
    (app_dir / "logs").mkdir(exist_ok=True)
    return app_dir.resolve()


def _check_host(host: str, allow_unauthenticated: bool) -> bool:
    """Whether other machines are served."""
    logins = os.environ.get("MONAI_LABEL_AUTH_ENABLE", "").lower() in {"true", "1", "yes", "on"}
    if not is_loopback(host) and not (logins or allow_unauthenticated):
        msg = (
            f"binding {host} lets other machines in without a login; keep 127.0.0.1, set MONAI_LABEL_AUTH_ENABLE=true, "
            "or say --allow-unauthenticated"
        )
        raise InputError(msg)
    if logins and "MONAI_LABEL_AUTH_REALM_URI" in os.environ:
        check_address(os.environ["MONAI_LABEL_AUTH_REALM_URI"], "MONAI_LABEL_AUTH_REALM_URI")
    return not is_loopback(host)


def _bound(host: str, port: int) -> socket.socket:
    """A socket on the port, so that nobody else takes it meanwhile."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        msg = f"unknown address {host!r} ({error}); 127.0.0.1 is the default"
        raise InputError(msg) from None
    bound = socket.socket(family, kind, protocol)
    if os.name == "posix":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        msg = f"port {port} of {host} cannot be bound ({error.strerror}); choose another one with --port"
        raise InputError(msg) from None
    return bound


def _set_environment(studies: str, cohorts: Path, app_dir: Path, port: int, allow_unauthenticated: bool) -> None:
    os.environ |= {
        "MONAI_LABEL_APP_DIR": str(app_dir),
        "MONAI_LABEL_STUDIES": studies,
        "MONAI_LABEL_SERVER_PORT": str(port),
        "SLICERXAI_COHORTS": str(cohorts),
    }
    if allow_unauthenticated:
        os.environ["SLICERXAI_ALLOW_UNAUTHENTICATED"] = "true"
    settings.cache_clear()


def _run(bound: socket.socket, url: str, remote: bool) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """Says where it is once it answers."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            await asyncio.to_thread(starting.stop)
            if self.started:
                _say(_ready(url, remote))

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Accepts nothing more; open requests and running jobs share the seconds that they may go on."""
            from slicerxai.server.pool import shared_pool

            draining = asyncio.create_task(asyncio.to_thread(shared_pool().workers.drain, settings().shutdown_seconds))
            await super().shutdown(sockets)
            await draining

    if threading.current_thread() is threading.main_thread():
        # uvicorn raises the signal again once it has stopped, which would make an ordered end look like a crash
        signal.signal(signal.SIGTERM, lambda *_: None)
    # MONAI Label prints while it is imported and started
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        config = uvicorn.Config(
            "slicerxai.server.app:app",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=max(1, round(settings().shutdown_seconds)),
            lifespan="on",
        )
        server = Server(config)
        with Starting(bound) as starting:
            runtime.configure()
            with starting.paused():
                fork_server.fork()
            server.run(sockets=[bound])
    gc.freeze()  # the process ends now: looking through millions of objects of torch for garbage takes seconds
    if not server.started:
        msg = f"the server did not start; see {Path(os.environ['MONAI_LABEL_APP_DIR']) / 'logs' / 'app.log'}"
        raise RuntimeError(msg)


def _ready(url: str, remote: bool) -> str:
    models = ModelStore(settings().models).names()
    state = f"models: {', '.join(models)}" if models else "no model yet, train one with: slicerxai train fast COHORT"
    reach = "; other machines are served" if remote else ""
    return f"SlicerXAI server at {url} ({state}{reach}); Ctrl+C stops it"


def _say(line: str) -> None:
    import sys

    stream = sys.__stdout__ or sys.stderr
    stream.write(line + "\n")
    stream.flush()


def _url_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
