"""The client against the real server, and against everything that may answer in its place."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from XAILib.client import Client
from XAILib.errors import ServerError, Stopped

from slicerxai.data.io import write_volume
from tests.conftest import spotted_brain
from tests.slicer.server_fixtures import STUDY, send, stand_in
from tests.support.server import free_port

HOUR = 3600.0
HTML = b"<html><body>It works!</body></html>"
PROBLEM = "application/problem+json"
CATALOGUE = json.dumps({"version": "1", "methods": [], "models": [], "unusable": {}}).encode()


def error_of(call: Callable[[], object]) -> ServerError:
    with pytest.raises(ServerError) as caught:
        call()
    assert caught.value.message == str(caught.value)
    assert caught.value.message.rstrip().endswith((".", ")"))
    return caught.value


@contextmanager
def silent() -> Iterator[str]:
    """Something that accepts connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    import ipaddress

    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return files


# --- the real server -------------------------------------------------------------------------------------------------


def test_catalogue_and_studies(server: Any) -> None:
    client = Client(server.url + "/")
    catalogue = client.catalogue()
    assert "saliency" in [method.name for method in catalogue.methods]
    (model,) = catalogue.models
    assert (model.name, model.channels, model.labels[0]) == ("tiny", ("FLAIR",), "background")
    assert STUDY in client.studies()


def test_upload_gives_a_session_that_can_be_removed(server: Any, tmp_path: Path) -> None:
    write_volume(tmp_path / "FLAIR.nrrd", spotted_brain(seed=12)[0])
    seen = []
    client = Client(server.url)
    session = client.upload([tmp_path / "FLAIR.nrrd"], threading.Event(), lambda *progress: seen.append(progress))
    assert requests.get(f"{server.url}/session/{session}").json()["expiry"] == 3600
    assert requests.get(f"{server.url}/session/{session}?image=true").content == (tmp_path / "FLAIR.nrrd").read_bytes()
    client.remove_session(session)
    client.remove_session(session)
    assert requests.get(f"{server.url}/session/{session}").status_code == 404
    assert all(0 <= fraction <= 1 for fraction, _, _ in seen)


def test_several_files_make_one_session(server: Any, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.nii.gz" for name in ("FLAIR", "T1", "T2")]
    for seed, path in enumerate(paths):
        write_volume(path, spotted_brain(seed)[0])
    session = Client(server.url).upload(paths)
    found = requests.get(f"{server.url}/session/{session}").json()["image"]
    folder = server.home / "sessions" / found
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda client: client.submit("sorcery", {"image": STUDY}), "saliency"),
        (lambda client: client.submit("saliency", {"image": "nobody"}), "nobody"),
        (lambda client: client.submit("saliency", {"image": "../evil"}), "never a path"),
        (lambda client: client.submit("saliency", {"session": "gone"}), "PUT /session/"),
        (lambda client: client.submit("saliency", {"image": STUDY}, "huge"), "tiny"),
        (lambda client: client.submit("saliency", {"image": STUDY}, None, {"steps": 0}), "steps"),
        (lambda client: client.submit("saliency", {"image": STUDY}, None, {"metod": "lrp"}), "metod"),
        (lambda client: client.job("../../info"), "no route"),
        (lambda client: client.job("nothing"), "no job"),
        (lambda client: client.cancel("nothing"), "no job"),
        (lambda client: client.result("nothing"), "no job"),
        (lambda client: client.report("nothing"), "no job"),
    ],
)
def test_what_the_server_refuses_is_passed_on_in_its_words(server: Any, call: Any, words: str) -> None:
    error = error_of(lambda: call(Client(server.url)))
    assert error.kind == "refused"
    assert 400 <= error.status < 500
    assert words in error.message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("FLAIR.nrrd", b"NRRD0005\n", "FLAIR.nrrd"), ("FLAIR.dcm", b"x", ".nrrd"), ("FLAIR.nii.gz", b"", "FLAIR.nii.gz")],
)
def test_unusable_uploads(server: Any, tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    error = error_of(lambda: Client(server.url).upload([tmp_path / name]))
    assert error.kind == "refused"
    assert words in error.message


def test_too_large_an_upload_is_told(new_server: Any, tmp_path: Path) -> None:
    path = tmp_path / "FLAIR.nii"
    path.write_bytes(bytes(3_000_000))
    with new_server(SLICERXAI_UPLOAD_LIMIT="1000000") as small:
        error = error_of(lambda: Client(small.url).upload([path]))
    assert (error.kind, error.status) == ("refused", 413)
    assert "1000000" in error.message


def test_a_missing_file_and_a_name_that_cannot_be_sent(server: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="FLAIR"):
        Client(server.url).upload([tmp_path / "FLAIR.nrrd"])
    path = tmp_path / 'a"b\n.nrrd'
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match="cannot be sent"):
        Client(server.url).upload([path])


