"""A sequence of images among what a request explains: files, digests and address, and who takes one."""

import hashlib
import json

import pytest
from fastapi.testclient import TestClient
from small_server import FolderDatastore, make_app, make_pool

from slicerxai.cli.explain import ExplainGroup
from slicerxai.explain.registry import METHODS
from slicerxai.server.sources import Sources

PARAMETERS = {"properties": ["recorded"]}


class UnlabelledDatastore(FolderDatastore):
    def get_label_uri(self, image, tag):
        return ""


@pytest.fixture
def place(home, studies):
    two = home / "models" / "two"
    two.mkdir()
    described = {"name": "two", "kind": "fast", "channels": ["FLAIR", "T1"], "labels": ["background", "lesion"]}
    (two / "model.json").write_text(json.dumps(described))
    return home


@pytest.fixture
def works(place, monkeypatch):
    """What is submitted; nothing is computed."""
    pool = make_pool(place, workers=1)
    seen = []
    submit = pool._submit_explanation
    monkeypatch.setattr(
        pool, "_submit_explanation", lambda work, request: (seen.append(work), submit(work, request))[1]
    )
    yield pool, seen
    pool.shutdown()


@pytest.fixture
def post(works, studies):
    pool, _ = works
    client = TestClient(make_app(pool, Sources(UnlabelledDatastore(studies), studies)))

    def send(method="property", **body):
        values = {"image": "case1", "model": "tiny", "parameters": PARAMETERS if method == "property" else {}} | body
        return client.post(f"/explain/{method}", json=values)

    return send


def test_the_files_of_a_sequence_are_part_of_the_address_in_their_order(post, works):
    _, seen = works
    keys = {post(sequence=names).json()["key"] for names in (["case1", "case2"], ["case2", "case1"], ["case2"])}
    assert len(keys) == 3
    first = seen[0]
    assert [path.name for path in first.sequence] == ["case1.nii.gz", "case2.nii.gz"]
    assert first.digests["sequence_2"] == hashlib.sha256(b"two").hexdigest()
    assert post().json()["key"] not in keys
    assert seen[-1].sequence == ()
    job = post(sequence=["case1", "case2"]).json()
    assert job["request"]["sequence"] == ["case1", "case2"], "it can be sent again"


@pytest.mark.parametrize(
    ("method", "body", "status", "message"),
    [
        ("saliency", {"sequence": ["case1"]}, 422, "follows no sequence"),
        ("property", {"sequence": ["nothing"]}, 404, "no image 'nothing'"),
        ("property", {"sequence": ["../case1"]}, 422, "never a path"),
        ("property", {"sequence": ["case1"] * 257}, 422, "256"),
        (
            "property",
            {"image": None, "images": {"FLAIR": "case1", "T1": "case2"}, "model": "two", "sequence": ["case1"]},
            422,
            "the model needs FLAIR, T1",
        ),
    ],
)
def test_refusals(post, method, body, status, message):
    answer = post(method, **body)
    assert answer.status_code == status
    assert message in answer.text


def test_the_command_line_takes_a_sequence_where_the_method_follows_one():
    group = ExplainGroup("explain")
    has = {name: any(one.name == "sequence" for one in group.get_command(None, name).params) for name in METHODS}
    assert has == {name: name == "property" for name in METHODS}
