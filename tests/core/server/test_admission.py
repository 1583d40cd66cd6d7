"""Requests are admitted by kind, fairly among clients, and refused with 429 beyond; nothing is left taken."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Request

from slicerxai.server import admission
from slicerxai.server.admission import Admission, gates, kind_of
from slicerxai.server.clients import current_client
from slicerxai.server.gate import Gate
from slicerxai.server.identity import STATE_KEY, Identity
from slicerxai.server.problems import TooManyJobsError, install_problem_handlers


async def ticks(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_gate_lets_clients_in_by_turns():
    async def run():
        gate, order = Gate(1, 20), []

        async def client(name, number):
            async with gate.place(name):
                order.append((name, number))
                await ticks()

        tasks = [asyncio.create_task(client("greedy", number)) for number in range(10)]
        await ticks(1)
        tasks.append(asyncio.create_task(client("other", 0)))
        await asyncio.gather(*tasks)
        assert order.index(("other", 0)) <= 2
        assert [number for name, number in order if name == "greedy"] == list(range(10))
        assert (gate.inside, gate.waiting) == (0, 0)

    asyncio.run(run())


def test_one_client_never_takes_every_place():
    async def run():
        gate, never = Gate(8, 0), asyncio.Event()

        async def stay(name):
            async with gate.place(name):
                await never.wait()

        tasks = [asyncio.create_task(stay("slow")) for _ in range(20)]
        await ticks()
        refused = [task for task in tasks if task.done()]
        assert gate.inside == 6
        assert len(refused) == 14
        assert all(isinstance(task.exception(), TooManyJobsError) for task in refused)
        async with gate.place("other"):
            assert gate.inside == 7
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert gate.inside == 0

    asyncio.run(run())


def test_who_stops_waiting_leaves_nothing_taken():
    async def run():
        gate = Gate(1, 10)
        async with gate.place("a"):
            waiting = [asyncio.create_task(gate._enter(name)) for name in "bc"]
            await ticks()
            waiting[0].cancel()
            await ticks()
            assert gate.waiting == 1
        waiting[1].cancel()  # at the moment in which it is let in
        await asyncio.gather(*waiting, return_exceptions=True)
        await ticks()
        assert (gate.inside, gate.waiting) == (0, 0)

    asyncio.run(run())


def app_of(chosen, stay):
    app = FastAPI()
    install_problem_handlers(app, prefix="")

    @app.put("/session/")
    async def upload(request: Request):
        await stay.wait()
        return {"bytes": len(await request.body()), "client": current_client()}

    @app.get("/health/live")
    async def live():
        return {}

    app.add_middleware(Admission, gates=chosen)

    async def named(scope, receive, send):
        scope.setdefault("state", {})[STATE_KEY] = Identity(dict(scope["headers"]).get(b"who", b"nobody").decode())
        await app(scope, receive, send)

    return named


def test_too_many_uploads_are_refused_with_a_problem_and_a_time():
    async def run():
        stay, chosen = asyncio.Event(), gates(4, 1) | {"upload": Gate(2, 4)}
        transport = httpx.ASGITransport(app=app_of(chosen, stay))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

            def send(who):
                return asyncio.create_task(client.put("/session/", headers={"who": who}, content=b"123"))

            first = [send("a") for _ in range(9)]
            await asyncio.sleep(0.1)
            refused = [task.result() for task in first if task.done()]
            assert [answer.status_code for answer in refused] == [429] * 4
            assert refused[0].headers["content-type"] == "application/problem+json"
            assert int(refused[0].headers["retry-after"]) >= 1
            assert (await client.get("/health/live")).status_code == 200
            other = send("b")
            await asyncio.sleep(0.05)
            assert not other.done()
            stay.set()
            assert (await other).json() == {"bytes": 3, "client": "b"}
            assert [(await task).status_code for task in first].count(200) == 5
        assert (chosen["upload"].inside, chosen["upload"].waiting) == (0, 0)

    asyncio.run(run())


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(admission, "BODY_PATIENCE_SECONDS", 0.05)

    async def run():
        stay = asyncio.Event()
        stay.set()
        transport = httpx.ASGITransport(app=app_of(gates(4, 1), stay))
        sent = []
        scope = {"type": "http", "method": "PUT", "path": "/session/", "headers": [], "query_string": b""}

        async def receive():
            if not sent:
                sent.append(1)
                return {"type": "http.request", "body": b"some", "more_body": True}
            await asyncio.sleep(60)

        answers = []

        async def send(message):
            answers.append(message)

        await transport.app(scope, receive, send)
        assert answers[0]["status"] == 408

    asyncio.run(run())


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/infer/tiny", "infer"),
        ("POST", "/explain/saliency", "explain"),
        ("POST", "/explain/jobs/1/dicom", "compute"),
        ("PUT", "/session/", "upload"),
        ("PUT", "/datastore/label", "upload"),
        ("GET", "/explain/jobs/1/result", "download"),
        ("GET", "/explain/jobs/1", "light"),
        ("GET", "/explain/cohorts/a/cases/b", "prepare"),
        ("GET", "/explain/jobs/1/report", "prepare"),
        ("POST", "/train/fast", "compute"),
        ("PUT", "/a/route/to/come", "compute"),
        ("GET", "/info/", "light"),
        ("GET", "/metrics", None),
    ],
)
def test_kinds(method, path, kind):
    assert kind_of(method, path) == kind
