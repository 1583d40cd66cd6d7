"""The review loop through the real server: next sample, worklist, scoring, decisions, a crash, and a start again."""

import json
import time

import numpy as np
import psutil
import pytest

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.explain.multipart import decode
from slicerxai.models.store import ModelStore
from slicerxai.monitoring.alarm_store import AlarmStore
from tests.support.classifier import LABELS, store_alarm, store_classifier
from tests.support.server import FRUGAL, Server

IMAGES = ("one", "two", "three")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("review"), **FRUGAL)
    for number, name in enumerate(IMAGES):
        array = np.zeros((20, 22, 18), np.float32)
        array[3:-3, 3:-3, 3:-3] = np.random.default_rng(number).normal(100, 10, (14, 16, 12))
        write_volume(server.studies / f"{name}.nii.gz", Volume(array, np.diag([4.0, 4, 4, 1])))
    (server.studies / "broken.nii.gz").write_text("no image")
    models = ModelStore(server.home / "models")
    server.digest = store_classifier(models, "regions")
    store_classifier(models, "silent", seed=1)
    server.alarm = store_alarm(AlarmStore(server.home / "alarms"), "regions", server.digest)
    with server:
        yield server


def worklist(server):
    answer = server.request("GET", "/explain/worklist?model=regions")
    assert answer.status_code == 200, answer.text
    return answer.json()


def until(condition, seconds=300):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def halt_scoring(server):
    """Stop the process that scores while it still imports, so that it neither ends nor scores before it is killed."""

    def found():
        children = psutil.Process(server.process.pid).children(recursive=True)
        return [child for child in children if "monailabel.interfaces.utils.app" in child.cmdline()]

    until(found)
    found()[0].suspend()
    until(lambda: server.request("GET", "/scoring/").json()["status"] == "RUNNING")


def decide(server, image, **body):
    known = {"model": "regions", "digest": server.digest, "decision": "accepted"}
    return server.request("PUT", f"/explain/worklist/{image}", json=known | body)


def next_sample(server):
    return server.request("POST", "/activelearning/suspicion", json={"model": "regions"})


REFUSED = [
    ("POST", "/scoring/quality", {"model": "silent"}, 409, "slicerxai alarm silent COHORT"),
    ("POST", "/scoring/quality", {"model": "nothing"}, 404, "regions"),
    ("POST", "/scoring/quality", {"model": ["regions"]}, 422, "text is accepted"),
    ("POST", "/scoring/quality", {}, 422, "several models"),
    ("POST", "/scoring/quality", {"model": "regions", "y": "final"}, 422, "unknown parameters y"),
    ("POST", "/scoring/quality?run_sync=true", {"model": "regions"}, 422, "run_sync"),
    ("POST", "/activelearning/suspicion", {"model": "nothing"}, 404, "regions"),
    ("POST", "/activelearning/suspicion", {"model": 3}, 422, "text is accepted"),
    ("POST", "/activelearning/suspicion", {}, 422, "several models"),
    ("POST", "/activelearning/uncertainty", {"model": "regions"}, 422, "suspicion"),
    ("POST", "/infer/regions?image=one", None, 422, "/explain/quality"),
    ("POST", "/batch/infer/regions", {}, 422, "/explain/quality"),
    ("POST", "/explain/quality", {"image": "one", "model": "regions", "parameters": {"alarm": "0" * 12}}, 404, "alarm"),
    ("POST", "/explain/quality", {"image": "one", "model": "regions", "parameters": {"alarm": "../x"}}, 422, "alarm"),
    ("GET", "/explain/worklist?model=../regions", None, 422, "bad model name"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "says"), REFUSED)
def test_refused(running, method, path, body, status, says):
    answer = running.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert says in answer.text
    assert str(running.root) not in answer.text


def test_the_server_alone_writes_reviews_into_the_information_of_an_image(running):
    for key in ("review", "quality"):
        data = {"info": json.dumps({key: {}})}
        answer = running.request("PUT", "/datastore/image/info?image=one", data=data)
        assert answer.status_code == 422, answer.text


