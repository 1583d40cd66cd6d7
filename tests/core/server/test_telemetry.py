import asyncio
import logging
import re
import sqlite3

import pytest
from fastapi import FastAPI, HTTPException
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from slicerxai.server import conditions, health, metrics
from slicerxai.server.access import ROUTE_KEY, Route
from slicerxai.server.conditions import Condition
from slicerxai.server.telemetry import Telemetry
from slicerxai.settings import settings

WELL = [Condition("home", True), Condition("studies", True)]
SICK = [
    Condition("home", True),
    Condition("studies", False, "the folder of studies cannot be written: its disk is full"),
]


class RouteKnown:
    """Stands for the login, which finds the route that is asked for."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"].startswith("/images/"):
            scope.setdefault("state", {})[ROUTE_KEY] = Route("/images/{image}", None)
        await self.app(scope, receive, send)


class Workers:
    waiting = 3

    def lanes(self):
        return {"inference": (1, 0), "case": (2, 1)}

    def pids(self):
        return []


class Jobs:
    def counts(self):
        return {("saliency", "done"): 4}


class Pool:
    workers, jobs, queue_limit = Workers(), Jobs(), 64


@pytest.fixture
def client(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path))
    settings.cache_clear()
    monkeypatch.setattr(health, "shared_pool", Pool)
    monkeypatch.setattr(conditions, "conditions", lambda: WELL)
    monkeypatch.setattr(health, "_found", (-health.KEPT_SECONDS, []))
    app = FastAPI()
    app.include_router(health.router)

    @app.get("/images/{image}")
    async def get_image(image: str):
        logging.getLogger("slicerxai.x").warning("image %s", image)
        if image == "missing":
            raise HTTPException(404)
        if image == "broken":
            raise RuntimeError("fault")
        return image

    app.add_middleware(RouteKnown)
    app.add_middleware(Telemetry)
    yield TestClient(app, raise_server_exceptions=False)
    settings.cache_clear()


def figures(client):
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def requests_of(found, status):
    labels = (("method", "GET"), ("route", "/images/{image}"), ("status", status))
    return found.get(("slicerxai_requests_total", labels), 0)


def test_an_id_of_a_client_comes_back(client):
    assert client.get("/images/a", headers={"X-Request-ID": "proxy-4711_a"}).headers["X-Request-ID"] == "proxy-4711_a"


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "Doe Jane 1970", "a\x7fbcdefghij", '{"a": "bbbbbbb"}', "-startswith"]
)
def test_other_ids_are_replaced(client, given):
    answered = client.get("/images/a", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", answered)


def test_requests_at_one_time_keep_their_ids(client, caplog):
    """Lines that a request logs carry its id, whatever else runs."""
    from slicerxai.server.logs import REQUEST

    seen = {}

    async def app(scope, receive, send):
        await asyncio.sleep(0.01)
        seen[dict(scope["headers"])[b"x-request-id"].decode()] = REQUEST.get()

    async def all_of_them():
        telemetry = Telemetry(app)
        scopes = [
            {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", f"request-{n}".encode())]}
            for n in range(20)
        ]
        await asyncio.gather(*(asyncio.create_task(telemetry(scope, None, None)) for scope in scopes))

    asyncio.run(all_of_them())
    assert len(seen) == 20
    assert all(given == logged for given, logged in seen.items())


def test_requests_are_counted_by_template_and_status(client):
    before = figures(client)
    for image in ("a", "b", "missing", "broken"):
        client.get(f"/images/{image}")
    after = figures(client)
    assert [requests_of(after, s) - requests_of(before, s) for s in ("200", "404", "500")] == [2, 1, 1]
    seconds = ("slicerxai_request_seconds_count", (("method", "GET"), ("route", "/images/{image}")))
    assert after[seconds] - before.get(seconds, 0) == 4


def test_no_label_names_an_image_or_an_unknown_path(client):
    client.get("/images/Doe_Jane")
    client.get("/Doe_Jane/1970?image=Doe_Jane")
    client.request("DOEJANE", "/images/a")
    text = client.get("/metrics").text
    assert "doe" not in text.lower()
    assert 'route="(none)"' in text
    assert 'method="other"' in text


def test_a_client_that_leaves_is_told_from_a_fault(client):
    async def gone(scope, receive, send):
        raise asyncio.CancelledError

    async def leave():
        with pytest.raises(asyncio.CancelledError):
            await Telemetry(gone)({"type": "http", "method": "GET", "path": "/", "headers": []}, None, None)

    name = ("slicerxai_requests_total", (("method", "GET"), ("route", "(none)"), ("status", "499")))
    before = figures(client).get(name, 0)
    asyncio.run(leave())
    assert figures(client)[name] == before + 1
    assert metrics.REGISTRY.get_sample_value("slicerxai_requests_in_progress") == 0


def test_state_in_figures(client, monkeypatch):
    found = figures(client)
    assert found["slicerxai_jobs", (("method", "saliency"), ("state", "done"))] == 4
    assert found["slicerxai_tasks_waiting", (("lane", "case"),)] == 2
    assert found["slicerxai_condition", (("condition", "studies"),)] == 1
    assert found["slicerxai_home_free_bytes", ()] > 0
    assert found["process_resident_memory_bytes", ()] > 0

    def broken(self):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(Jobs, "counts", broken)
    assert ("slicerxai_tasks_waiting", (("lane", "case"),)) in figures(client)


def test_live_and_ready(client):
    assert client.get("/health/live").json() == {"live": True}
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


def test_what_is_wrong_is_told_and_logged_once(client, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    client.get("/health/ready")
    monkeypatch.setattr(conditions, "conditions", lambda: SICK)
    for _ in range(3):
        monkeypatch.setattr(health, "_found", (-health.KEPT_SECONDS, health._found[1]))
        answer = client.get("/health/ready")
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["ready"]) == (503, 503, False)
    assert problem["detail"] == SICK[1].detail
    assert answer.headers["content-type"] == "application/problem+json"
    assert [one["name"] for one in problem["conditions"] if not one["ok"]] == ["studies"]
    monkeypatch.setattr(conditions, "conditions", lambda: WELL)
    monkeypatch.setattr(health, "_found", (-health.KEPT_SECONDS, health._found[1]))
    assert client.get("/health/ready").status_code == 200
    said = [record.getMessage() for record in caplog.records if record.name == health.logger.name]
    assert said == [f"condition studies: {SICK[1].detail}", "condition studies: well again"]


def test_the_disks_are_not_asked_for_every_request(client, monkeypatch):
    asked = []
    monkeypatch.setattr(conditions, "conditions", lambda: asked.append(1) or WELL)
    for _ in range(5):
        client.get("/health/ready")
        client.get("/metrics")
    assert len(asked) == 1


def test_polling_leaves_no_lines(client, caplog):
    caplog.set_level(logging.INFO)
    client.get("/health/ready")
    client.get("/metrics")
    client.get("/images/Doe_Jane")
    said = [record.getMessage() for record in caplog.records if record.name == "slicerxai.requests"]
    assert said == ["GET /images/{image} 200"]
