"""Cohorts by name: what is listed, what is refused, and jobs that explain a model on one."""

import json
import os
import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from small_server import FolderDatastore, make_app, make_home, make_pool

from slicerxai.data import digests
from slicerxai.errors import InputError, NotFoundError
from slicerxai.server.cohorts import Cohorts, describe, server_cohorts
from slicerxai.server.sources import Sources
from tests.support.cohort_method import NAME, write_cohort

WAIT = 60
SOURCE = {"where": {"centre": {"values": ["01"]}}, "rater": "1"}
TARGET = {"where": {"age": {"minimum": 33}}, "rater": "2"}


def body(**changes):
    return {"cohort": "patients", "parameters": {"source": SOURCE, "target": TARGET, "steps": 2}} | changes


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    make_home(place / "home")
    (place / "studies").mkdir()
    (place / "studies" / "case1.nii.gz").write_bytes(b"one")
    cohorts = place / "cohorts"
    write_cohort(cohorts / "patients")
    write_cohort(cohorts / "only T1", modality="T1")
    write_cohort(place / "outside")
    (cohorts / "empty").mkdir()
    (cohorts / "damaged").mkdir()
    (cohorts / "damaged" / "cases.csv").write_text("case_id,FLAIR\na,x.nii.gz,3\n")
    (cohorts / "linked").symlink_to(place / "outside", target_is_directory=True)
    write_cohort(cohorts / "one link out")
    (cohorts / "one link out" / "p0_image.nii.gz").unlink()
    (cohorts / "one link out" / "p0_image.nii.gz").symlink_to(place / "outside" / "p0_image.nii.gz")
    write_cohort(cohorts / "table out")
    (cohorts / "table out" / "cases.csv").unlink()
    (cohorts / "table out" / "cases.csv").symlink_to(place / "outside" / "cases.csv")
    (cohorts / "linked within").symlink_to(cohorts / "patients", target_is_directory=True)
    write_cohort(cohorts / ".hidden")
    (cohorts / "README.txt").write_text("no folder")
    write_cohort(cohorts / "twice")
    table = cohorts / "twice" / "cases.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[-1] + "\n")
    return place


@pytest.fixture(scope="module")
def cohorts(place):
    return Cohorts(place / "cohorts")


@pytest.fixture(scope="module")
def pool(place):
    pool = make_pool(place / "home")
    yield pool
    pool.shutdown()


@pytest.fixture
def client(place, pool, cohorts, cohort_method):
    app = make_app(pool, Sources(FolderDatastore(place / "studies"), place / "studies"))
    app.dependency_overrides[server_cohorts] = lambda: cohorts
    return TestClient(app, raise_server_exceptions=False)


