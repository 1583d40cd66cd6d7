"""Reading the worklist and writing reviews, over HTTP, without MONAI Label's app and without a network."""

import json
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from small_server import FolderDatastore, make_app

from slicerxai.models.store import ModelStore, digest
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.server import worklist_routes
from slicerxai.server.sources import Sources
from slicerxai.server.worklist_schemas import ClassView
from slicerxai.server.worklist_store import Record, stamps
from slicerxai.server.worklists import Worklists
from tests.support.classifier import LABELS, store_alarm

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Place:
    """A home with the models "regions" (a classifier with an alarm), "fast" and "pair", over four images."""

    def __init__(self, root):
        self.root, self.studies = root, root / "studies"
        self.studies.mkdir()
        for name in ("a", "b", "c", "p_FLAIR", "p_T1"):
            (self.studies / f"{name}.nii.gz").write_bytes(name.encode())
        self.models, self.alarms = ModelStore(root / "models"), AlarmStore(root / "alarms")
        self.describe("regions", "classifier", ["FLAIR"], list(LABELS))
        self.describe("fast", "fast", ["FLAIR"], ["background", "lesion"])
        self.describe("pair", "classifier", ["FLAIR", "T1"], list(LABELS))
        self.alarm = store_alarm(self.alarms, "regions", self.digest("regions"))
        sources = Sources(FolderDatastore(self.studies), self.studies)
        self.worklists = Worklists(self.models, self.digest, sources, self.alarms)
        app = make_app(None, sources)
        app.include_router(worklist_routes.router)
        app.dependency_overrides[worklist_routes.server_worklists] = lambda: self.worklists
        self.client = TestClient(app, raise_server_exceptions=False)

    def describe(self, name, kind, channels, labels, provenance=None):
        content = {"name": name, "kind": kind, "channels": channels, "labels": labels, "provenance": provenance or {}}
        with self.models.create(name) as folder:
            (folder / "model.json").write_text(json.dumps(content))

    def digest(self, name):
        return digest(self.models.folder(name))

    def score(self, image, suspicion=0.5, alarm=None, error=None, model="regions"):
        classes = [
            ClassView(
                label=label,
                probability=0.7,
                predicted=label != "right",
                distinctiveness=1.0,
                suspicion=suspicion / len(LABELS),
                flagged=label == "left",
                reason=f"why {label}",
            )
            for label in LABELS
        ]
        found = {"error": error} if error else {"suspicion": suspicion, "classes": classes}
        files = stamps({"FLAIR": self.studies / f"{image}.nii.gz"})
        record = Record(image=image, files=files, alarm=alarm or self.alarm, time=NOW, **found)
        self.worklists.store.keep_record(self.digest(model), record)

    def get(self, model="regions"):
        answer = self.client.get("/explain/worklist", params={"model": model})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, image, **body):
        content = {"model": "regions", "digest": self.digest("regions"), "decision": "accepted"} | body
        return self.client.put(f"/explain/worklist/{image}", json=content)

    def item(self, image, model="regions"):
        return next(one for one in self.get(model)["items"] if one["image"] == image)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_the_list_of_a_classifier(place):
    place.score("b", 1.5)
    place.score("a", 0.2)
    place.score("c", error="c.nii.gz has no contrast")
    shown = place.get()
    assert (shown["model"], shown["digest"]) == ("regions", place.digest("regions"))
    assert (shown["kind"], shown["labels"], shown["scoring"]) == ("classifier", list(LABELS), False)
    alarm = shown["alarm"]
    assert alarm == {
        "id": place.alarm,
        "score": "distinctiveness",
        "rule": "threshold",
        "action": "review",
        "cases": 40,
    }
    assert [(one["image"], one["scored"]) for one in shown["items"]][:2] == [("b", True), ("a", True)]
    assert shown["items"][0]["suspicion"] == 1.5
    assert shown["items"][0]["classes"][0].keys() >= {"label", "probability", "predicted", "suspicion", "reason"}
    failed = place.item("c")
    assert (failed["scored"], failed["error"]) == (False, "c.nii.gz has no contrast")


