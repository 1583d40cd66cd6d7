"""A method of cohorts on the real server: listing, a job in a warm worker, and what is refused."""

import shutil
import sys
from pathlib import Path

import pytest

from slicerxai.explain.multipart import decode
from tests.support.cohort_method import NAME, write_cohort
from tests.support.server import FRUGAL, Server
from tests.support.toy_shift import toy_cohort

SCRIPT = Path(__file__).parents[1] / "support" / "with_cohort_method.py"
SOURCE = {"where": {"centre": {"values": ["01"]}}, "rater": "1"}
TARGET = {"where": {"centre": {"values": ["07"]}}, "rater": "2"}


def body(cohort="patients", source=SOURCE, **more):
    return {"cohort": cohort, "parameters": {"source": source, "target": TARGET} | more}


@pytest.fixture(scope="module")
def running(tmp_path_factory, tiny_home):
    root = tmp_path_factory.mktemp("server")
    cohorts = root / "cohorts"
    write_cohort(cohorts / "patients")
    write_cohort(cohorts / "changing")
    toy_cohort(cohorts / "two hospitals", patients=6)
    write_cohort(cohorts / "broken scan")
    (cohorts / "broken scan" / "p1_mask1.nii.gz").write_bytes(b"no image")
    (cohorts / "empty").mkdir()
    write_cohort(root / "outside")
    (cohorts / "linked").symlink_to(root / "outside", target_is_directory=True)
    shutil.copytree(tiny_home / "models", root / "home" / "models")
    command = [sys.executable, str(SCRIPT), "serve", str(root / "studies"), "--cohorts", str(cohorts)]
    server = Server(root, command=command, **FRUGAL)
    (server.studies / "one.nii.gz").write_bytes((cohorts / "patients" / "p0_image.nii.gz").read_bytes())
    with server:
        yield server


def ended(job):
    return job["state"] not in {"queued", "running"}


def test_cohorts_are_listed(running):
    content = running.request("GET", "/explain/cohorts").json()
    assert [view["name"] for view in content["cohorts"]] == ["broken scan", "changing", "patients", "two hospitals"]
    assert content["cohorts"][2]["raters"] == {"1": 6, "2": 6}
    assert set(content["unusable"]) == {"empty", "linked"}


def test_a_job_gives_result_and_report(running):
    answer = running.request("POST", f"/explain/{NAME}", json=body())
    assert answer.status_code == 202, answer.text
    job = running.wait(answer.json()["id"], ended)
    assert job["state"] == "done", job
    result = running.request("GET", f"/explain/jobs/{job['id']}/result")
    explanation = decode(result.content, result.headers["content-type"])
    assert explanation.metrics["difference_mm3"] == pytest.approx(31)
    assert len(explanation.provenance.inputs) == 19
    assert "centre is 07; masks of rater 2" in running.request("GET", f"/explain/jobs/{job['id']}/report").text
    again = running.request("POST", f"/explain/{NAME}", json=job["request"]).json()
    assert (again["state"], again["message"]) == ("done", "from the store")


def shift(source="01", target="03", raters=("1", "2"), **more):
    environments = {
        name: {"where": {"centre": {"values": [centre]}}, "rater": rater}
        for name, centre, rater in zip(("source", "target"), (source, target), raters, strict=True)
    }
    return {"cohort": "two hospitals", "parameters": environments | {"permutations": 99, "repeats": 1} | more}


def test_shift_is_attributed_and_a_second_question_costs_no_second_prediction(running):
    methods = {method["name"]: method for method in running.request("GET", "/explain/").json()["methods"]}
    assert {"source", "target"} <= set(methods["shift"]["parameters"]["required"])
    answer = running.request("POST", "/explain/shift", json=shift(burden="mask:consensus"))
    assert answer.status_code == 202, answer.text
    seen = set()

    def done(job):
        seen.add(job["message"].split(":")[0])
        return ended(job)

    job = running.wait(answer.json()["id"], done)
    assert job["state"] == "done", job
    assert seen & {"source", "target", "every rater"}
    result = running.request("GET", f"/explain/jobs/{job['id']}/result")
    explanation = decode(result.content, result.headers["content-type"])
    found = explanation.metrics
    assert (found["source_cases"], found["target_cases"]) == (6, 6)
    shares = sum(found[f"phi_{name}"] for name in ("population", "acquisition", "annotation"))
    assert shares + found["unresolved"] == pytest.approx(found["drop"])
    assert explanation.tables["raters"].columns == ["source rater", "1", "2", "consensus"]
    assert list(explanation.figures) == ["shares", "cases", "raters"]
    assert explanation.flags
    page = running.request("GET", f"/explain/jobs/{job['id']}/report").text
    assert "centre is 03; masks of rater 2" in page
    scores = running.home / "scores"
    predictions = {path.name: path.stat().st_mtime_ns for path in scores.glob("*.npz")}
    assert len(predictions) == 12
    answer = running.request("POST", "/explain/shift", params={"wait": True}, json=shift(raters=("2", "consensus")))
    assert answer.status_code == 200, answer.text
    assert {path.name: path.stat().st_mtime_ns for path in scores.glob("*.npz")} == predictions