# --- addresses and tokens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "127.0.0.1:8000", "ftp://host", "file:///etc/passwd", "http://", "http://host:99999",
     "http://host:port", "http://[::1", "http://user:secret@host", "http://host/?a=b", "http://host/#x", "http://a b"],
)  # fmt: skip
def test_addresses_that_cannot_be_one(url: str) -> None:
    error = error_of(lambda: Client(url))
    assert error.kind == "unreachable"
    assert "http://" in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize("token", ["two words", "new\nline", "ümlaut", "a\x00b"])
def test_tokens_that_cannot_be_sent(token: str) -> None:
    assert error_of(lambda: Client("http://host", token)).kind == "unauthorised"


def test_certificates_are_always_checked() -> None:
    with pytest.raises(ValueError, match="verify"):
        Client("https://host", verify=False)


def test_the_token_is_sent_and_nothing_of_a_netrc_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # this machine is asked directly
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers.get("Authorization"))
        send(handler, 200, CATALOGUE, "application/json")

    with stand_in(answer) as url:
        Client(url).catalogue()
        Client(url, " abc.def ").catalogue()
    assert seen == [None, "Bearer abc.def"]


def test_a_redirect_is_told_and_the_token_goes_nowhere_else() -> None:
    seen = []
    with (
        stand_in(seen.append) as other,
        stand_in(lambda handler: send(handler, 302, b"", "text/html", Location=other)) as url,
    ):
        error = error_of(Client(url, "secret").catalogue)
    assert error.kind == "not_explain_server"
    assert other in error.message
    assert seen == []


# --- who answers instead ---------------------------------------------------------------------------------------------


def test_nothing_listens() -> None:
    error = error_of(Client(f"http://127.0.0.1:{free_port()}").catalogue)
    assert error.kind == "unreachable"
    assert "Nothing listens" in error.message


def test_no_such_computer() -> None:
    error = error_of(Client("http://no-such-computer.invalid").catalogue)
    assert error.kind == "unreachable"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_server(scheme: str) -> None:
    with silent() as address:
        error = error_of(Client(f"{scheme}://{address}", timeout=0.5).catalogue)
    assert error.kind == "timeout"


def test_a_dribbling_server_is_given_up() -> None:
    def dribble(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            handler.wfile.write(b" ")
            time.sleep(0.05)

    with stand_in(dribble) as url:
        assert error_of(Client(url, timeout=0.4).catalogue).kind == "timeout"


def test_an_endless_answer_is_cut() -> None:
    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(bytes(1_000_000))

    with stand_in(flood) as url:
        assert error_of(Client(url).catalogue).kind == "not_explain_server"


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (200, HTML, "text/html"),
        (404, HTML, "text/html"),
        (404, b'{"detail": "Not Found"}', "application/json"),  # MONAI Label alone
        (200, b"[]", "application/json"),
        (200, b'{"version": 1}', "application/json"),
        (200, b'{"version": "1", "methods": [{}], "models": []}', "application/json"),
        (405, b"", "text/plain"),
    ],
)
def test_some_other_web_server(status: int, body: bytes, content_type: str) -> None:
    with stand_in(lambda handler: send(handler, status, body, content_type)) as url:
        error = error_of(Client(url).catalogue)
    assert error.kind == "not_explain_server"
    assert url in error.message


def test_not_a_web_server() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def greet() -> None:
            connection, _ = listening.accept()
            connection.recv(1000)
            connection.sendall(b"220 mail.example ESMTP\r\n")
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        error = error_of(Client(f"http://127.0.0.1:{listening.getsockname()[1]}").catalogue)
        thread.join()
    assert error.kind == "not_explain_server"


