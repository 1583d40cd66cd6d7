import anyio
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from slicerxai.server.confinement import Confinement, is_loopback


def client(peer: str = "127.0.0.1", **options) -> TestClient:
    app = FastAPI()

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    app.add_middleware(Confinement, **({"upload_limit": 10, "remote": False} | options))
    return TestClient(app, base_url="http://127.0.0.1:8000", client=(peer, 5000))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.0.7", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_is_loopback(host, expected):
    assert is_loopback(host) is expected


def test_a_request_of_this_machine_passes():
    assert client().post("/", content=b"0123456789").json() == 10


def test_another_machine_is_refused_unless_allowed():
    refused = client(peer="192.168.0.7").post("/")
    assert refused.status_code == 403
    assert "192.168.0.7" in refused.json()["detail"]
    assert client(peer="192.168.0.7", remote=True).post("/").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "[::bad", ""])
def test_a_rebound_host_name_is_refused_unless_remote(host):
    assert client().post("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_a_loopback_host_name_passes(host):
    assert client().post("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200),
        ("http://127.0.0.1:9000", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("https://viewer.example", 200),
    ],
)
def test_only_pages_of_the_server_and_of_named_origins_may_ask(origin, status):
    answer = client(origins=["https://viewer.example/"]).post("/", headers={"Origin": origin})
    assert answer.status_code == status


@pytest.mark.parametrize("content", [b"01234567890", iter([b"012345", b"67890"])])
def test_a_body_above_the_limit_is_refused_announced_or_not(content):
    answer = client().post("/", content=content)
    assert answer.status_code == 413


@pytest.mark.parametrize("target", ["/?image=a%00b", "/?image=..%5Cx", "/%0d%0a"])
def test_control_characters_and_backslashes_are_refused(target):
    assert client().post(target).status_code == 400


def test_lifespan_passes():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    async def run():
        await Confinement(app, upload_limit=1, remote=False)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    anyio.run(run)
    assert seen == ["lifespan"]
