"""The server's ASGI app: MONAI Label with the explain routes, confined. Name it to `--uvicorn_app` as
`slicerxai.server.app:app`.
"""

from __future__ import annotations

import atexit
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount, Route

from slicerxai.lean_monai import import_monai, import_when_used
from slicerxai.server.admission import Admission, gates
from slicerxai.server.confinement import Confinement
from slicerxai.server.monailabel import environment

environment.configure()
import_monai()
import_when_used("itk")  # MONAI Label imports it for a writer that is not used here

from monailabel.config import settings as monailabel_settings  # noqa: E402
from monailabel.interfaces.exception import MONAILabelException  # noqa: E402

from slicerxai.server.monailabel.logins import configured_logins, install, role_names  # noqa: E402
from slicerxai.server.monailabel.routes import confine  # noqa: E402

confine()  # before MONAI Label's app takes the routers

from monailabel.app import app  # noqa: E402

from slicerxai.server import (  # noqa: E402
    dicom_routes,
    docs_page,
    explain_routes,
    health,
    login_routes,
    logs,
    metrics,
    worklist_routes,
)
from slicerxai.server.access import Access  # noqa: E402
from slicerxai.server.audit import Audit  # noqa: E402
from slicerxai.server.audit_log import AuditLog  # noqa: E402
from slicerxai.server.login import Login  # noqa: E402
from slicerxai.server.monailabel.arguments import from_monailabel  # noqa: E402
from slicerxai.server.monailabel.background import stop_background_tasks  # noqa: E402
from slicerxai.server.openapi import document_access  # noqa: E402
from slicerxai.server.pool import shared_pool  # noqa: E402
from slicerxai.server.problems import WorkError, install_problem_handlers, of_user_error, problem_response  # noqa: E402
from slicerxai.server.security_headers import SecurityHeaders  # noqa: E402
from slicerxai.server.storage import install_storage_handlers  # noqa: E402
from slicerxai.server.telemetry import Telemetry  # noqa: E402
from slicerxai.server.temporary import TemporaryFolder  # noqa: E402
from slicerxai.settings import settings  # noqa: E402

__all__ = ["app"]

ANYWHERE = ""
REPLACED = ("/", "/docs", "/reload", "/static")
"""Routes of MONAI Label's own app: pages with scripts from the network, a viewer, and `POST /reload` without token."""


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    detail = str(error.detail)
    if error.status_code == 404 and detail == "Not Found":
        detail = f"no route {request.method} {request.url.path}; /docs lists them"
    if error.status_code == 405:
        detail = f"{request.method} is not accepted at {request.url.path}"
    return problem_response(error.status_code, detail, error.headers)


async def _on_work_error(request: Request, error: Exception) -> Response:
    return problem_response(500, str(error))


def _install(app: FastAPI) -> None:
    app.include_router(explain_routes.router)
    app.include_router(dicom_routes.router)
    app.include_router(worklist_routes.router)
    app.include_router(health.router)
    app.include_router(login_routes.router)
    app.include_router(docs_page.router)
    install_problem_handlers(app, prefix=ANYWHERE)
    unexpected: Any = app.exception_handlers[Exception]
    install_storage_handlers(app, unexpected)

    async def on_monailabel_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, MONAILabelException)  # noqa: S101
        user_error = from_monailabel(error)
        return await unexpected(request, error) if user_error is None else of_user_error(user_error)

    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(WorkError, _on_work_error)
    app.add_exception_handler(MONAILabelException, on_monailabel_error)
    _close_doors(app)
    _follow_lifespan(app)


def _close_doors(app: FastAPI) -> None:
    """Fewer routes, no CORS for every page; confinement, login, audit log and access table in front of all."""
    app.router.routes[:] = [
        route for route in app.router.routes if not (isinstance(route, Route | Mount) and route.path in REPLACED)
    ]
    open_to_all: Any = CORSMiddleware
    app.user_middleware[:] = [entry for entry in app.user_middleware if entry.cls is not open_to_all]
    admitted = gates(settings().queue_limit, settings().workers)
    metrics.GATES.update({str(kind): gate for kind, gate in admitted.items()})
    app.add_middleware(Admission, gates=admitted)
    app.state.logins = logins = configured_logins()
    install(app)
    document_access(app)
    app.add_middleware(Access, names=None if logins is None else role_names())
    required = settings().audit_required
    app.add_middleware(
        Audit,
        log=AuditLog(settings().audit, settings().audit_limit),
        required=logins is not None if required is None else required,
    )
    app.add_middleware(Login, routes=lambda: app.router.routes, logins=logins)
    origins = [str(origin).rstrip("/") for origin in monailabel_settings.MONAI_LABEL_CORS_ORIGINS]
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_credentials=True,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    app.add_middleware(
        Confinement,
        upload_limit=settings().upload_limit,
        remote=logins is not None or settings().allow_unauthenticated,
        origins=origins,
    )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Telemetry)


def _follow_lifespan(app: FastAPI) -> None:
    """Workers start with the server and end with it, background tasks end with it: MONAI Label would wait for them."""
    started: Any = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        logs.configure_server(monailabel_settings.MONAI_LABEL_APP_DIR, monailabel_settings.MONAI_LABEL_STUDIES)
        temporary = TemporaryFolder(settings().home / "tmp")
        async with started(app) as state:
            pool = shared_pool()
            try:
                yield state
            finally:
                stop_background_tasks()
                pool.shutdown(settings().shutdown_seconds)
                atexit.unregister(pool.shutdown)
                temporary.release()

    app.router.lifespan_context = lifespan


_install(app)
