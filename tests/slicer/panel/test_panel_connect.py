"""The address is right, wrong, silent, guarded or not that of an explain server: what the user is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from PySide6 import QtCore
from server_fixtures import send, stand_in

from tests.support.server import free_port


@contextmanager
def answering(status: int, body: bytes = b"<html>hello</html>", content_type: str = "text/html") -> Iterator[str]:
    """Some other web server on a real port, which answers everything alike."""
    with stand_in(lambda handler: send(handler, status, body, content_type)) as url:
        yield url


def test_connects_and_says_what_the_server_has(user: Any, server: Any) -> None:
    assert "Not connected." in user.sees()
    user.connect_to(server.url)
    assert f"Server – connected to {server.url.split('//')[1]}" in user.sees()
    user.open_section("serverSection")
    assert "1 model, 1 study" in user.sees()
    assert user.ui.modelCombo.currentText == "tiny"
    assert not user.ui.tokenEdit.text


def test_enter_in_the_address_connects(user: Any, server: Any) -> None:
    user.type(user.ui.urlEdit, server.url)
    user.press(user.ui.urlEdit, QtCore.Qt.Key.Key_Return)
    user.waits_for("connected to")


def test_no_server_at_the_address(user: Any) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    user.connect_to(url)
    assert "Server – not connected" in user.sees()
    assert url in user.ui.serverState.text
    assert user.ui.connectButton.enabled


@pytest.mark.parametrize("text", ["nonsense", "ftp://somewhere", "http://", "http://exa mple:80", "http://[::1"])
def test_address_that_is_none(user: Any, text: str) -> None:
    user.connect_to(text)
    assert "Server – not connected" in user.sees()
    assert user.ui.connectButton.enabled


def test_without_an_address_the_button_says_why_it_is_off(user: Any) -> None:
    user.type(user.ui.urlEdit, " ")
    assert not user.ui.connectButton.enabled
    assert "address" in user.ui.connectButton.toolTip


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>hello</html>"), (404, b"nothing here"), (200, b"{}")])
def test_some_other_web_server(user: Any, status: int, body: bytes) -> None:
    with answering(status, body) as url:
        user.connect_to(url)
    assert "Server – not connected" in user.sees()
    assert "explain server" in user.sees()


def test_wrong_token_then_right_one(user: Any) -> None:
    with answering(401, b'{"detail": "Not authenticated"}', "application/json") as url:
        user.connect_to(url, token="wrong-token")
    assert "Server – not connected" in user.sees()
    assert "token" in user.ui.serverState.text.lower()
    assert "wrong-token" not in user.sees()


def test_another_address_disconnects(user: Any, server: Any) -> None:
    user.connect_to(server.url)
    user.open_section("serverSection")
    user.type(user.ui.urlEdit, server.url + "/other")
    assert "Not connected." in user.sees()
    assert not user.ui.studyButton.enabled
    assert user.ui.studyButton.toolTip == "Connect to the server first."


def test_editing_while_connecting_forgets_the_first_answer(user: Any, server: Any) -> None:
    user.type(user.ui.urlEdit, server.url)
    user.click(user.ui.connectButton)
    assert "Connecting" in user.sees()
    assert not user.ui.connectButton.enabled
    user.type(user.ui.urlEdit, "http://127.0.0.1:1")
    user.connect_to("http://127.0.0.1:1")
    assert "Server – not connected" in user.sees()


def test_the_token_is_never_kept(user: Any, server: Any, tmp_path: Any) -> None:
    import slicer

    user.connect_to(server.url, token="very-secret")
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Commit()
    assert "very-secret" not in (tmp_path / "scene.mrml").read_text()
    settings = slicer.app.settings()
    assert "very-secret" not in [str(settings.value(key)) for key in settings.allKeys()]
