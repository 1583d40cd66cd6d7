"""Whose request it is: the token is checked before any route sees the request."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slicerxai.server.access import ROUTE_KEY, Route, RoutesOf, requested, rule_of, toggled
from slicerxai.server.identity import STATE_KEY
from slicerxai.server.problems import problem_response
from slicerxai.server.provider import PAUSE_SECONDS, Provider, ProviderError
from slicerxai.server.tokens import Expectations, TokenError, key_id, verified, who

logger = logging.getLogger(__name__)

CLAIMS_KEY = "slicerxai.claims"
"""In the request's state: the claims of the verified token."""
PUBLIC_LIMIT = 64 * 1024
"""Largest body that is taken from somebody without a token, bytes."""
ASKING = 4
"""Requests that may wait for the provider at one time, each in a thread; more wait for these."""


class Logins:
    """Checks tokens of one provider."""

    def __init__(self, provider: Provider, expected: Expectations) -> None:
        self.provider, self.expected = provider, expected
        self._limiter = anyio.CapacityLimiter(ASKING)

    async def admit(self, scope: Scope) -> Response | None:
        """Store in the request's state who is asking; otherwise the answer: 401, or 503 without keys."""
        try:
            token = bearer_token(Headers(scope=scope))
            kid = key_id(token)
            if self.provider.must_ask(kid):
                keys = await anyio.to_thread.run_sync(self.provider.keys, kid, limiter=self._limiter)
            else:
                keys = self.provider.keys(kid)
            claims = verified(token, keys, self.expected.audience)
            scope["state"] |= {STATE_KEY: who(claims, self.expected), CLAIMS_KEY: claims}
        except TokenError as error:
            if str(error):
                logger.warning(
                    "a token was refused: %s", error, extra={"peer": (scope.get("client") or ("unknown",))[0]}
                )
            challenge = "Bearer" if not str(error) else 'Bearer error="invalid_token"'
            detail = f"the token is not accepted: {error}" if str(error) else "a token is required; see /auth/"
            return problem_response(401, detail, {"WWW-Authenticate": challenge})
        except ProviderError as error:
            detail = f"tokens cannot be checked, since the login provider cannot be used: {error}"
            return problem_response(503, detail, {"Retry-After": str(round(PAUSE_SECONDS))})
        return None


class Login:
    """ASGI middleware in front of all routes.

    Stores the `Route` that is asked for, and with logins the `Identity` of the client. Refuses with problem JSON:
        401 no token, or one that is not accepted, where the route is not public or there is no such route.
        404 no such route.
        413 a body above `PUBLIC_LIMIT` where no token is asked for.
        503 tokens that cannot be checked, since the provider cannot be asked for its keys.
    """

    def __init__(self, app: ASGIApp, *, routes: RoutesOf, logins: Logins | None) -> None:
        """Wrap an app.

        Args:
            routes: of the app's router.
            logins: None lets everybody in.
        """
        self.app, self.routes, self.logins = app, routes, logins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there is no WebSocket here
            await send({"type": "websocket.close", "code": 1008})
            return
        template = requested(self.routes(), scope)
        rule = None if template is None else rule_of(scope["method"], template)
        state = scope.setdefault("state", {})
        if template is not None:
            state[ROUTE_KEY] = Route(template, rule)
        public = rule is not None and rule.role is None
        refusal = await self.logins.admit(scope) if self.logins is not None and not public else None
        if refusal is None and template is None and not self._other_method_or_slash(scope):
            refusal = problem_response(404, f"no route {scope['method']} {scope['path']}; /docs lists them")
        if public:
            receive = _limited(receive)
        await (refusal or self.app)(scope, receive, send)

    def _other_method_or_slash(self, scope: Scope) -> bool:
        """Whether the router answers 405 or redirects; what else it might do with an unknown path is not decided."""
        routes = self.routes()
        return _knows(routes, scope) or (scope["path"] != "/" and _knows(routes, toggled(scope)))


def _knows(routes: Sequence[BaseRoute], scope: Scope) -> bool:
    return any(route.matches(dict(scope))[0] is not Match.NONE for route in routes)


def bearer_token(headers: Headers) -> str:
    """The request's token. Raises `TokenError`, without a text when there is none."""
    found = headers.getlist("authorization")
    if not found:
        raise TokenError
    scheme, _, token = found[0].partition(" ")
    if len(found) > 1 or scheme.lower() != "bearer" or not token.strip():
        msg = "the header must be one Authorization: Bearer TOKEN"
        raise TokenError(msg)
    return token.strip()


def _limited(receive: Receive) -> Receive:
    total = 0

    async def limited() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > PUBLIC_LIMIT:
            raise HTTPException(413, f"at most {PUBLIC_LIMIT} bytes are accepted here")
        return message

    return limited
