"""Who gets into the page, over a real socket; and what `slicerxai view` refuses before it serves anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from slicerxai.cli.main import run
from slicerxai.errors import InputError
from slicerxai.viewer.gate import FOREIGN, STRANGER, Gate
from slicerxai.viewer.serve import ACCEPTED, LOOPBACK, check, is_loopback


@pytest.mark.parametrize(
    ("headers", "key", "reason"),
    [
        ({"Host": "127.0.0.1:8080"}, "right", None),
        ({"Host": "localhost:8080", "Origin": "http://localhost:8080"}, "right", None),
        ({"Host": "[::1]:8080"}, "right", None),
        ({"Host": "127.0.0.1:8080"}, "wrong", STRANGER),
        ({"Host": "127.0.0.1:8080"}, "", STRANGER),
        ({"Host": "127.0.0.1:8080"}, "kéy", STRANGER),
        ({"Host": "127.0.0.1:8080", "Origin": "https://evil.example"}, "right", FOREIGN),
        ({"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:9999"}, "right", FOREIGN),
        ({"Host": "127.0.0.1:8080", "Origin": "null"}, "right", FOREIGN),
        ({"Host": "rebound.example:8080"}, "right", "This page is not called rebound.example."),
        ({}, "right", "This page is not called ."),
    ],
)
def test_a_request_is_let_in_only_with_the_key_from_the_page_itself(
    headers: dict[str, str], key: str, reason: str | None
) -> None:
    assert Gate(LOOPBACK, key="right").refusal(headers, key) == reason


def test_behind_a_gateway_any_name_is_one_but_the_key_is_needed() -> None:
    gate = Gate(None, key="right")
    assert gate.refusal({"Host": "reading.hospital.example"}, "right") is None
    assert gate.refusal({"Host": "reading.hospital.example"}, "wrong") == STRANGER


def test_keys_and_secrets_are_never_the_same() -> None:
    gates = [Gate(LOOPBACK) for _ in range(5)]
    found = {text for gate in gates for text in (gate.key, gate.secret)}
    assert len(found) == 10
    assert all(len(text) >= 32 for text in found)


def served(visit: Callable[[Any, Gate], Awaitable[None]]) -> None:
    """Visit an application behind a gate by a client with cookies."""
    from aiohttp import CookieJar, web
    from aiohttp.test_utils import TestClient, TestServer

    async def main() -> None:
        application, gate = web.Application(), Gate(LOOPBACK)

        async def page(_request: Any) -> Any:
            return web.Response(text="page")

        async def socket(request: Any) -> Any:
            answer = web.WebSocketResponse()
            await answer.prepare(request)
            await answer.send_str("hello")
            await answer.close()
            return answer

        gate.install(application)
        application.router.add_get("/index.html", page)
        application.router.add_get("/ws", socket)
        jar = CookieJar(unsafe=True)  # cookies of an address without a name
        async with TestClient(TestServer(application), cookie_jar=jar) as client:
            await visit(client, gate)

    asyncio.run(main())


def test_the_printed_address_lets_in_and_later_requests_need_no_key() -> None:
    async def visit(client: Any, gate: Gate) -> None:
        refused = await client.get("/index.html")
        assert (refused.status, await refused.text()) == (403, STRANGER)
        entered = await client.get(f"/?key={gate.key}")
        assert (entered.status, await entered.text()) == (200, "page")
        assert entered.history[0].status == 303
        cookie = entered.history[0].headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert gate.key not in str(entered.url)
        again = await client.get("/index.html")
        assert again.status == 200
        assert again.headers["X-Frame-Options"] == "DENY"
        session = await (await client.post("/paraview/")).json()
        assert session == {"sessionURL": "ws://USE_HOST/ws", "secret": gate.secret}
        async with client.ws_connect("/ws") as socket:
            assert await socket.receive_str() == "hello"

    served(visit)


def test_a_stranger_gets_neither_the_secret_nor_the_connection() -> None:
    from aiohttp import WSServerHandshakeError

    async def visit(client: Any, gate: Gate) -> None:
        for answer in (await client.post("/paraview/"), await client.get("/?key=guessed"), await client.get("/")):
            assert answer.status == 403
            assert gate.secret not in await answer.text()
        with pytest.raises(WSServerHandshakeError, match="403"):
            await client.ws_connect("/ws")
        await client.get(f"/?key={gate.key}")
        with pytest.raises(WSServerHandshakeError, match="403"):
            await client.ws_connect("/ws", headers={"Origin": "https://evil.example"})

    served(visit)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "reading.hospital.example"])
def test_other_machines_are_let_in_only_when_told_so(host: str) -> None:
    with pytest.raises(InputError, match="lets other machines see the images"):
        check(host, [], allow_others=False)
    check(host, [], allow_others=True)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_computer_is_served_without_being_told(host: str) -> None:
    check(host, [], allow_others=False)


def test_files_that_cannot_be_opened_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.nii\.gz: no such file"):
        check("127.0.0.1", [tmp_path / "gone.nii.gz"], allow_others=False)
    picture = tmp_path / "scan.png"
    picture.write_bytes(b"")
    with pytest.raises(InputError, match=r"scan\.png: accepted are \.nii") as raised:
        check("127.0.0.1", [picture], allow_others=False)
    assert raised.value.accepted == ACCEPTED


def test_the_command_says_what_is_wrong_and_ends_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["view", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "--allow-others" in capsys.readouterr().err
