"""The real server with logins, bound to every address, and a provider of tokens beside it."""

import io
import json
import sys

import nibabel as nib
import numpy as np
import pytest
import requests
from monailabel.client import MONAILabelClient
from monailabel.client.client import MONAILabelClientException

from slicerxai.server.access import TABLE, rule_of
from tests.support.issuer import CONFIGURATION, KEYS, Issuer
from tests.support.server import FRUGAL, Server

IMAGE = "Doe_Jane"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def issuer():
    with Issuer() as issuer:
        issuer.users["ada"] = (PASSWORD, ["annotator"])
        yield issuer


@pytest.fixture(scope="module")
def server(issuer, tmp_path_factory):
    root = tmp_path_factory.mktemp("logins")
    command = [sys.executable, "-m", "slicerxai.cli.main", "serve", str(root / "studies"), "--host", "0.0.0.0"]
    with Server(root, command=command, **FRUGAL, **issuer.environment) as running:
        yield running


def volume():
    content = nib.Nifti1Image(np.ones((8, 8, 8), np.float32), np.eye(4)).to_bytes()
    return {"file": ("scan.nii", io.BytesIO(content))}


def audited(server):
    return [json.loads(line) for line in (server.home / "audit" / "audit.jsonl").read_text().splitlines()]


def test_no_documented_route_answers_strangers(server):
    paths = server.request("GET", "/openapi.json").json()["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len(routes) > 40
    for method, template in routes:
        expected = 401 if rule_of(method, template).role else None
        path = template.replace("{", "").replace("}", "")
        for headers in ({}, {"Authorization": "Bearer garbage"}) if expected else ():
            answer = server.request(method, path, headers=headers)
            assert (answer.status_code, method, path) == (expected, method, path)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", [path for (method, path), rule in TABLE.items() if method == "GET" and not rule.role])
def test_public_pages_answer_strangers(server, path):
    answer = server.request("GET", path.replace("{name}", "start.js"))
    assert answer.status_code in ({200, 503} if path == "/health/ready" else {200})
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_each_role_does_its_own(server, issuer):
    def status(method, path, *roles, **options):
        return server.request(method, path, headers=issuer.headers(*roles), **options).status_code

    target = f"/datastore/image?image={IMAGE}"
    assert status("GET", "/info/") == 403  # known, but without a role
    assert status("GET", "/info/", "admin") == 200  # MONAI Label itself asks for the role "user" alone
    assert status("PUT", target, "user", files=volume()) == 403
    assert status("PUT", target, "annotator", files=volume()) == 200
    assert status("GET", target, "user") == 200
    assert status("DELETE", target, "reviewer") == 403
    assert status("POST", "/explain/saliency", "user", json={"image": IMAGE}) == 404  # no model here
    assert status("POST", "/reload", "admin") == 404
    assert status("GET", "/static/ohif/index.html", "admin") == 404


def test_the_audit_log_says_who_did_what_but_not_with_whose_study(server, issuer):
    server.request("PUT", f"/datastore/image?image={IMAGE}", headers=issuer.headers("annotator"), files=volume())
    server.request("GET", f"/datastore/image?image={IMAGE}", headers=issuer.headers("user", name="grace"))
    server.request("POST", "/explain/saliency", headers=issuer.headers("user"), json={"image": IMAGE})
    put, put_answered, got, _, explained = audited(server)[-5:]
    assert [put["event"], put_answered["event"]] == ["asked", "answered"]
    assert [(entry["user"], entry["method"], entry["status"]) for entry in (put_answered, got, explained)] == [
        ("ada", "PUT", 200),
        ("grace", "GET", 200),
        ("ada", "POST", 404),
    ]
    assert put["studies"] == got["studies"] == explained["studies"] != []
    kept = [path for path in (server.home, server.root) for path in path.rglob("*") if path.is_file()]
    token = issuer.token("user").split(".")[0]  # the header, which all tokens share
    outside = [path for path in set(kept) if not path.is_relative_to(server.studies)]
    assert any(path.name == "audit.jsonl" for path in outside)
    for path in outside:
        content = path.read_bytes()
        assert token.encode() not in content, path
        assert PASSWORD.encode() not in content, path
        assert IMAGE.encode() not in content, path


def test_a_full_disk_under_the_audit_log_stops_what_is_audited(server, issuer):
    file, aside = server.home / "audit" / "audit.jsonl", server.home / "audit" / "aside.jsonl"
    file.rename(aside)
    file.symlink_to("/dev/full")
    try:
        answer = server.request("GET", "/datastore/", headers=issuer.headers("user"))
        assert answer.status_code == 503
        assert "audit log" in answer.json()["detail"]
        assert server.request("GET", "/info/", headers=issuer.headers("user")).status_code == 200
    finally:
        file.unlink()
        aside.rename(file)
    assert server.request("GET", "/datastore/", headers=issuer.headers("user")).status_code == 200


def test_monai_labels_client_logs_in_with_a_password(server):
    client = MONAILabelClient(server.url)
    assert client.auth_enabled() is True
    token = client.auth_token("ada", PASSWORD)
    assert set(token) == {"access_token", "token_type"}
    client.update_auth(token)
    assert client.auth_valid_token()
    assert client.info()["name"] == "SlicerXAI"
    with pytest.raises(MONAILabelClientException, match="Status: 401"):
        client.auth_token("ada", "wrong")


def test_whose_token_it_is(server, issuer):
    user = server.request("GET", "/auth/token/valid", headers=issuer.headers("reviewer", name="grace")).json()
    assert (user["username"], user["email"]) == ("grace", "grace@hospital.example")
    assert user["roles"] == ["monailabel-reviewer", "monailabel-annotator", "monailabel-user"]


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        ((400, {"error": "unauthorized_client"}), 403, "no token for a password"),
        ((500, {}), 503, "answers 500"),
        ((200, ["no token"]), 503, "answers 200"),
    ],
)
def test_a_provider_without_passwords_is_said_so(server, issuer, monkeypatch, said, status, reason):
    monkeypatch.setattr(issuer, "password", lambda form: said)
    answer = server.request("POST", "/auth/token", data={"username": "ada", "password": PASSWORD})
    assert answer.status_code == status
    assert reason in answer.json()["detail"]
    assert PASSWORD not in answer.text


def test_pages_of_other_origins_get_nothing(server, issuer):
    evil = {"Origin": "https://evil.example"}
    ask = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    for answer in (
        server.request("GET", "/info/", headers=evil | issuer.headers("user")),
        server.request("OPTIONS", "/info/", headers=evil | ask),
        server.request("GET", "/docs", headers=evil),
    ):
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_the_provider_is_asked_seldom(issuer):
    assert issuer.requests[KEYS] <= 2
    assert issuer.requests[CONFIGURATION] <= 2


def test_other_machines_need_a_token(server, issuer):
    address = other_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    url = server.url.replace("127.0.0.1", address) + "/info/"
    assert requests.get(url, timeout=30).status_code == 401
    assert requests.get(url, headers=issuer.headers("user"), timeout=30).status_code == 200


def other_address():
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        found = probe.getsockname()[0]
    return None if found.startswith("127.") else found
