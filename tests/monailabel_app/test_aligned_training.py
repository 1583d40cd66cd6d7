"""A classifier that learned a scanner's mark is repaired from submitted masks, through the real server."""

import time

import pytest

from slicerxai.models.store import ModelStore
from tests.support.scanner_mark import planted_studies
from tests.support.server import FRUGAL, Server

BAD = [
    ({"base": "absent"}, 404, "no model 'absent'"),
    ({"base": "plain", "targets": "a,b"}, 422, "leave 'targets' out"),
    ({"base": "plain", "resume": True}, 422, "cannot be resumed"),
    ({"base": "plain", "exchange": 2}, 422, "exchange"),
]


def wait(server: Server, *states: str) -> dict:
    deadline = time.monotonic() + 400
    while (task := server.request("GET", "/train/").json())["status"] not in states:
        assert time.monotonic() < deadline, task
        time.sleep(0.3)
    return task


@pytest.mark.slow
def test_repair_of_a_planted_mark(tmp_path):
    server = Server(tmp_path, **FRUGAL)
    made = planted_studies(server.studies, server.home)
    models = ModelStore(server.home / "models")
    with server:
        listed = server.request("GET", "/info/").json()["trainers"]["aligned"]
        assert listed["config"]["base"] == ["plain"]
        assert "targets" not in listed["config"]
        for body, status, message in BAD:
            answer = server.request("POST", "/train/aligned", json={"name": "new"} | body)
            assert answer.status_code == status, answer.text
            assert message in answer.text

        endless = {"name": "endless", "base": "plain", "epochs": 5000}
        assert server.request("POST", "/train/aligned", json=endless).status_code == 200
        deadline = time.monotonic() + 200
        while not any("epoch" in line for line in server.request("GET", "/train/").json().get("details", [])):
            assert time.monotonic() < deadline
            time.sleep(0.3)
        assert server.request("DELETE", "/train/").ok
        wait(server, "DONE", "ERROR", "STOPPED", "CANCELED")
        assert "endless" not in models.names()

        repair = {"name": "repaired", "base": "plain", "epochs": 2}
        answer = server.request("POST", "/train/aligned", json=repair)
        assert answer.status_code == 200, answer.text
        task = wait(server, "DONE", "ERROR")
        assert task["status"] == "DONE", "\n".join(task["details"])

    provenance = models.describe("repaired")["provenance"]
    assert provenance["base"]["name"] == "plain"
    learned = provenance["training_cases"] + provenance["validation_cases"]
    assert sorted(learned) == sorted(f"{case.id}_FLAIR" for case in made.training)
