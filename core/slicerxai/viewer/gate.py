"""Who may use the page: whoever opened it by the address that was printed, from the page itself and no other site's."""

from __future__ import annotations

import secrets
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
KEY = "key"
"""Of the address that is printed."""
SESSION = "/paraview/"
"""Where trame's page asks how to connect."""
STRANGER = "Open this page by the whole address that “slicerxai view” has printed."
FOREIGN = "Pages of other sites may not use this one."
Handler = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True)
class Gate:
    """Lets requests in or refuses them.

    Attributes:
        hosts: names by which the page may be asked for, so that a name of somebody else's that leads here (DNS
            rebinding) is none; None for any.
        key: is in the printed address, and becomes a cookie.
        secret: of trame's connection; only the page of somebody who was let in gets it.
    """

    hosts: frozenset[str] | None
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def refusal(self, headers: Mapping[str, str], given: str) -> str | None:
        """Why a request is refused; None when it is not.

        Args:
            given: the key that it brings, in the cookie or in the address.
        """
        host, origin = headers.get("Host", ""), headers.get("Origin")
        name = urllib.parse.urlsplit(f"//{host}").hostname or ""
        if self.hosts is not None and name not in self.hosts:
            return f"This page is not called {name}."
        if origin is not None and urllib.parse.urlsplit(origin).netloc != host:
            return FOREIGN
        return None if secrets.compare_digest(given.encode(), self.key.encode()) else STRANGER

    def install(self, application: Any) -> None:
        """Put it before everything that an aiohttp application serves."""
        from aiohttp import web

        cookie = f"slicerxai-view-{secrets.token_hex(4)}"  # cookies of one host are shared by all its ports

        @web.middleware
        async def checked(request: Any, handler: Handler) -> Any:
            entering = request.path == "/" and KEY in request.query
            given = request.query[KEY] if entering else request.cookies.get(cookie, "")
            if (reason := self.refusal(request.headers, given)) is not None:
                return web.Response(status=403, text=reason, headers=HEADERS)
            if entering:
                answer = web.Response(status=303, headers={**HEADERS, "Location": "/index.html"})
                answer.set_cookie(cookie, self.key, httponly=True, samesite="Strict", path="/")
                return answer
            response = await handler(request)
            if not response.prepared:
                response.headers.update(HEADERS)
            return response

        async def session(_request: Any) -> Any:
            return web.json_response({"sessionURL": "ws://USE_HOST/ws", "secret": self.secret})

        application.middlewares.append(checked)
        application.router.add_post(SESSION, session)