def test_progress_and_cancelling(running):
    answer = running.request("POST", f"/explain/{NAME}", json=body(steps=2000)).json()
    job = running.wait(answer["id"], lambda job: job["fraction"] > 0.03)
    assert job["message"].startswith("step")
    assert running.request("DELETE", f"/explain/jobs/{job['id']}").json()["state"] == "cancelled"
    assert running.request("POST", f"/explain/{NAME}", params={"wait": True}, json=body()).status_code == 200


def test_a_file_that_changes_while_the_job_runs_is_a_conflict(running):
    answer = running.request("POST", f"/explain/{NAME}", json=body("changing", steps=100)).json()
    running.wait(answer["id"], lambda job: job["fraction"] > 0.03)
    mask = running.root / "cohorts" / "changing" / "p0_mask1.nii.gz"
    mask.write_bytes((running.root / "cohorts" / "changing" / "p1_mask1.nii.gz").read_bytes())
    job = running.wait(answer["id"], ended)
    assert job["error"]["status"] == 409
    assert "p0/mask-1" in job["error"]["detail"]


def test_an_unreadable_file_fails_the_job_by_name(running):
    answer = running.request("POST", f"/explain/{NAME}", params={"wait": True}, json=body("broken scan"))
    assert answer.status_code == 422, answer.text
    assert "p1/mask-1" in answer.json()["detail"]
    assert str(running.root) not in answer.text


BAD = {
    "unknown cohort": (NAME, body("nobody"), 404, "patients"),
    "../": (NAME, body("../outside"), 422, "never a path"),
    "../ within": (NAME, body("patients/../../outside"), 422, "never a path"),
    "absolute path": (NAME, body("/etc"), 422, "never a path"),
    "link out": (NAME, body("linked"), 422, "link out"),
    "empty folder": (NAME, body("empty"), 422, "accepted layouts"),
    "cohort with a case method": ("saliency", body(), 422, "give image or images or session, not cohort"),
    "image with a cohort method": (NAME, {"image": "one"}, 422, "give cohort, not image"),
    "both": (NAME, body() | {"image": "one"}, 422, "exactly one"),
    "no centre of that name": (
        NAME,
        body(source={"where": {"centre": {"values": ["3"]}}, "rater": "1"}),
        422,
        "01, 07",
    ),
    "no such rater": (NAME, body(source={"rater": "8"}), 422, "raters are 1, 2"),
    "no such column": (NAME, body(source={"where": {"site": {"values": ["a"]}}, "rater": "1"}), 422, "age, centre"),
    "shift without a target": ("shift", {"cohort": "two hospitals", "parameters": {"source": SOURCE}}, 422, "target"),
    "shift to a rater nobody is": ("shift", shift(raters=("1", "9")), 422, "raters are 1, 2, consensus"),
    "shift of an unknown metric": ("shift", shift(metric="kappa"), 422, "volume_error_ml"),
    "unknown model": (NAME, body() | {"model": "nothing"}, 404, "tiny"),
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"burden": "mask:2"}, "cannot be read from rater '2'"),
        ({"burden": "metadata:load"}, "lacks a number as metadata 'load'"),
        ({"exchange": "paired", "raters": ("1", "1")}, "both environments take the masks of rater '1'"),
    ],
)
def test_what_shift_cannot_answer_fails_in_words(running, change, says):
    answer = running.request("POST", "/explain/shift", params={"wait": True}, json=shift(**change))
    assert answer.status_code == 422, answer.text
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("name", BAD)
def test_bad_request(running, name):
    method, content, status, says = BAD[name]
    before = len(running.jobs())
    answer = running.request("POST", f"/explain/{method}", json=content)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]
    assert str(running.root) not in answer.text
    assert len(running.jobs()) == before
