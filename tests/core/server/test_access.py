"""Every route of the server, as its router has them, by every kind of token."""

from collections import Counter

import anyio
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import OAuth2PasswordBearer
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from slicerxai.server import access, login_routes
from slicerxai.server.access import ROLES, Access, Rule, requested, rule_of, templates
from slicerxai.server.identity import identity
from slicerxai.server.login import PUBLIC_LIMIT, Login, Logins
from slicerxai.server.openapi import document_access
from slicerxai.server.provider import Provider
from slicerxai.server.tokens import Expectations
from tests.support.issuer import AUDIENCE, Issuer

NAMES = {role: f"monailabel-{role}" for role in ROLES}
SAMPLES = {"path": "some/where", "case": "some/case"}
"""What stands for a parameter of a path; "x" where nothing is said."""


@pytest.fixture(scope="module")
def app():
    from slicerxai.server.app import app

    return app


@pytest.fixture(scope="module")
def issuer():
    with Issuer() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def logins(issuer):
    expected = Expectations(AUDIENCE, "preferred_username", "realm_access#roles", frozenset(NAMES.values()))
    return Logins(Provider(issuer.url, 10), expected)


async def reached(scope, receive, send):
    """In place of the routes: who got here."""
    await PlainTextResponse(identity(scope).name)(scope, receive, send)


def guarded(routes, logins, inner=reached):
    """The middleware as the server has it, in front of something else than the routes."""
    names = None if logins is None else NAMES
    return Login(Access(inner, names=names), routes=lambda: routes, logins=logins)


def ask(app, requests):
    """Statuses and texts of requests (method, path, headers), in order."""

    async def all_of_them():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [await client.request(method, path, headers=headers) for method, path, headers in requests]

    return anyio.run(all_of_them)


