"""What is answered on a port before the server has started."""

import http.client
import socket
import threading

import pytest
import requests

from slicerxai.server.starting import Starting


@pytest.fixture
def bound():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_every_request_is_told_to_come_again(bound, method):
    url = f"http://127.0.0.1:{bound.getsockname()[1]}/explain/saliency?wait=true"
    with Starting(bound):
        answer = requests.request(method, url, data=b"x" * 300_000, timeout=10)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    if method != "HEAD":
        assert answer.json()["status"] == 503
        assert "starting" in answer.json()["detail"]


def test_a_silent_client_holds_up_nobody_and_the_socket_is_handed_over(bound):
    port = bound.getsockname()[1]
    with Starting(bound) as starting, socket.create_connection(("127.0.0.1", port)):
        early = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        early.request("GET", "/")
        assert early.getresponse().status == 503
        starting.stop()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as late:
            late.sendall(b"GET / HTTP/1.0\r\n\r\n")
            bound.settimeout(10)
            taken, _ = bound.accept()  # by the server that follows
            with taken:
                assert taken.recv(100).startswith(b"GET /")


def test_who_asks_in_a_pause_is_answered_afterwards(bound):
    port = bound.getsockname()[1]
    with Starting(bound) as starting:
        with starting.paused():
            early = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            early.request("GET", "/")
            assert "starting" not in {thread.name for thread in threading.enumerate()}
        assert early.getresponse().status == 503
