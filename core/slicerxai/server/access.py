"""Who may use which route: one table for all routes, and what enforces it.

A route that the table does not name is refused to everybody, so that a new one is closed until someone decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from slicerxai.server.identity import identity
from slicerxai.server.problems import problem_response

Role = Literal["admin", "reviewer", "annotator", "user"]
ROLES: tuple[Role, ...] = ("admin", "reviewer", "annotator", "user")
"""As MONAI Label has them; each may do what those after it may."""

ROUTE_KEY = "slicerxai.route"
"""In the request's state: the `Route` that it asks for."""


@dataclass(frozen=True)
class Rule:
    """What a route asks of a client.

    Attributes:
        role: the least that is enough; None lets everybody in, without a token.
        audited: whether its use is in the audit log; not that of routes without data of patients, which clients poll.
    """

    role: Role | None
    audited: bool = True


PUBLIC = Rule(None, audited=False)
STATUS = Rule("user", audited=False)
USER, ANNOTATOR, REVIEWER, ADMIN = Rule("user"), Rule("annotator"), Rule("reviewer"), Rule("admin")

TABLE: Mapping[tuple[str, str], Rule] = MappingProxyType(
    {
        # pages and documents that hold nothing of this installation
        ("GET", "/"): PUBLIC,
        ("GET", "/docs"): PUBLIC,
        ("GET", "/docs/{name}"): PUBLIC,
        ("GET", "/openapi.json"): PUBLIC,
        ("GET", "/favicon.ico"): PUBLIC,
        # how to log in
        ("GET", "/auth/"): PUBLIC,
        ("POST", "/auth/token"): PUBLIC,
        ("GET", "/auth/token/valid"): STATUS,
        # operation
        ("GET", "/health/live"): PUBLIC,
        ("GET", "/health/ready"): PUBLIC,
        ("GET", "/metrics"): Rule("admin", audited=False),
        ("GET", "/logs/"): ADMIN,
        ("GET", "/logs/gpu"): ADMIN,
        # MONAI Label's tasks
        ("GET", "/info/"): STATUS,
        ("POST", "/infer/{model}"): USER,
        ("GET", "/batch/infer"): STATUS,
        ("POST", "/batch/infer/{model}"): ADMIN,
        ("DELETE", "/batch/infer"): ADMIN,
        ("GET", "/train/"): STATUS,
        ("POST", "/train/{model}"): ADMIN,
        ("DELETE", "/train/"): ADMIN,
        ("POST", "/activelearning/{strategy}"): USER,
        ("GET", "/scoring/"): STATUS,
        ("POST", "/scoring/{method}"): ANNOTATOR,
        ("DELETE", "/scoring/"): ANNOTATOR,
        ("GET", "/model/{model}"): ADMIN,
        ("GET", "/model/info/{model}"): ADMIN,
        ("PUT", "/model/{model}"): ADMIN,
        ("DELETE", "/model/{model}"): ADMIN,
        # images and labels
        ("GET", "/datastore/"): USER,
        ("PUT", "/datastore/"): ANNOTATOR,
        ("DELETE", "/datastore/"): ADMIN,
        ("GET", "/datastore/image"): USER,
        ("HEAD", "/datastore/image"): USER,
        ("PUT", "/datastore/image"): ANNOTATOR,
        ("DELETE", "/datastore/image"): ADMIN,
        ("GET", "/datastore/image/info"): USER,
        ("PUT", "/datastore/image/info"): ANNOTATOR,
        ("GET", "/datastore/label"): USER,
        ("HEAD", "/datastore/label"): USER,
        ("PUT", "/datastore/label"): ANNOTATOR,
        ("DELETE", "/datastore/label"): ADMIN,
        ("GET", "/datastore/label/info"): USER,
        ("PUT", "/datastore/label/info"): ANNOTATOR,
        ("PUT", "/datastore/updatelabelinfo"): ANNOTATOR,
        ("GET", "/datastore/dataset"): ANNOTATOR,
        ("GET", "/session/{session_id}"): USER,
        ("PUT", "/session/"): USER,
        ("DELETE", "/session/{session_id}"): USER,
        ("GET", "/dicom/images"): USER,
        # explanations
        ("GET", "/explain/"): STATUS,
        ("GET", "/explain/cohorts"): USER,
        ("GET", "/explain/cohorts/{cohort}"): USER,
        ("GET", "/explain/cohorts/{cohort}/cases/{case}"): USER,
        ("GET", "/explain/sample"): USER,
        ("POST", "/explain/{method}"): USER,
        ("GET", "/explain/jobs"): STATUS,
        ("GET", "/explain/jobs/{job_id}"): STATUS,
        ("DELETE", "/explain/jobs/{job_id}"): USER,
        ("GET", "/explain/jobs/{job_id}/result"): USER,
        ("GET", "/explain/jobs/{job_id}/report"): USER,
        ("POST", "/explain/jobs/{job_id}/dicom"): ANNOTATOR,
        ("GET", "/explain/worklist"): USER,
        ("PUT", "/explain/worklist/{image}"): REVIEWER,
        ("DELETE", "/explain/worklist/{image}"): REVIEWER,
    }
)
"""By method and path template. Who may GET may HEAD, where the route knows that."""