def example(template):
    parts = (part for part in template.split("/"))
    return "/".join(SAMPLES.get(part[1:-1], "x") if part.startswith("{") else part for part in parts)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def outsiders(issuer):
    """Headers that let nobody in, by what is wrong with them."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = issuer.claims(*ROLES)
    payload = issuer.token(*ROLES).split(".")[1]
    encode = jwt.utils.base64url_encode
    unsigned = encode(b'{"alg":"none","kid":"%s"}' % issuer.kid.encode()).decode() + f".{payload}."
    head = encode(b'{"alg":"HS256","kid":"%s"}' % issuer.kid.encode()) + b"." + payload.encode()
    confused = head + b"." + encode(jwt.get_algorithm_by_name("HS256").sign(head, issuer.public_pem))
    return {
        "none": {},
        "garbage": bearer("garbage"),
        "basic": {"Authorization": "Basic YWRhOnNlY3JldA=="},
        "expired": bearer(issuer.token(*ROLES, exp=claims["exp"] - 7200)),
        "wrong audience": bearer(issuer.token(*ROLES, aud="account")),
        "wrong issuer": bearer(issuer.token(*ROLES, iss="https://elsewhere.example")),
        "alg none": bearer(unsigned),
        "HS256 with the public key": bearer(confused.decode()),
        "another key": bearer(issuer.sign(claims, other)),
    }


def test_every_route_is_decided_and_nothing_else(app):
    routes = set(templates(app.router.routes))
    assert {route for route in routes if rule_of(*route) is None} == set()
    assert set(access.TABLE) - routes == set()


def test_the_table_holds_for_every_route_and_token(app, issuer, logins):
    outside = outsiders(issuer)
    roles = {role: issuer.headers(role, name=role) for role in ROLES} | {"no role": issuer.headers(name="no role")}
    routes = sorted(set(templates(app.router.routes)))
    asked = [(method, template, who) for method, template in routes for who in (*outside, *roles)]
    headers = outside | roles
    answers = ask(
        guarded(app.router.routes, logins),
        [(method, example(template), headers[who]) for method, template, who in asked],
    )
    wrong, seen = [], Counter()
    for (method, template, who), answer in zip(asked, answers, strict=True):
        least = rule_of(method, template).role
        if least is None:
            expected = 200
        elif who in outside:
            expected = 401
        else:
            enough = who in ROLES and ROLES.index(who) <= ROLES.index(least)
            expected = 200 if enough else 403
        seen[expected] += 1
        name_is_right = expected != 200 or method == "HEAD" or answer.text == ("127.0.0.1" if least is None else who)
        if answer.status_code != expected or not name_is_right:
            wrong.append((method, template, who, answer.status_code, expected, answer.text))
    assert wrong == []
    assert len(asked) == len(routes) * 14
    assert min(seen[200], seen[401], seen[403]) > 50


def test_the_router_takes_the_route_that_was_decided_about(app):
    for method, template in templates(app.router.routes):
        assert requested(app.router.routes, {"type": "http", "method": method, "path": example(template)}) == template


def test_the_server_has_these_doors_in_this_order(app):
    names = [entry.cls.__name__ for entry in app.user_middleware]
    order = ["Telemetry", "SecurityHeaders", "Confinement", "Login", "Audit", "Access"]
    assert [name for name in names if name in order] == order


def test_the_document_says_which_routes_ask_for_a_token():
    app = FastAPI()
    app.include_router(login_routes.router)

    @app.get("/info/", dependencies=[Depends(OAuth2PasswordBearer("/auth/token"))])
    def info() -> None: ...

    @app.get("/explain/")
    def catalogue() -> None: ...

    document_access(app)
    operations = app.openapi()["paths"]
    assert operations["/explain/"]["get"]["security"] == operations["/info/"]["get"]["security"] != []
    assert "security" not in operations["/auth/token"]["post"]


def test_without_logins_everybody_may_use_decided_routes(app):
    table = [(method, example(template), {}) for method, template in access.TABLE]
    assert {answer.status_code for answer in ask(guarded(app.router.routes, None), table)} == {200}


def new_routes(tmp_path):
    (tmp_path / "page.txt").write_text("page")
    app, router = FastAPI(openapi_url=None), APIRouter(prefix="/new")
    router.add_api_route("/things/{thing}", lambda thing: thing, methods=["GET", "POST"])
    app.include_router(router)
    app.mount("/files", StaticFiles(directory=tmp_path))
    app.mount("/inner", Starlette(routes=[Route("/one", reached), Mount("/deep", routes=[Route("/{two}", reached)])]))
    return app


@pytest.mark.parametrize("path", ["/new/things/1", "/files/page.txt", "/files/", "/inner/one", "/inner/deep/x"])
def test_a_route_without_a_decision_is_closed(tmp_path, path, issuer, logins):
    routes = new_routes(tmp_path).router.routes
    for one in (None, logins):
        (answer,) = ask(guarded(routes, one), [("GET", path, issuer.headers("admin"))])
        assert answer.status_code == 403
        assert "nobody has decided" in answer.json()["detail"]
    (answer,) = ask(guarded(routes, logins), [("GET", path, {})])
    assert answer.status_code == 401


def test_mounted_routes_are_decided_one_by_one(tmp_path, monkeypatch, issuer, logins):
    routes = new_routes(tmp_path).router.routes
    found = {
        ("GET", "/inner/one"),
        ("GET", "/inner/deep/{two}"),
        ("*", "/files/{path}"),
        ("POST", "/new/things/{thing}"),
    }
    assert found <= set(templates(routes))
    monkeypatch.setattr(access, "TABLE", {("GET", "/inner/deep/{two}"): Rule("admin")})
    requests = [("GET", path, issuer.headers(role)) for path in ("/inner/deep/x", "/inner/one") for role in ROLES]
    assert [answer.status_code for answer in ask(guarded(routes, logins), requests)] == [200, *[403] * 7]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/info/../nothing", 404),
        ("POST", "/info/", 405),
        ("PATCH", "/explain/jobs", 405),
        ("GET", "/explain", 307),
    ],
)
def test_unknown_paths_and_methods(app, issuer, logins, method, path, status):
    behind = guarded(app.router.routes, logins, app.router)
    known, stranger = ask(behind, [(method, path, issuer.headers("user")), (method, path, {})])
    assert (known.status_code, stranger.status_code) == (status, 401)


def test_a_public_route_takes_no_large_body(app, logins):
    async def reading(scope, receive, send):
        size = 0
        while (message := await receive())["type"] == "http.request":
            size += len(message["body"])
            if not message.get("more_body"):
                break
        await PlainTextResponse(str(size))(scope, receive, send)

    from starlette.middleware.exceptions import ExceptionMiddleware

    async def post(size):
        transport = httpx.ASGITransport(ExceptionMiddleware(guarded(app.router.routes, logins, reading)))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return (await client.post("/auth/token", content=b"x" * size)).status_code

    assert [anyio.run(post, size) for size in (PUBLIC_LIMIT, PUBLIC_LIMIT + 1)] == [200, 413]


def test_a_websocket_is_closed(logins):
    sent = []

    async def send(message):
        sent.append(message)

    async def run():
        await guarded([], logins)({"type": "websocket", "path": "/"}, None, send)

    anyio.run(run)
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_a_provider_that_is_down_is_said_so(app):
    with Issuer() as gone:
        token, url = gone.headers("user"), gone.url
    expected = Expectations(AUDIENCE, "preferred_username", "realm_access#roles", frozenset(NAMES.values()))
    guard = guarded(app.router.routes, Logins(Provider(url, 1), expected))
    answers = ask(guard, [("GET", "/info/", token), ("GET", "/info/", {}), ("GET", "/docs", {})])
    assert [answer.status_code for answer in answers] == [503, 401, 200]
    assert "login provider cannot be used" in answers[0].json()["detail"]
    assert answers[0].headers["Retry-After"]


def test_two_authorization_headers_are_not_accepted(app, issuer, logins):
    twice = [("Authorization", f"Bearer {issuer.token(role)}") for role in ("user", "admin")]
    (answer,) = ask(guarded(app.router.routes, logins), [("GET", "/info/", twice)])
    assert answer.status_code == 401
