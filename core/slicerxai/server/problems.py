"""Errors as RFC 9457 problem documents (`application/problem+json`)."""

from __future__ import annotations

import http
import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from slicerxai.errors import ConflictError, InputError, NotFoundError, UnavailableError, UserError, dotted, shortened
from slicerxai.server.storage import StorageFullError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TITLES: dict[int, str] = {
    400: "Bad request",
    404: "Not found",
    409: "Conflict with the present state",
    422: "Unusable input",
    429: "Too many waiting requests",
    500: "Internal error",
}


_RAISED: tuple[type[UserError], ...] = (
    InputError,
    NotFoundError,
    ConflictError,
    UnavailableError,
    StorageFullError,
)


class TooManyJobsError(UserError):
    """The queue, or the client's share of it, is full.

    Attributes:
        retry_after: seconds after which a place is likely to be free.
    """

    http_status = 429

    def __init__(self, message: str, retry_after: int = 10) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WorkError(RuntimeError):
    """Work failed for a reason that is not the user's: the worker died, or the package has a fault."""


def title_of(status: int) -> str:
    """A short title for a status."""
    return _TITLES.get(status) or http.HTTPStatus(status).phrase


def problem_response(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    title: str | None = None,
    **members: Any,
) -> Response:
    """A problem response.

    Args:
        members: further members of the document, such as `accepted` or `errors`.
    """
    title = title or title_of(status)
    slug = http.HTTPStatus(status).phrase.lower().replace(" ", "-")
    content = {"type": f"urn:slicerxai:problem:{slug}", "title": title, "status": status, "detail": detail} | members
    # ensure_ascii: a client may have sent text, echoed here, that UTF-8 cannot encode (lone surrogates)
    return Response(json.dumps(content, ensure_ascii=True), status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def user_error(status: int, detail: str) -> UserError:
    """The error class of a status, for problems that crossed a process boundary."""
    classes: dict[int, type[UserError]] = {c.http_status: c for c in _RAISED}
    return classes.get(status, UserError)(detail)


def install_problem_handlers(app: FastAPI, prefix: str = "/explain") -> None:
    """Answer errors with problem documents.

    `UserError` is answered so on every route. Validation errors, HTTP errors and unforeseen errors are answered so
    below `prefix` only, since MONAI Label's own clients expect FastAPI's shape of them elsewhere.
    """

    def ours(request: Request) -> bool:
        path = request.url.path
        return path == prefix or path.startswith(prefix + "/")

    async def on_user_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, UserError)  # noqa: S101
        return of_user_error(error)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        if not ours(request):
            return await request_validation_exception_handler(request, error)
        return _of_validation_error(error)

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        if not ours(request):
            return await http_exception_handler(request, error)
        detail = str(error.detail)
        if error.status_code == http.HTTPStatus.NOT_FOUND:
            detail = f"no route {request.method} {request.url.path}; see GET {prefix}/ and /docs"
        if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"{request.method} is not accepted at {request.url.path}"
        return problem_response(error.status_code, detail, error.headers)

    async def on_error(request: Request, error: Exception) -> Response:
        if not ours(request):
            return PlainTextResponse("Internal Server Error", 500)
        incident = uuid.uuid4().hex[:12]
        route = getattr(request.scope.get("route"), "path", "an unknown route")  # the path itself may name a patient
        logger.error("incident %s at %s %s", incident, request.method, route, exc_info=error)
        return problem_response(500, f"a fault of the server; its log has the details under incident {incident}")

    app.add_exception_handler(UserError, on_user_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_error)


def of_user_error(error: UserError) -> Response:
    """The problem document of a user's error."""
    headers = (
        {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyJobsError | UnavailableError) else None
    )
    if error.accepted:
        return problem_response(error.http_status, str(error), headers, accepted=list(error.accepted))
    return problem_response(error.http_status, str(error), headers)


def _of_validation_error(error: RequestValidationError) -> Response:
    errors = [
        {"field": dotted(e["loc"]), "message": e["msg"], "got": shortened(e.get("input"), 100)} for e in error.errors()
    ]
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors)
    if any(e["type"] == "json_invalid" for e in error.errors()):
        return problem_response(400, f"the body is not JSON: {detail}", accepted=["a JSON object"])
    return problem_response(422, detail, errors=errors)