@dataclass(frozen=True)
class Route:
    """The route that a request asks for.

    Attributes:
        template: such as "/explain/jobs/{job_id}".
        rule: None when the table does not decide.
    """

    template: str
    rule: Rule | None


def rule_of(method: str, template: str) -> Rule | None:
    """The table's decision."""
    found = TABLE.get((method, template))
    return TABLE.get(("GET", template)) if found is None and method == "HEAD" else found


def templates(routes: Sequence[BaseRoute]) -> list[tuple[str, str]]:
    """Method and path template of every route, those of mounted apps included; "*" is the method of a mount itself."""
    found = []
    for context in iter_route_contexts(routes):
        if isinstance(context.original_route, Mount) and context.routes:
            found += [(method, f"{context.path}{template}") for method, template in templates(context.routes)]
        else:
            found += [(method, str(context.path_format)) for method in sorted(context.methods or {"*"})]
    return found


def requested(routes: Sequence[BaseRoute], scope: Scope) -> str | None:
    """The path template of the route that a router would choose, or None: it knows none, or another method only."""
    for context in iter_route_contexts(routes):
        child = dict(scope)
        match, more = context.matches(child)
        if match is not Match.FULL:
            continue
        if isinstance(context.original_route, Mount) and context.routes:
            inner = requested(context.routes, child | more)
            return None if inner is None else str(context.path) + inner
        return str(context.path_format)
    return None


def allowed(roles: frozenset[str], least: Role, names: Mapping[Role, str]) -> bool:
    """Whether a token's roles are enough.

    Args:
        names: of the roles in tokens.
    """
    return any(names[role] in roles for role in ROLES[: ROLES.index(least) + 1])


class Access:
    """ASGI middleware behind the login: refuses with 403 whom the table does not let in.

    Requires `ROUTE_KEY` in the state, which the login stores; without one a request is of no known route and passes, to
    be answered 404, 405 or with a redirection.
    """

    def __init__(self, app: ASGIApp, *, names: Mapping[Role, str] | None) -> None:
        """Wrap an app.

        Args:
            names: of the roles in tokens; None when there are no logins, where everybody may use every decided route.
        """
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is not None:
            await problem_response(403, refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str | None:
        route = cast("Route | None", scope.get("state", {}).get(ROUTE_KEY))
        if route is None:
            return None
        if route.rule is None:
            return f"nobody has decided who may use {scope['method']} {route.template}, so it is closed"
        role = route.rule.role
        if self.names is None or role is None or allowed(identity(scope).roles, role, self.names):
            return None
        return f"role {self.names[role]!r} or a higher one is required for this"


RoutesOf = Callable[[], Sequence[BaseRoute]]


def toggled(scope: Scope) -> dict[str, Any]:
    """The same request with a slash more or less at the end, to which a router redirects."""
    path = scope["path"]
    return dict(scope) | {"path": path.rstrip("/") if path.endswith("/") else path + "/"}
