import re

import anyio
import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from slicerxai.server import docs_page
from slicerxai.server.problems import install_problem_handlers
from slicerxai.server.security_headers import HEADERS, SecurityHeaders


def get(app, url):
    async def run():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
            return await client.get(url)

    return anyio.run(run)


def test_every_response_has_them_and_may_set_its_own():
    async def app(scope, receive, send):
        own = {"Content-Security-Policy": "default-src 'self'"} if scope["path"] == "/own" else None
        await PlainTextResponse("x", 418, headers=own)(scope, receive, send)

    usual = get(SecurityHeaders(app), "/")
    assert {name: usual.headers.get(name) for name in HEADERS} == HEADERS
    assert "default-src 'none'" in usual.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in usual.headers["Content-Security-Policy"]
    assert get(SecurityHeaders(app), "/own").headers.get_list("Content-Security-Policy") == ["default-src 'self'"]


@pytest.mark.parametrize(("url", "told"), [("http://127.0.0.1/", False), ("https://server.example/", True)])
def test_only_over_https_is_https_asked_for(url, told):
    answer = get(SecurityHeaders(PlainTextResponse("x")), url)
    assert ("Strict-Transport-Security" in answer.headers) is told


@pytest.fixture(scope="module")
def docs():
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(docs_page.router)
    install_problem_handlers(app)
    return app


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_page_of_the_routes_loads_what_the_server_has_and_its_policy_allows(docs, path):
    page = get(docs, path)
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert {"docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "docs/start.js"} <= set(loaded)
    assert not re.search(r"https?:|<script>|\son\w+=", page.text)
    for address in loaded:
        if address.startswith("docs/"):
            assert get(docs, f"/{address}").status_code == 200
    assert "SwaggerUIBundle" in get(docs, "/docs/swagger-ui-bundle.js").text
    assert "SwaggerUIBundle(" in get(docs, "/docs/start.js").text


@pytest.mark.parametrize("name", ["redoc.standalone.js", "..%2Fcore.py", "%2Fetc%2Fpasswd"])
def test_no_other_file_is_given_out(docs, name):
    assert get(docs, f"/docs/{name}").status_code == 404