def test_self_signed_certificate(certificate: tuple[Path, Path]) -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.path)
        send(handler, 200, CATALOGUE, "application/json")

    with stand_in(answer, certificate) as url:
        error = error_of(Client(url, "secret").catalogue)
        assert error.kind == "tls"
        assert "not trusted" in error.message
        assert seen == []
        assert Client(url, verify=certificate[0]).catalogue().version == "1"
        other_name = url.replace("127.0.0.1", "localhost")
        assert error_of(Client(other_name, verify=certificate[0]).catalogue).kind == "tls"


def test_the_wrong_one_of_http_and_https(certificate: tuple[Path, Path]) -> None:
    with stand_in(lambda handler: send(handler, 200, CATALOGUE, "application/json")) as url:
        error = error_of(Client(url.replace("http", "https")).catalogue)
        assert error.kind == "tls"
        assert "http://" in error.message
    with stand_in(lambda handler: None, certificate) as url:
        assert error_of(Client(url.replace("https", "http")).catalogue).kind in {"unreachable", "not_explain_server"}
    assert ssl.OPENSSL_VERSION


@pytest.mark.parametrize(
    ("status", "detail", "token", "words"),
    [
        (401, "Could not validate credentials", "wrong", "does not accept the token"),
        (401, "Not authenticated", "", "asks for a token"),
        (403, "Role monailabel-user is needed", "right", "Role monailabel-user is needed."),
    ],
)
def test_refused_tokens(status: int, detail: str, token: str, words: str) -> None:
    """By a stand-in for a server with logins, which need an OpenID provider."""
    body = json.dumps({"detail": detail}).encode()
    with stand_in(lambda handler: send(handler, status, body, "application/json")) as url:
        client = Client(url, token)
        for call in (client.catalogue, client.studies, lambda: client.submit("saliency", {"image": "x"})):
            error = error_of(call)
            assert (error.kind, error.status) == ("unauthorised", status)
            assert words in error.message
            assert "wrong" not in error.message or token != "wrong" or "is wrong" in error.message


@pytest.mark.parametrize(
    ("header", "seconds", "words"),
    [({"Retry_After": "10"}, 10, "in 10 seconds"), ({}, None, "later"), ({"Retry_After": "soon"}, None, "later")],
)
def test_too_many_jobs(header: dict[str, str], seconds: float | None, words: str) -> None:
    body = json.dumps({"detail": "64 jobs wait already"}).encode()
    with stand_in(lambda handler: send(handler, 429, body, PROBLEM, **header)) as url:
        error = error_of(lambda: Client(url).submit("saliency", {"image": "x"}))
    assert (error.kind, error.status, error.retry_after) == ("refused", 429, seconds)
    assert "64 jobs wait already" in error.message
    assert words in error.message


@pytest.mark.parametrize(
    ("body", "words"),
    [(b'{"detail": "incident 12ab"}', "incident 12ab"), (b"Internal Server Error", "500"), (b'{"detail": 3}', "500")],
)
def test_faults_of_the_server(body: bytes, words: str) -> None:
    with stand_in(lambda handler: send(handler, 500, body, PROBLEM)) as url:
        error = error_of(Client(url).catalogue)
    assert (error.kind, error.status) == ("server_fault", 500)
    assert words in error.message


def test_validation_errors_in_the_form_of_fastapi() -> None:
    body = json.dumps({"detail": [{"loc": ["body"], "msg": "Field required"}]}).encode()
    with stand_in(lambda handler: send(handler, 422, body, "application/json")) as url:
        assert "Field required" in error_of(lambda: Client(url).submit("saliency", {})).message


@pytest.mark.parametrize("call", ["catalogue", "studies", "jobs"])
def test_a_connection_that_breaks(call: str) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    for answer in (cut, lambda handler: None):
        with stand_in(answer) as url:
            assert error_of(getattr(Client(url), call)).kind == "unreachable"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"id": 1}', b"null", b'{"session_id": 3}', b'{"objects": []}'])
def test_answers_that_are_not_understood(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "FLAIR.nrrd").write_bytes(b"x")
    with stand_in(lambda handler: send(handler, 200, body, "application/json")) as url:
        client = Client(url)
        calls = [client.studies, lambda: client.job("1"), lambda: client.submit("saliency", {"image": "x"})]
        calls += [lambda: client.upload([tmp_path / "FLAIR.nrrd"]), lambda: client.report("1")]
        calls += [lambda: client.result("1"), lambda: client.cancel("1")]
        for call in calls:
            assert error_of(call).kind == "not_explain_server"