def test_the_loop(running):
    first = next_sample(running).json()
    assert first["id"] == "broken"
    assert "POST /scoring/quality" in first["reason"]
    before = worklist(running)
    assert (before["kind"], before["labels"], before["scoring"]) == ("classifier", list(LABELS), False)
    assert before["alarm"]["id"] == running.alarm
    assert not any(item["scored"] for item in before["items"])

    started = running.request("POST", "/scoring/quality", json={"model": "regions"})
    assert started.status_code == 200, started.text
    halt_scoring(running)
    assert worklist(running)["scoring"]
    assert running.request("POST", "/scoring/quality", json={"model": "regions"}).status_code == 429
    assert running.request("GET", "/scoring/").json()["status"] == "RUNNING"
    assert running.request("DELETE", "/scoring/").json()["status"] == "STOPPED"
    assert not worklist(running)["scoring"]

    assert running.request("POST", "/scoring/quality", json={"model": "regions"}).status_code == 200
    until(lambda: not worklist(running)["scoring"])
    task = running.request("GET", "/scoring/").json()
    assert task["status"] == "DONE", task["details"]
    scored = worklist(running)["items"]
    assert [item["scored"] for item in scored] == [True, True, True, False]
    assert "broken" in scored[-1]["error"]
    suspicion = [item["suspicion"] for item in scored[:3]]
    assert suspicion == sorted(suspicion, reverse=True)

    top = scored[0]["image"]
    chosen = next_sample(running).json()
    assert (chosen["id"], chosen["model"]) == (top, "regions")
    assert chosen["score"] == pytest.approx(suspicion[0])
    assert scored[0]["classes"][0]["reason"].split(":")[0] in chosen["reason"]
    truth = {label: not part["predicted"] for label, part in zip(LABELS, scored[0]["classes"], strict=True)}
    corrected = decide(running, top, decision="corrected", labels=truth, comment="seen on T1")
    assert corrected.status_code == 200, corrected.text
    assert decide(running, scored[1]["image"]).status_code == 200
    assert next_sample(running).json()["id"] == scored[2]["image"]
    assert decide(running, scored[1]["image"], digest="0" * 64).status_code == 409
    seen = worklist(running)

    running.kill()  # as a crash would end it, right after the answer
    running.start()
    assert worklist(running) == seen
    assert seen["items"][-2]["review"]["labels"] == truth
    info = running.request("GET", f"/datastore/image/info?image={top}").json()
    assert info["review"][running.digest]["review"]["comment"] == "seen on T1"
    assert info["quality"][running.digest]["alarm"] == running.alarm
    undone = running.request("DELETE", f"/explain/worklist/{top}?model=regions")
    assert undone.json()["review"] is None
    assert next_sample(running).json()["id"] == top
    assert running.request("GET", "/info/").json()["models"] == {}, "a classifier draws no mask"


def test_a_result_is_of_the_alarm_that_was_the_newest_when_it_was_asked_for(running):
    body = {"image": "one", "model": "regions"}
    first = running.request("POST", "/explain/quality?wait=true", json=body)
    assert first.status_code == 200, first.text
    shown = decode(first.content, first.headers["content-type"])
    assert shown.parameters["alarm"] == running.alarm
    assert {f"saliency_{label}" for label in LABELS} <= shown.overlays.keys()
    key = running.newest_job()["key"]
    running.request("POST", "/explain/quality?wait=true", json=body)
    assert running.newest_job()["message"] == "from the store"
    newer = store_alarm(AlarmStore(running.home / "alarms"), "regions", running.digest, seed=1)
    again = running.request("POST", "/explain/quality?wait=true", json=body)
    assert decode(again.content, again.headers["content-type"]).parameters["alarm"] == newer
    assert running.newest_job()["key"] != key
    older = running.request("POST", "/explain/quality", json=body | {"parameters": {"alarm": running.alarm}})
    assert older.json()["key"] == key