def test_the_list_of_a_segmenter_without_an_alarm(place):
    shown = place.get("fast")
    assert (shown["kind"], shown["labels"], shown["alarm"]) == ("segmenter", ["lesion"], None)
    assert not any(one["scored"] for one in shown["items"])


def test_each_case_of_a_model_with_several_channels_is_there_once(place):
    items = {one["image"]: one["error"] for one in place.get("pair")["items"]}
    assert items.keys() == {"a", "b", "c", "p_FLAIR"}
    assert items["p_FLAIR"] is None
    assert "name the images by modality" in items["a"]


def test_the_model_may_be_left_out_when_there_is_one(place):
    answer = place.client.get("/explain/worklist")
    assert answer.status_code == 422
    assert answer.json()["accepted"] == ["fast", "pair", "regions"]


@pytest.mark.parametrize("change", ["alarm", "image", "model"])
def test_a_score_counts_for_its_alarm_image_and_model_alone(place, change):
    place.score("a", 0.2)
    assert place.item("a")["scored"]
    if change == "alarm":
        store_alarm(place.alarms, "regions", place.digest("regions"), seed=1)
    elif change == "image":
        (place.studies / "a.nii.gz").write_bytes(b"another examination")
    else:
        place.describe("regions", "classifier", ["FLAIR"], list(LABELS), {"trained": "again"})
    assert not place.item("a")["scored"]


def test_accepting_keeps_what_was_predicted_and_moves_the_image_back(place):
    place.score("a", 0.2)
    place.score("b", 1.5)
    answer = place.put("b", comment="as I see it – ü")
    assert answer.status_code == 200, answer.text
    kept = answer.json()["review"]
    assert kept["labels"] == {"left": True, "right": False, "middle": True}
    assert (kept["decision"], kept["comment"]) == ("accepted", "as I see it – ü")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(kept["time"])).total_seconds()) < 60
    shown = [one["image"] for one in place.get()["items"]]
    assert shown[0] == "a"
    assert shown[-1] == "b"


def test_a_correction_replaces_an_earlier_decision_and_can_be_undone(place):
    place.score("a")
    assert place.put("a", decision="wrong").json()["review"]["labels"] is None
    truth = dict.fromkeys(LABELS, True)
    corrected = place.put("a", decision="corrected", labels=truth).json()
    assert corrected["review"]["labels"] == truth
    undone = place.client.delete("/explain/worklist/a", params={"model": "regions"})
    assert (undone.status_code, undone.json()["review"]) == (200, None)
    again = place.client.delete("/explain/worklist/a", params={"model": "regions"})
    assert again.status_code == 200
    assert place.item("a")["review"] is None


def test_an_image_that_nobody_scored_can_be_corrected(place):
    answer = place.put("a", decision="corrected", labels=dict.fromkeys(LABELS, False))
    assert answer.status_code == 200
    assert not answer.json()["scored"]


def test_a_review_is_of_one_model_and_one_image(place):
    place.score("a")
    place.put("a")
    assert place.item("a", "fast")["review"] is None
    (place.studies / "a.nii.gz").write_bytes(b"another examination")
    assert place.item("a")["review"] is None


def test_reviewed_labels_are_the_newest_that_a_reader_gave(place):
    place.score("a")
    place.put("a")
    place.put("b", decision="corrected", labels=dict.fromkeys(LABELS, True))
    place.put("c", decision="wrong")
    assert place.worklists.reviewed_labels() == {
        "a": {"left": True, "right": False, "middle": True},
        "b": dict.fromkeys(LABELS, True),
    }
    place.describe("regions", "classifier", ["FLAIR"], list(LABELS), {"trained": "again"})
    place.put("b", decision="wrong")
    place.put("a", decision="corrected", labels=dict.fromkeys(LABELS, False))
    (place.studies / "b.nii.gz").write_bytes(b"another examination")
    assert place.worklists.reviewed_labels() == {"a": dict.fromkeys(LABELS, False)}