# --- stopping --------------------------------------------------------------------------------------------------------


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Client]:
    """Makes clients that would wait for a silent server for an hour."""
    monkeypatch.setattr("XAILib.connection.CONNECT_SECONDS", HOUR)
    monkeypatch.setattr("XAILib.connection.TRANSFER_SECONDS", HOUR)
    return lambda url: Client(url, timeout=HOUR)


def stop_ends(call: Callable[[threading.Event], object], delay: float = 0.3) -> None:
    """Setting the event ends the call, by `Stopped`."""
    stop = threading.Event()
    ended: list[BaseException | None] = []

    def work() -> None:
        try:
            call(stop)
        except BaseException as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(delay)
    assert not ended
    stop.set()
    thread.join(60)
    assert [type(error) for error in ended] == [Stopped]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_stop_while_a_server_is_silent(scheme: str, patient: Callable[[str], Client], tmp_path: Path) -> None:
    path = tmp_path / "FLAIR.nii"
    path.write_bytes(bytes(50_000_000))
    with silent() as address:
        client = patient(f"{scheme}://{address}")
        for call in (
            client.catalogue,
            client.studies,
            lambda stop: client.job("1", stop),
            lambda stop: client.result("1", stop),
            lambda stop: client.report("1", stop),
            lambda stop: client.upload([path], stop),
        ):
            stop_ends(call)
    assert [t.name for t in threading.enumerate() if t.name.startswith("XAILib")] == []


def test_stop_in_the_middle_of_a_download() -> None:
    def dribble(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            handler.wfile.write(bytes(1000))
            time.sleep(0.01)

    seen: list[float] = []
    with stand_in(dribble) as url:
        client = Client(url)
        progress = lambda fraction, message, eta: seen.append(fraction)  # noqa: E731
        stop_ends(lambda stop: client.result("1", stop, progress))
    assert seen
    assert seen == sorted(seen)


def test_stop_beforehand_sends_nothing() -> None:
    stop = threading.Event()
    stop.set()
    seen: list[object] = []
    with stand_in(seen.append) as url, pytest.raises(Stopped):
        Client(url).catalogue(stop)
    assert seen == []


@pytest.mark.parametrize("late", [False, True])
def test_a_job_that_is_accepted_after_the_stop_is_cancelled(late: bool) -> None:
    """By a stand-in that is slow to accept: within or after the time that the caller waits for it."""
    accepts, cancelled = threading.Event(), threading.Event()
    job = {"id": "17", "state": "queued", "fraction": 0, "message": "", "eta": None, "error": None, "request": {}}
    body = json.dumps({**job, "key": ""}).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "DELETE" and handler.path == "/explain/jobs/17":
            cancelled.set()
        else:
            accepts.wait()
        send(handler, 200, body, "application/json")

    with stand_in(answer) as url:
        client = Client(url)
        if not late:
            threading.Timer(0.6, accepts.set).start()
        stop_ends(lambda stop: client.submit("saliency", {"image": "x"}, stop=stop))
        accepts.set()
        assert cancelled.wait(60)
        while any(thread.name.startswith("XAILib") for thread in threading.enumerate()):
            time.sleep(0.01)


def test_upload_tells_how_far_it_is() -> None:
    def slow(handler: BaseHTTPRequestHandler) -> None:
        left = int(handler.headers["Content-Length"])
        while left > 0:
            left -= len(handler.rfile.read1(min(left, 1_000_000)))
            time.sleep(0.005)
        send(handler, 200, b'{"session_id": "abc"}', "application/json")

    import tempfile

    with stand_in(slow) as url, tempfile.NamedTemporaryFile(suffix=".nii") as file:
        np.random.default_rng(0).integers(0, 255, 30_000_000, dtype=np.uint8).tofile(file)
        file.flush()
        seen: list[float] = []
        progress = lambda fraction, message, eta: seen.append(fraction)  # noqa: E731
        assert Client(url).upload([Path(file.name)], None, progress) == "abc"
    assert seen == sorted(seen)
    assert any(0.1 < fraction < 0.9 for fraction in seen)
