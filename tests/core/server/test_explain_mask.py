"""The expert's mask among what a request explains: the submitted label, its digest and its address."""

import hashlib
import time

import pytest
from fastapi.testclient import TestClient
from small_server import FolderDatastore, make_app, make_home, make_pool

from slicerxai.cli.explain import ExplainGroup
from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.errors import InputError
from slicerxai.explain.registry import METHODS
from slicerxai.server.cohorts import Cohorts
from slicerxai.server.schemas import ExplainRequest
from slicerxai.server.sources import Sources

PARAMETERS = {"steps": 1}


class LabelledDatastore(FolderDatastore):
    def get_label_uri(self, image, tag):
        path = self.folder / "labels" / tag / f"{image}.nii.gz"
        return str(path) if path.exists() else ""


@pytest.fixture
def place(tmp_path):
    make_home(tmp_path / "home")
    (tmp_path / "studies" / "labels" / "final").mkdir(parents=True)
    for name in ("case1", "case2"):
        (tmp_path / "studies" / f"{name}.nii.gz").write_bytes(name.encode())
    return tmp_path


@pytest.fixture
def pool(place):
    pool = make_pool(place / "home", workers=1)
    yield pool
    pool.shutdown()


@pytest.fixture
def client(place, pool):
    return TestClient(make_app(pool, Sources(LabelledDatastore(place / "studies"), place / "studies")))


def submitted(place, text):
    (place / "studies" / "labels" / "final" / "case1.nii.gz").write_bytes(text)


def key(client, method="counterfactual", image="case1"):
    return client.post(f"/explain/{method}", json={"image": image, "parameters": PARAMETERS}).json()["key"]


def test_the_submitted_label_is_part_of_the_address(client, place, pool, monkeypatch):
    seen = []
    submit = pool._submit_explanation
    monkeypatch.setattr(
        pool, "_submit_explanation", lambda work, request: (seen.append(work), submit(work, request))[1]
    )
    without = key(client)
    assert seen[-1].mask is None
    assert set(seen[-1].digests) == {"FLAIR"}
    submitted(place, b"first")
    first = key(client)
    assert seen[-1].mask.name == "case1.nii.gz"
    assert seen[-1].digests["mask"] == hashlib.sha256(b"first").hexdigest()
    submitted(place, b"second")
    assert len({without, first, key(client)}) == 3
    assert key(client, image="case2") not in {without, first}
    assert seen[-1].mask is None


def test_methods_that_compare_with_no_mask_do_not_get_one(client, place, pool):
    before = client.post("/explain/saliency", json={"image": "case1", "parameters": {"steps": 2}}).json()["key"]
    submitted(place, b"first")
    assert client.post("/explain/saliency", json={"image": "case1", "parameters": {"steps": 2}}).json()["key"] == before


def test_a_label_outside_of_the_studies_is_refused(place):
    (place / "secret.nii.gz").write_bytes(b"secret")
    link = place / "studies" / "labels" / "final" / "case1.nii.gz"
    link.symlink_to(place / "secret.nii.gz")
    sources = Sources(LabelledDatastore(place / "studies"), place / "studies")
    with pytest.raises(InputError, match="outside the folder"):
        sources.mask(ExplainRequest(image="case1"), ["FLAIR"])


def test_sources_without_a_label(place):
    submitted(place, b"label")
    sources = Sources(LabelledDatastore(place / "studies"), place / "studies")
    assert sources.mask(ExplainRequest(session="some"), ["FLAIR"]) is None
    assert sources.mask(ExplainRequest(image="case2"), ["FLAIR"]) is None
    images = {"T1": "case2", "FLAIR": "case1"}
    assert sources.mask(ExplainRequest(images=images), ["FLAIR", "T1"]).name == "case1.nii.gz"
    assert sources.mask(ExplainRequest(images=images), ["T1", "FLAIR"]) is None


def test_delete_stops_it(client, pool):
    job = client.post("/explain/counterfactual", json={"image": "case1", "parameters": {"steps": 2000}}).json()
    deadline = time.monotonic() + 60
    while client.get(f"/explain/jobs/{job['id']}").json()["state"] != "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.delete(f"/explain/jobs/{job['id']}").json()["state"] == "cancelled"


@pytest.mark.parametrize(
    ("raters", "chosen"),
    [(["1", "consensus", "2"], "consensus"), (["2"], "2"), (["1", "2"], None), ([], None)],
)
def test_the_mask_of_a_case_of_a_cohort(tmp_path, monkeypatch, raters, chosen):
    masks = {rater: tmp_path / f"{rater}.nii.gz" for rater in raters}
    for path in masks.values():
        path.write_bytes(b"mask")
    cohort = Cohort("some", (Case("one", {"FLAIR": tmp_path / "flair.nii.gz"}, masks),))
    monkeypatch.setattr(Cohorts, "read", lambda self, name: cohort)
    found = Cohorts(tmp_path).mask("some", "one")
    assert found == (None if chosen is None else masks[chosen])


def test_the_command_line_takes_a_mask_where_the_method_compares_with_one():
    group = ExplainGroup("explain")
    has = {name: any(one.name == "mask" for one in group.get_command(None, name).params) for name in METHODS}
    assert has == {name: name in {"counterfactual", "property"} for name in METHODS}