def finished(client, job):
    deadline = time.monotonic() + WAIT
    while client.get(f"/explain/jobs/{job['id']}").json()["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return client.get(f"/explain/jobs/{job['id']}").json()


def running(client, job):
    deadline = time.monotonic() + WAIT
    while client.get(f"/explain/jobs/{job['id']}").json()["state"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_listing_is_what_a_panel_needs(client, place):
    answer = client.get("/explain/cohorts")
    assert answer.status_code == 200
    content = answer.json()
    assert [view["name"] for view in content["cohorts"]] == ["linked within", "only T1", "patients", "twice"]
    patients = content["cohorts"][2]
    assert patients == {
        "name": "patients",
        "cases": 6,
        "modalities": {"FLAIR": 6},
        "raters": {"1": 6, "2": 6},
        "metadata": {
            "age": {"cases": 6, "values": [30, 31, 32, 33, 34, 35], "minimum": 30, "maximum": 35},
            "centre": {"cases": 6, "values": ["01", "07"], "minimum": None, "maximum": None},
        },
    }
    reasons = content["unusable"]
    assert set(reasons) == {"damaged", "empty", "linked", "one link out", "table out"}
    assert "line 2" in reasons["damaged"]
    assert "accepted layouts" in reasons["empty"]
    for name in ("linked", "one link out", "table out"):
        assert "link out" in reasons[name]
    assert str(place) not in answer.text


def test_long_columns_are_not_listed(tmp_path):
    folder = write_cohort(tmp_path / "many", patients=2)
    table = folder / "cases.csv"
    head, row = table.read_text().splitlines()[:2]
    rows = [f"c{index}{row.removeprefix('p0')},{index / 8},{index}x" for index in range(150)]
    table.write_text("\n".join([f"{head},load,code", *rows]))
    view = describe(Cohorts(tmp_path).read("many"))
    assert (view.metadata["load"].values, view.metadata["load"].maximum) == (None, 149 / 8)
    assert (view.metadata["code"].values, view.metadata["code"].maximum) == (None, None)


def test_huge_numbers_of_a_table_are_text(tmp_path):
    folder = write_cohort(tmp_path / "huge", patients=1)
    table = folder / "cases.csv"
    table.write_text(table.read_text().replace(",30\n", ",1e999\n"))
    assert describe(Cohorts(tmp_path).read("huge")).metadata["age"].values == ["1e999"]


def test_without_the_folder_there_are_no_cohorts(tmp_path):
    assert Cohorts(tmp_path / "absent").views().cohorts == []
    with pytest.raises(NotFoundError, match="none yet"):
        Cohorts(tmp_path / "absent").read("patients")


def test_a_name_that_is_no_text_is_not_offered(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe")).mkdir()
    assert Cohorts(tmp_path).names() == []


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root, or Windows: everything may be read")
def test_a_folder_that_may_not_be_read(tmp_path):
    write_cohort(tmp_path / "locked").chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        Cohorts(tmp_path).read("locked")


def test_job_of_a_cohort(client, place):
    job = client.post(f"/explain/{NAME}", json=body())
    assert job.status_code == 202, job.text
    done = finished(client, job.json())
    assert (done["state"], done["fraction"], done["method"]) == ("done", 1.0, NAME)
    assert done["request"] == body() | {"model": "tiny"}
    assert str(place) not in json.dumps(done)
    result = client.get(f"/explain/jobs/{done['id']}/result", params={"part": "params"}).json()
    assert result["image_id"] == "patients"
    again = client.post(f"/explain/{NAME}", json=done["request"]).json()
    assert (again["state"], again["key"]) == ("done", done["key"])


def test_another_mask_or_metadata_is_another_result(client, place):
    first = finished(client, client.post(f"/explain/{NAME}", json=body()).json())
    mask = place / "cohorts" / "patients" / "p3_mask1.nii.gz"
    table = place / "cohorts" / "patients" / "cases.csv"
    keys = [first["key"]]
    for path, content in ((mask, mask.read_bytes() + b" "), (table, table.read_bytes().replace(b",34", b",44"))):
        before = path.read_bytes()
        path.write_bytes(content)
        keys.append(client.post(f"/explain/{NAME}", json=body()).json()["key"])
        path.write_bytes(before)
    keys.append(client.post(f"/explain/{NAME}", json=body(cohort="linked within")).json()["key"])
    assert len(set(keys)) == 4
    assert client.post(f"/explain/{NAME}", json=body()).json()["key"] == first["key"]


def test_cohorts_leave_a_worker_to_the_others(client):
    """Of the two workers, one goes on with cases however many cohorts wait."""
    bodies = [body(parameters={"source": SOURCE, "target": TARGET, "steps": 300, "seed": seed}) for seed in range(3)]
    jobs = [client.post(f"/explain/{NAME}", json=each).json() for each in bodies]
    try:
        quick = {"image": "case1", "parameters": {"steps": 3}}
        assert client.post("/explain/saliency", json=quick, params={"wait": True}).status_code == 200
        running(client, jobs[0])
        assert [client.get(f"/explain/jobs/{job['id']}").json()["state"] for job in jobs[1:]] == ["queued", "queued"]
    finally:
        for job in reversed(jobs):
            client.delete(f"/explain/jobs/{job['id']}")


def test_delete_stops_it(client, pool):
    slow = body(parameters={"source": SOURCE, "target": TARGET, "steps": 500})
    job = client.post(f"/explain/{NAME}", json=slow).json()
    running(client, job)
    pid = pool.jobs.get(job["id"]).pid
    assert client.delete(f"/explain/jobs/{job['id']}").json()["state"] == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_hashing_a_cohort_holds_up_nobody(client, place, monkeypatch):
    hashing, go_on = threading.Event(), threading.Event()

    def slow_digest(path):
        hashing.set()
        assert go_on.wait(WAIT)
        return "0" * 64

    write_cohort(place / "cohorts" / "large")
    monkeypatch.setattr(digests, "file_digest", slow_digest)
    answers = []
    post = threading.Thread(target=lambda: answers.append(client.post(f"/explain/{NAME}", json=body(cohort="large"))))
    with client:  # one event loop for all requests
        post.start()
        assert hashing.wait(WAIT)
        quick = {"image": "case1", "parameters": {"steps": 2}}
        assert client.post("/explain/saliency", json=quick, params={"wait": True}).status_code == 200
        assert client.get("/explain/jobs").status_code == 200
        assert not answers
        go_on.set()
        post.join(WAIT)
    assert answers[0].status_code == 202
    digests._digest_of.cache_clear()


BAD = [
    (NAME, body(cohort="nosuch"), 404, "patients"),
    (NAME, body(cohort=""), 422, "bad cohort name"),
    (NAME, body(cohort="."), 422, "bad cohort name"),
    (NAME, body(cohort=".hidden"), 422, "bad cohort name"),
    (NAME, body(cohort="../outside"), 422, "never a path"),
    (NAME, body(cohort="patients/../../outside"), 422, "never a path"),
    (NAME, body(cohort="..\\outside"), 422, "never a path"),
    (NAME, body(cohort="/etc"), 422, "never a path"),
    (NAME, body(cohort="patients\x00"), 422, "bad cohort name"),
    (NAME, body(cohort=5), 422, "cohort"),
    (NAME, body(cohort="a" * 300), 422, "cohort"),
    (NAME, body(cohort="README.txt"), 404, "README.txt"),
    (NAME, body(cohort="linked"), 422, "link out"),
    (NAME, body(cohort="one link out"), 422, "p0_image.nii.gz"),
    (NAME, body(cohort="table out"), 422, "cases.csv"),
    (NAME, body(cohort="empty"), 422, "accepted layouts"),
    (NAME, body(cohort="damaged"), 422, "line 2"),
    (NAME, body(cohort="only T1"), 422, "FLAIR"),
    (NAME, body(cohort="twice"), 422, "p5"),
    (NAME, body(image="case1"), 422, "exactly one"),
    (NAME, {"image": "case1", "parameters": body()["parameters"]}, 422, "explains a cohort: give cohort, not image"),
    (NAME, {"images": {"FLAIR": "case1"}}, 422, "not images"),
    (NAME, {"session": "x"}, 422, "not session"),
    (NAME, body(model="nosuch"), 404, "tiny"),
    (NAME, body(parameters={}), 422, "source"),
    (NAME, body(parameters={"source": "01"}), 422, "source"),
    (NAME, body(parameters={"source": {"where": {"centre": {"values": ["03"]}}, "rater": "1"}}), 422, "01, 07"),
    (NAME, body(parameters={"source": {"where": {"site": {"values": ["1"]}}, "rater": "1"}}), 422, "age, centre"),
    (NAME, body(parameters={"source": SOURCE}), 422, "target"),
    (NAME, body(parameters={"source": SOURCE | {"rater": "9"}}), 422, "raters are 1, 2"),
    (NAME, body(parameters={"source": {"where": {"age": {"minimum": 9, "maximum": 1}}}}), 422, "exceeds"),
    (NAME, body(parameters={"source": {"where": {"age": {}}}}), 422, "minimum"),
    (NAME, body(parameters={"source": {"where": {"centre": {"values": []}}}}), 422, "values"),
    ("saliency", {"cohort": "patients"}, 422, "explains a case: give image or images or session, not cohort"),
    ("nosuch", {"cohort": "patients"}, 404, "saliency"),
    ("cohorts", {"cohort": "patients"}, 404, "'cohorts'"),
]


@pytest.mark.parametrize(("method", "content", "status", "named"), BAD)
def test_bad_requests_get_a_problem_that_names_the_fault(client, pool, place, method, content, status, named):
    before = len(pool.jobs.newest(200))
    response = client.post(f"/explain/{method}", json=content)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert named in response.text
    assert str(place) not in response.text
    assert len(pool.jobs.newest(200)) == before


def test_the_catalogue_says_what_a_method_explains(client):
    methods = {method["name"]: method for method in client.get("/explain/").json()["methods"]}
    assert (methods["saliency"]["subject"], methods[NAME]["subject"]) == ("case", "cohort")
    assert "source" in methods[NAME]["parameters"]["properties"]


def test_the_wrong_kind_says_what_is_accepted(client):
    assert client.post("/explain/saliency", json={"cohort": "patients"}).json()["accepted"] == [
        "image",
        "images",
        "session",
    ]
    assert client.post(f"/explain/{NAME}", json={"image": "case1"}).json()["accepted"] == ["cohort"]
