"""How many requests of each kind are served at one time: a bounded number, fairly among clients, else 429."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Literal

import anyio
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicerxai.server.clients import work_for
from slicerxai.server.gate import Gate
from slicerxai.server.identity import identity
from slicerxai.server.problems import TooManyJobsError, of_user_error

Kind = Literal["light", "upload", "infer", "explain", "compute", "prepare", "download"]

UNBOUNDED = frozenset({"/health/live", "/health/ready", "/metrics"})
"""What tells whether the server is overloaded is never refused for it."""
BODY_PATIENCE_SECONDS = 60.0
SLOWEST_BYTES_PER_SECOND = 16 * 1024
"""A body may be waited for so long in all, and longer as it arrives at this speed or faster; then 408."""

_KINDS: tuple[tuple[str, re.Pattern[str], Kind], ...] = (
    ("POST", re.compile(r"/infer/.*"), "infer"),
    ("POST", re.compile(r"/explain/[^/]+"), "explain"),
    ("POST", re.compile(r"/(activelearning|batch|scoring|train)/.*"), "compute"),
    ("PUT", re.compile(r"/session/?|/datastore/(image|label)?"), "upload"),
    ("PUT", re.compile(r"/model/.*"), "upload"),
    ("GET", re.compile(r"/explain/(cohorts.*|sample|worklist|jobs/[^/]+/report)|/datastore/dataset"), "prepare"),
    ("GET", re.compile(r"/explain/jobs/[^/]+/result|/datastore/(image|label)|/session/.*"), "download"),
)


def kind_of(method: str, path: str) -> Kind | None:
    """What a request asks of the server; None for what is never refused."""
    if path in UNBOUNDED:
        return None
    found = (kind for verb, pattern, kind in _KINDS if verb == method and pattern.fullmatch(path))
    return next(found, "light" if method in {"GET", "HEAD", "OPTIONS", "DELETE"} else "compute")


def gates(queue_limit: int, workers: int) -> dict[Kind, Gate]:
    """The bounds of a server with so many places in the queue of its workers.

    Those that wait for a worker ("infer", and "explain" with wait=true) hold a place while they do: their order is that
    of the workers' queue. "prepare" is what this process reads or packs itself, and leaves with the first byte sent.
    """
    return {
        "light": Gate(32, 512),
        "upload": Gate(8, 64),
        "infer": Gate(queue_limit + workers, 0),
        "explain": Gate(2 * (queue_limit + workers), 0),
        "compute": Gate(8, 32),
        "prepare": Gate(2, 64),
        "download": Gate(32, 128),
    }


class Admission:
    """ASGI middleware behind the logins. Notes whose work a request is, and refuses with problem JSON:

    429 with Retry-After: too many requests of its kind, or of its client's, are being served and wait.
    408 the body arrives too slowly.
    """

    def __init__(self, app: ASGIApp, *, gates: Mapping[Kind, Gate]) -> None:
        self.app = app
        self.gates = dict(gates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        client = identity(scope).name
        work_for(client)
        kind = kind_of(scope["method"], scope["path"])
        if kind is None:
            await self.app(scope, receive, send)
            return
        try:
            async with self.gates[kind].place(client) as place:

                async def sent(message: Message) -> None:
                    if message["type"] == "http.response.start" and kind != "download":
                        place.leave()
                    await send(message)

                await self.app(scope, _prompt(receive), sent)
        except TooManyJobsError as error:
            await of_user_error(error)(scope, receive, send)


def _prompt(receive: Receive) -> Receive:
    """The body of a client that sends it without long breaks."""
    received, waited, complete = 0, 0.0, False

    async def prompt() -> Message:
        nonlocal received, waited, complete
        if complete:
            return await receive()
        started = time.monotonic()
        try:
            with anyio.fail_after(BODY_PATIENCE_SECONDS + received / SLOWEST_BYTES_PER_SECOND - waited):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the request's body came too slowly: {received} bytes so far") from None
        waited += time.monotonic() - started
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        return message

    return prompt
