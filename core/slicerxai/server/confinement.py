"""What every request must pass before any route sees it: who may ask, from which page, and how much may be sent."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicerxai.server.problems import problem_response


class Confinement:
    """ASGI middleware in front of all routes.

    Refuses with problem JSON:
        403 a peer that is not this machine, or a `Host` that is not (a page that rebinds its name to this machine),
            unless `remote`; a request that a page of another origin sends.
        400 a path or query with control characters or a backslash.
        413 a body above the limit, by its announced size and again while it arrives.
    """

    def __init__(self, app: ASGIApp, *, upload_limit: int, remote: bool, origins: Iterable[str] = ()) -> None:
        """Wrap an app.

        Args:
            upload_limit: largest request body, bytes.
            remote: other machines may ask.
            origins: such as "https://viewer.example.org", whose pages may ask.
        """
        self.app = app
        self.upload_limit = upload_limit
        self.remote = remote
        self.origins = frozenset(origin.rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            status, detail = refusal
            await problem_response(status, detail)(scope, receive, send)
            return
        await self.app(scope, self._counted(receive), send)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Status and reason, or None for a request that may pass."""
        return self._bad_sender(scope, headers) or self._bad_request(scope, headers)

    def _bad_sender(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        peer = (scope.get("client") or ("an unknown peer", 0))[0]
        if not self.remote and not is_loopback(peer):
            return 403, (
                f"this server answers its own machine only, not {peer}; "
                "enable MONAI Label's logins, or set SLICERXAI_ALLOW_UNAUTHENTICATED=true"
            )
        if not self.remote and not is_loopback(_host_name(host)):
            return 403, f"this server is addressed as 127.0.0.1 or localhost, not as {host!r}"
        if origin is not None and origin.rstrip("/") not in self.origins and origin.partition("://")[2] != host:
            return 403, f"pages of {origin!r} may not use this server; set MONAI_LABEL_CORS_ORIGINS to accept them"
        return None

    def _bad_request(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        target = scope["path"] + unquote(scope.get("query_string", b"").decode("latin-1"))
        if any(ord(character) < 32 or character in "\x7f\\" for character in target):
            return 400, "the path or query holds a control character or a backslash"
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            return 400, f"bad Content-Length {length!r}"
        if int(length) > self.upload_limit:
            return 413, self._too_large(int(length))
        return None

    def _too_large(self, size: int) -> str:
        return f"the request has {size} bytes or more; accepted are up to {self.upload_limit}"

    def _counted(self, receive: Receive) -> Receive:
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.upload_limit:
                raise HTTPException(413, self._too_large(total))
            return message

        return counted


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
