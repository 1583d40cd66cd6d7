"""A training followed on stand-ins for servers: progress, cancelling, and every way in which it may end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from XAILib import training
from XAILib.client import Client
from XAILib.errors import ServerError, Stopped

from tests.slicer.server_fixtures import send, stand_in

OTHER = {"id": "0", "status": "DONE", "request": {"model": "fast"}, "details": ["done"]}


def task(status: str, *lines: str, **more: Any) -> dict[str, Any]:
    return {"id": "1", "status": status, "request": {"model": "aligned", "name": "n"}, "details": list(lines), **more}


class Trainer:
    """A server that tells these states one after the other; the last one again and again."""

    def __init__(self, *states: dict[str, Any] | int | None) -> None:
        self.states = list(states)
        self.requests: list[tuple[str, str, Any]] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        body = json.loads(handler.rfile.read(length)) if length else None
        self.requests.append((handler.command, handler.path, body))
        if handler.command == "GET":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        else:
            state = task("SUBMITTED") if handler.command == "POST" else task("STOPPED")
        if isinstance(state, int):
            send(handler, state, b'{"detail": "No Train Tasks Found"}', "application/json")
            return
        found = state if handler.command != "GET" else [OTHER] if state is None else [OTHER, state]
        send(handler, 200, json.dumps(found).encode(), "application/json")

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.requests]


def trained(server: Trainer, stop: threading.Event | None = None, cancelled: threading.Event | None = None) -> Any:
    """The end of a training, and the progress that was told."""
    seen: list[tuple[float, str]] = []
    stop, cancelled = stop or threading.Event(), cancelled or threading.Event()
    with stand_in(server) as url:
        client = Client(url)
        begun = training.start(client, "aligned", {"name": "n", "base": "b"}, stop)
        progress: Callable[..., None] = lambda fraction, message, eta: seen.append((fraction, message))  # noqa: E731
        found = training.follow(client, begun.id, stop, cancelled, progress)
    return found, seen


def test_to_the_end() -> None:
    log = ["[2026] INFO training 'n' on 8 images", "[2026] INFO (root) -  40 % epoch 4 of 10, loss 0.3"]
    server = Trainer(task("SUBMITTED"), task("RUNNING"), 503, task("RUNNING", *log), task("DONE", *log))
    found, seen = trained(server)
    assert found.status == "DONE"
    assert ("POST", "/train/aligned", {"name": "n", "base": "b"}) in server.requests
    assert seen == [
        (0.0, "waiting for another training"),
        (0.0, "preparing the training"),
        (0.0, "The server does not answer; trying again"),
        (0.4, "epoch 4 of 10, loss 0.3"),
    ]
    assert "DELETE" not in server.methods()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (task("ERROR", "slicerxai.errors.ConflictError: no image has a mask yet."), "failed: no image has a mask yet."),
        (task("ERROR"), "its log is empty"),
        (task("STOPPED"), "Somebody stopped"),
        (None, "restarted"),
        (404, "restarted"),
        (401, "token"),
    ],
)
def test_other_ends(state: Any, words: str) -> None:
    with pytest.raises(ServerError, match=words):
        trained(Trainer(task("RUNNING"), state))


def test_cancelling_stops_it_on_the_server_once_it_runs() -> None:
    stop, cancelled = threading.Event(), threading.Event()
    stop.set()
    cancelled.set()
    server = Trainer(task("SUBMITTED"), task("RUNNING"))
    with pytest.raises(Stopped), stand_in(server) as url:
        training.follow(Client(url), "1", stop, cancelled, lambda *_: None)
    assert server.methods() == ["GET", "GET", "DELETE"]  # not while another training may be running


def test_closing_the_panel_leaves_it_running() -> None:
    stop = threading.Event()
    stop.set()
    server = Trainer(task("RUNNING"))
    with pytest.raises(Stopped), stand_in(server) as url:
        training.follow(Client(url), "1", stop, threading.Event(), lambda *_: None)
    assert "DELETE" not in server.methods()


def test_another_training_runs() -> None:
    def busy(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 429, b'{"detail": "Train Task is Already Running"}', "application/json")

    with stand_in(busy) as url, pytest.raises(ServerError, match="Another training is running"):
        training.start(Client(url), "aligned", {}, threading.Event())


def test_the_newest_training_and_what_is_offered() -> None:
    with stand_in(Trainer(task("RUNNING"))) as url:
        newest = training.newest(Client(url))
    assert newest is not None
    assert (newest.active, newest.task, newest.name) == (True, "aligned", "n")
    with stand_in(Trainer(404)) as url:
        assert training.newest(Client(url)) is None

    def info(handler: BaseHTTPRequestHandler) -> None:
        body = {"trainers": {"aligned": {"config": {"epochs": 7}}, "fast": {}}}
        send(handler, 200, json.dumps(body).encode(), "application/json")

    with stand_in(info) as url:
        assert training.tasks(Client(url)) == {"aligned": {"epochs": 7}, "fast": {}}


def test_answers_that_are_none() -> None:
    def other(handler: BaseHTTPRequestHandler) -> None:
        send(handler, 200, b'{"x": 1}', "application/json")

    with stand_in(other) as url:
        for call in (training.tasks, training.newest):
            with pytest.raises(ServerError, match="does not understand"):
                call(Client(url))
        with pytest.raises(ServerError, match="does not understand"):
            training.start(Client(url), "aligned", {}, threading.Event())