def test_a_segmenter_takes_no_labels(place):
    body = {"model": "fast", "digest": place.digest("fast")}
    assert place.put("a", **body, decision="corrected").status_code == 200
    assert place.put("a", **body, decision="wrong").json()["review"]["decision"] == "wrong"
    refused = place.put("a", **body, decision="corrected", labels={"lesion": True})
    assert refused.status_code == 422
    assert "PUT /datastore/label" in refused.json()["detail"]


ALL = dict.fromkeys(LABELS, True)
BAD = {
    "unknown image": ("nothing", {}, 404, "no image 'nothing'"),
    "a sibling of another modality": ("p_T1", {"model": "pair"}, 404, "no image 'p_T1'"),
    "a path": ("..%2F..%2Fetc%2Fpasswd", {}, 404, ""),
    "dots": ("..a", {}, 422, "never a path"),
    "control character": ("a%00b", {}, 422, "never a path"),
    "unknown model": ("a", {"model": "nothing"}, 404, "regions"),
    "model as a path": ("a", {"model": "../regions"}, 422, "bad model name"),
    "another digest": ("a", {"digest": "0" * 64}, 409, "fetch the worklist again"),
    "digest missing": ("a", {"digest": None}, 422, "digest"),
    "unknown decision": ("a", {"decision": "maybe"}, 422, "decision"),
    "nothing to accept": ("b", {"decision": "accepted"}, 409, "nothing to accept"),
    "correction without labels": ("a", {"decision": "corrected"}, 422, "left, right, middle"),
    "correction without one label": ("a", {"decision": "corrected", "labels": {"left": True}}, 422, "middle"),
    "label that is none": ("a", {"decision": "corrected", "labels": ALL | {"top": True}}, 422, "left, right, middle"),
    "label as text": ("a", {"decision": "corrected", "labels": ALL | {"left": "yes"}}, 422, "labels"),
    "label as number": ("a", {"decision": "corrected", "labels": ALL | {"left": 1}}, 422, "labels"),
    "labels as a list": ("a", {"decision": "corrected", "labels": [True]}, 422, "labels"),
    "labels with accepted": ("a", {"labels": ALL}, 422, "leave them out"),
    "labels with wrong": ("a", {"decision": "wrong", "labels": ALL}, 422, "leave them out"),
    "comment too long": ("a", {"comment": "x" * 5000}, 422, "comment"),
    "comment that is no text": ("a", {"comment": {"a": 1}}, 422, "comment"),
    "unknown field": ("a", {"reader": "me"}, 422, "reader"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_review(place, name):
    image, body, status, says = BAD[name]
    place.score("a")
    answer = place.put(image, **body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert str(place.root) not in answer.text
    assert not list((place.studies / "worklist").rglob("review/*"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"a"', b'{"comment": "\\ud800"}', b"\xff"])
def test_a_body_that_is_no_review(place, content):
    answer = place.client.put("/explain/worklist/a", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/explain/worklist?model=nothing", 404),
        ("GET", "/explain/worklist?model=", 422),
        ("GET", "/explain/worklist?model=" + "x" * 300, 422),
        ("DELETE", "/explain/worklist/nothing?model=regions", 404),
        ("DELETE", "/explain/worklist/a?model=nothing", 404),
        ("DELETE", "/explain/worklist/a", 422),
        ("POST", "/explain/worklist/a", 405),
        ("PUT", "/explain/worklist", 405),
    ],
)
def test_bad_request(place, method, path, status):
    answer = place.client.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_damaged_alarm_is_named(place):
    (path,) = (place.root / "alarms").rglob("*.json")
    path.write_text("{")
    answer = place.client.get("/explain/worklist", params={"model": "regions"})
    assert answer.status_code == 422
    assert "fit it again" in answer.json()["detail"]
