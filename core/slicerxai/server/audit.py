"""Who did what with which study, without saying whose study it is: the audit log's middleware."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast
from urllib.parse import parse_qsl
from uuid import uuid4

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicerxai.server.access import ROUTE_KEY, Route
from slicerxai.server.audit_log import AuditLog
from slicerxai.server.identity import identity
from slicerxai.server.logs import REQUEST
from slicerxai.server.problems import problem_response
from slicerxai.server.pseudonyms import pseudonym

READING = ("GET", "HEAD")
NAMES_STUDY = ("image", "id", "label", "session_id")
"""Arguments of routes that name an image or session; beside `cohort` and `case`."""
NAME_LIMIT = 200
WRITERS = 16
"""Lines that wait for the disk at one time, each in a thread."""
_JOB = re.compile(r"/explain/jobs/([\w-]{1,64})$")

logger = logging.getLogger(__name__)
_studies: ContextVar[list[str] | None] = ContextVar("studies", default=None)


def note_study(name: str) -> None:
    """Tell the audit log, while a request is answered, which image it is about, where neither path nor query say so.

    Args:
        name: id of an image or session, or "COHORT/CASE"; its pseudonym is written.
    """
    noted = _studies.get()
    if noted is not None:
        noted.append(name)


class Audit:
    """ASGI middleware behind the login: a line for each answer of an audited route, before its first byte is sent.

    What may change something gets one more line, "asked", before the route runs.
    """

    def __init__(self, app: ASGIApp, *, log: AuditLog, required: bool) -> None:
        """Wrap an app.

        Args:
            required: answer 503 where a line cannot be written, rather than go on without.
        """
        self.app, self.log, self.required = app, log, required
        self._limiter = anyio.CapacityLimiter(WRITERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = cast("Route | None", scope.get("state", {}).get(ROUTE_KEY))
        if route is None or (route.rule is not None and not route.rule.audited):
            await self.app(scope, receive, send)
            return
        await _Audited(self, scope, route, send).run(receive)

    async def write(self, entry: Callable[[], Mapping[str, Any]]) -> bool:
        """Whether the request may go on."""
        try:
            await anyio.to_thread.run_sync(lambda: self.log.write(entry()), limiter=self._limiter)
        except OSError as error:
            logger.error("the audit log %s cannot be written: %s", self.log.folder, error)
            return not self.required
        return True


class _Audited:
    """One request."""

    def __init__(self, audit: Audit, scope: Scope, route: Route, send: Send) -> None:
        self.audit, self.scope, self.route, self._send = audit, scope, route, send
        self.studies: list[str] = []
        self.id = REQUEST.get() or uuid4().hex
        self.began = time.monotonic()
        self.answered = self.withheld = False

    async def run(self, receive: Receive) -> None:
        if self.scope["method"] not in READING and not await self.audit.write(partial(self._entry, "asked")):
            await self._refuse()
            return
        noting = _studies.set(self.studies)
        try:
            await self.audit.app(self.scope, receive, self.send)
        finally:
            _studies.reset(noting)
            if not self.answered:  # an unforeseen error, answered further out
                with anyio.CancelScope(shield=True):
                    await self.audit.write(partial(self._entry, "answered", status=500))

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self.answered:
            self.answered = True
            entry = partial(self._entry, "answered", status=message["status"], job=self._job(message))
            if not await self.audit.write(entry):
                self.withheld = True
                await self._refuse()
        if not self.withheld:
            await self._send(message)

    async def _refuse(self) -> None:
        detail = "the audit log cannot be written, so nothing is answered; its disk may be full"
        await problem_response(503, detail, {"Retry-After": "30"})(self.scope, _nothing, self._send)

    def _entry(self, event: str, **more: Any) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "request": self.id,
            "user": identity(self.scope).name[:NAME_LIMIT],
            "method": self.scope["method"],
            "route": self.route.template,
            "studies": sorted({pseudonym(name) for name in self._named()}),
        }
        return entry | more | ({"seconds": round(time.monotonic() - self.began, 3)} if more else {})

    def _named(self) -> list[str]:
        path: Mapping[str, Any] = self.scope.get("path_params", {})
        given = [*parse_qsl(self.scope.get("query_string", b"").decode("latin-1")), *path.items()]
        named = [str(value) for key, value in given if key in NAMES_STUDY]
        if "cohort" in path:
            named.append("/".join(str(path[key]) for key in ("cohort", "case") if key in path))
        return named + self.studies

    def _job(self, message: Message) -> str | None:
        """The job that the route is about, or that the request made."""
        asked = self.scope.get("path_params", {}).get("job_id")
        made = _JOB.search(Headers(raw=message.get("headers", [])).get("location", ""))
        return str(asked)[:64] if asked is not None else made[1] if made else None


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
