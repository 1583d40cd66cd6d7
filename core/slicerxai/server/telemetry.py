"""What is noted of every request, in front of everything else: an id, a line in the log, the metrics."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicerxai.server import metrics
from slicerxai.server.access import ROUTE_KEY
from slicerxai.server.logs import REQUEST, redaction

logger = logging.getLogger("slicerxai.requests")

HEADER = "X-Request-ID"
NO_ROUTE = "(none)"
"""In place of the template: for unknown paths, and for requests that the confinement refused."""
GONE = 499
"""Status of a request whose client left before the answer began."""

_SANE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")
_QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked every few seconds; `slicerxai.server.health` tells when their answer changes."""
_NAMING = frozenset({"image", "label", "id", "session", "session_id", "name"})
"""Query parameters that name images and sessions."""
_NAMED_BELOW = ("/explain/worklist/", "/explain/cohorts/", "/session/")
"""What follows these paths names them too."""


class Telemetry:
    """ASGI middleware, outermost.

    A client's own `X-Request-ID` is taken over when it has 8 to 64 letters, digits, "-" and "_"; every response carries
    the id, and so does every log line that is written for the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        REQUEST.set(request)  # each request is a task with a context of its own
        redaction.learn(_names(scope))
        status, started = GONE, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request
            await send(message)

        metrics.IN_PROGRESS.inc()
        try:
            await self.app(scope, receive, noted)
        except Exception:
            status = 500
            raise
        finally:
            metrics.IN_PROGRESS.dec()
            _note(scope, status, time.perf_counter() - started)


def route_of(scope: Scope) -> str:
    """The template of the route that a request asks for, such as "/explain/jobs/{job_id}"."""
    asked = scope.get("state", {}).get(ROUTE_KEY)
    return NO_ROUTE if asked is None else str(asked.template)


def _note(scope: Scope, status: int, seconds: float) -> None:
    method, route = metrics.known_method(scope["method"]), route_of(scope)
    metrics.REQUESTS.labels(method, route, str(status)).inc()
    metrics.SECONDS.labels(method, route).observe(seconds)
    level = logging.DEBUG if scope["path"] in _QUIET else logging.ERROR if status >= 500 else logging.INFO
    about: dict[str, Any] = {"method": method, "route": route, "status": status, "seconds": round(seconds, 3)}
    logger.log(level, "%s %s %d", method, route, status, extra=about)


def _names(scope: Scope) -> Iterator[str]:
    query = scope.get("query_string", b"").decode("latin-1")
    for name, value in parse_qsl(query, max_num_fields=100) if query.count("&") < 100 else ():
        if name in _NAMING:
            yield value
    for prefix in _NAMED_BELOW:
        if scope["path"].startswith(prefix):
            yield from (unquote(part) for part in scope["path"].removeprefix(prefix).split("/"))
