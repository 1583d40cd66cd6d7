import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi.testclient import TestClient
from small_server import FolderDatastore, make_app, make_home, make_pool

from slicerxai.explain.multipart import decode, split
from slicerxai.server.sources import Sources

WAIT = 60
SLOW = {"image": "case1", "parameters": {"steps": 500}}
QUICK = {"image": "case1", "parameters": {"steps": 2}}


class OneSession:
    """Stands for MONAI Label's sessions, with what was uploaded as "single" and "several"."""

    def __init__(self, folder):
        self.store_path = str(folder)

    def get_session(self, session_id):
        folder = Path(self.store_path) / session_id
        if not folder.is_dir():
            return None
        return SimpleNamespace(image=str(next(folder.iterdir())))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    make_home(place / "home")
    studies, sessions = place / "studies", place / "sessions"
    (studies / "sub").mkdir(parents=True)
    for name in ("case1", "case2"):
        (studies / f"{name}.nii.gz").write_bytes(name.encode())
    (place / "secret.nii.gz").write_bytes(b"secret")
    (studies / "linked.nii.gz").symlink_to(place / "secret.nii.gz")
    (sessions / "single").mkdir(parents=True)
    (sessions / "single" / "upload.nii.gz").write_bytes(b"upload")
    (sessions / "several" / "files").mkdir(parents=True)
    (sessions / "several" / "files" / "t1.nii.gz").write_bytes(b"upload")
    (sessions / "linked").mkdir()
    (sessions / "linked" / "image.nii.gz").symlink_to(place / "secret.nii.gz")
    return place


@pytest.fixture(scope="module")
def pool(place):
    pool = make_pool(place / "home")
    yield pool
    pool.shutdown()


@pytest.fixture(scope="module")
def client(place, pool):
    studies, sessions = place / "studies", place / "sessions"
    app = make_app(pool, Sources(FolderDatastore(studies), studies, OneSession(sessions), sessions))
    # not as a context: each request gets an event loop of its own, as a fault of one must not touch another
    return TestClient(app, raise_server_exceptions=False)


def until(condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def finished(client, job):
    until(lambda: client.get(f"/explain/jobs/{job['id']}").json()["state"] not in {"queued", "running"})
    return client.get(f"/explain/jobs/{job['id']}").json()


def is_problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert content.keys() >= {"type", "title", "status", "detail"}
    assert content["status"] == status
    assert content["detail"]
    assert "Traceback" not in response.text
    return content


def test_catalogue(client, pool):
    broken = pool.models.root / "broken"
    broken.mkdir()
    (broken / "model.json").write_text("{")
    try:
        content = client.get("/explain/").json()
    finally:
        (broken / "model.json").unlink()
        broken.rmdir()
    (saliency,) = [method for method in content["methods"] if method["name"] == "saliency"]
    assert "steps" in saliency["parameters"]["properties"]
    assert [(model["name"], model["channels"]) for model in content["models"]] == [("tiny", ["FLAIR"])]
    assert list(content["unusable"]) == ["broken"]


def test_job_from_submission_to_removal(client, place):
    response = client.post("/explain/saliency", json=QUICK)
    assert response.status_code == 202
    job = response.json()
    assert response.headers["location"] == f"/explain/jobs/{job['id']}"
    assert job["request"] == {"image": "case1", "model": "tiny", "parameters": {"steps": 2}}
    done = finished(client, job)
    assert (done["state"], done["fraction"], done["error"]) == ("done", 1.0, None)
    assert str(place) not in str(done)
    assert job["id"] in [each["id"] for each in client.get("/explain/jobs").json()]

    result = client.get(f"/explain/jobs/{job['id']}/result")
    explanation = decode(result.content, result.headers["content-type"])
    assert explanation.overlays["saliency"].volume.array[2, 3, 4] == 59
    part = client.get(f"/explain/jobs/{job['id']}/result", params={"part": "saliency"})
    assert part.content.startswith(b"NRRD")
    assert part.content == bytes(split(result.content, result.headers["content-type"])["saliency"])
    params = client.get(f"/explain/jobs/{job['id']}/result", params={"part": "params"})
    assert params.json()["method"] == "saliency"
    is_problem(client.get(f"/explain/jobs/{job['id']}/result", params={"part": "../x"}), 404)

    again = client.post("/explain/saliency", json=done["request"]).json()
    assert (again["state"], again["key"]) == ("done", job["key"])
    assert client.delete(f"/explain/jobs/{job['id']}").json()["state"] == "done"
    is_problem(client.get(f"/explain/jobs/{job['id']}"), 404)
    assert client.get(f"/explain/jobs/{again['id']}/result").content == result.content
    client.delete(f"/explain/jobs/{again['id']}")
    assert not (place / "home" / "jobs" / "results" / job["key"]).exists()


def test_report_is_a_page(client):
    job = finished(client, client.post("/explain/saliency", json=QUICK).json())
    page = client.get(f"/explain/jobs/{job['id']}/report")
    assert page.headers["content-type"].startswith("text/html")
    assert "case1" in page.text
    assert client.get(f"/explain/jobs/{job['id']}/report").text == page.text


def test_wait_answers_with_the_result(client):
    body = {"image": "case2", "parameters": {"steps": 3}}
    response = client.post("/explain/saliency", params={"wait": True}, json=body)
    assert response.status_code == 200
    assert decode(response.content, response.headers["content-type"]).image_id == "case2"
    assert response.headers["location"].startswith("/explain/jobs/")


def test_wait_answers_with_the_fault(client):
    body = {"image": "case1", "parameters": {"seed": 13}}
    problem = is_problem(client.post("/explain/saliency", params={"wait": True}, json=body), 422)
    assert problem["detail"] == "image 'case1' is empty"
    job = client.get(f"/explain/jobs/{problem['job']}").json()
    assert (job["state"], job["error"]["detail"]) == ("failed", problem["detail"])
    is_problem(client.get(f"/explain/jobs/{problem['job']}/result"), 409)


def test_schema_of_the_routes(client):
    paths = client.get("/openapi.json").json()["paths"]
    cohorts = {f"/explain/cohorts{end}" for end in ("", "/{cohort}", "/{cohort}/cases/{case}")}
    jobs = {"/explain/jobs"} | {f"/explain/jobs/{{job_id}}{end}" for end in ("", "/result", "/report")}
    assert set(paths) == {"/explain/", "/explain/sample", "/explain/{method}"} | cohorts | jobs


@pytest.mark.parametrize(
    "body",
    [{"images": {"FLAIR": "case1"}, "parameters": {"steps": 2}}, {"session": "single", "parameters": {"steps": 2}}],
)
def test_other_sources(client, body):
    assert client.post("/explain/saliency", params={"wait": True}, json=body).status_code == 200


def test_delete_stops_a_running_job(client, pool):
    job = client.post("/explain/saliency", json=SLOW).json()
    until(lambda: client.get(f"/explain/jobs/{job['id']}").json()["state"] == "running")
    is_problem(client.get(f"/explain/jobs/{job['id']}/result"), 409)
    pid = pool.jobs.get(job["id"]).pid
    assert client.delete(f"/explain/jobs/{job['id']}").json()["state"] == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert client.delete(f"/explain/jobs/{job['id']}").json()["state"] == "cancelled"
    is_problem(client.delete(f"/explain/jobs/{job['id']}"), 404)


def test_damaged_and_lost_results_are_named(client, place):
    job = finished(client, client.post("/explain/saliency", json={**QUICK, "image": "case2"}).json())
    folder = place / "home" / "jobs" / "results" / job["key"]
    (folder / "explanation.json").write_text("{")
    problem = is_problem(client.get(f"/explain/jobs/{job['id']}/result"), 409)
    assert "damaged" in problem["detail"]
    assert str(place) not in problem["detail"]
    is_problem(client.get(f"/explain/jobs/{job['id']}/report"), 409)
    folder.rename(folder.with_name("elsewhere"))
    is_problem(client.get(f"/explain/jobs/{job['id']}/result"), 404)


BAD = [
    ("GET", "/explain/nothing/here", None, 404, "no route"),
    ("GET", "/explain/saliency", None, 405, "GET"),
    ("PATCH", "/explain/jobs", None, 405, "PATCH"),
    ("GET", "/explain/jobs/nope", None, 404, "'nope'"),
    ("GET", "/explain/jobs/..%2f..%2fetc", None, 404, "etc"),
    ("GET", "/explain/jobs?limit=0", None, 422, "limit"),
    ("GET", "/explain/jobs?limit=x", None, 422, "limit"),
    ("DELETE", "/explain/jobs/nope", None, 404, "'nope'"),
    ("POST", "/explain/nosuch", {"image": "case1"}, 404, "saliency"),
    ("POST", "/explain/jobs", {"image": "case1"}, 404, "'jobs'"),
    ("POST", "/explain/saliency", None, 422, "body"),
    ("POST", "/explain/saliency", b"{", 400, "JSON"),
    ("POST", "/explain/saliency", b"\xff\xfe", 400, "body"),
    ("POST", "/explain/saliency", b"[" * 100_000, 400, "body"),
    ("POST", "/explain/saliency", [], 422, "body"),
    ("POST", "/explain/saliency", {}, 422, "exactly one"),
    ("POST", "/explain/saliency", {"image": "case1", "session": "single"}, 422, "exactly one"),
    ("POST", "/explain/saliency", {"image": 5}, 422, "image"),
    ("POST", "/explain/saliency", {"image": "a" * 300}, 422, "image"),
    ("POST", "/explain/saliency", {"image": ""}, 422, "bad image id"),
    ("POST", "/explain/saliency", {"image": "case9"}, 404, "'case9'"),
    ("POST", "/explain/saliency", {"image": "../secret"}, 422, "never a path"),
    ("POST", "/explain/saliency", {"image": "sub/../case1"}, 422, "never a path"),
    ("POST", "/explain/saliency", {"image": "..\\secret"}, 422, "never a path"),
    ("POST", "/explain/saliency", {"image": "/etc/passwd"}, 422, "never a path"),
    ("POST", "/explain/saliency", {"image": "case1\n"}, 422, "bad image id"),
    ("POST", "/explain/saliency", {"image": "case1\x00"}, 422, "bad image id"),
    ("POST", "/explain/saliency", b'{"image": "\\ud800"}', 422, "image"),
    ("POST", "/explain/saliency", {"image": "linked"}, 422, "link out of the folder"),
    ("POST", "/explain/saliency", {"images": {}}, 422, "FLAIR"),
    ("POST", "/explain/saliency", {"images": {"T1": "case1"}}, 422, "FLAIR"),
    ("POST", "/explain/saliency", {"images": {"FLAIR": "../secret"}}, 422, "never a path"),
    ("POST", "/explain/saliency", {"images": {"FLAIR": "linked"}}, 422, "link out of the folder"),
    ("POST", "/explain/saliency", {"session": "unknown"}, 404, "'unknown'"),
    ("POST", "/explain/saliency", {"session": "../sessions/single"}, 422, "never a path"),
    ("POST", "/explain/saliency", {"session": "linked"}, 422, "outside"),
    ("POST", "/explain/saliency", {"session": "several"}, 422, "T1"),
    ("POST", "/explain/saliency", {"image": "case1", "model": "nosuch"}, 404, "tiny"),
    ("POST", "/explain/saliency", {"image": "case1", "model": "../tiny"}, 422, "bad model name"),
    ("POST", "/explain/saliency", {"image": "case1", "extra": 1}, 422, "extra"),
    ("POST", "/explain/saliency", {"image": "case1", "parameters": []}, 422, "parameters"),
    ("POST", "/explain/saliency", {"image": "case1", "parameters": {"steps": 1}}, 422, "steps"),
    ("POST", "/explain/saliency", {"image": "case1", "parameters": {"nosuch": 1}}, 422, "nosuch"),
    ("POST", "/explain/saliency", b'{"image": "case1", "parameters": {"window": NaN}}', 422, "window"),
    ("POST", "/explain/saliency", b'{"image": "case1", "parameters": {"seed": 1e400}}', 422, "seed"),
    ("POST", "/explain/saliency?wait=perhaps", {"image": "case1"}, 422, "wait"),
]


@pytest.mark.parametrize(("method", "url", "body", "status", "named"), BAD)
def test_bad_requests_get_a_problem_that_names_the_fault(client, pool, place, method, url, body, status, named):
    before = len(pool.jobs.newest(200))
    content = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
    headers = {"content-type": "application/json"} if isinstance(body, bytes) else {}
    problem = is_problem(client.request(method, url, headers=headers, **content), status)
    assert named in str(problem)
    assert str(place) not in str(problem)
    assert len(pool.jobs.newest(200)) == before


def test_unknown_names_come_with_the_known_ones(client):
    assert "saliency" in client.post("/explain/nosuch", json={"image": "case1"}).json()["accepted"]
    body = {"image": "case1", "model": "nosuch"}
    assert client.post("/explain/saliency", json=body).json()["accepted"] == ["tiny"]


def test_several_models_must_be_told_apart(client, pool):
    second = pool.models.root / "second"
    second.mkdir()
    (second / "model.json").write_text((pool.models.root / "tiny" / "model.json").read_text())
    try:
        problem = is_problem(client.post("/explain/saliency", json=QUICK), 422)
        assert problem["accepted"] == ["second", "tiny"]
        assert client.post("/explain/saliency", json={**QUICK, "model": "second"}).status_code == 202
    finally:
        (second / "model.json").unlink()
        second.rmdir()


def test_unforeseen_faults_are_problems_too(client, pool, monkeypatch, caplog):
    def fail(limit):
        raise ZeroDivisionError

    monkeypatch.setattr(pool.jobs, "newest", fail)
    problem = is_problem(client.get("/explain/jobs"), 500)
    incident = re.search(r"incident (\w+)", problem["detail"]).group(1)
    assert incident in caplog.text


def test_full_queue_says_when_to_come_back(place, tmp_path):
    pool = make_pool(make_home(tmp_path / "home"), workers=1, queue_limit=1)
    client = TestClient(make_app(pool, Sources(FolderDatastore(place / "studies"), place / "studies")))
    answers = [client.post("/explain/saliency", json={"image": "case1", "parameters": {"seed": s}}) for s in range(3)]
    pool.shutdown()
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert int(answers[2].headers["retry-after"]) > 0
    is_problem(answers[2], 429)


class Server:
    """A real server process."""

    def __init__(self, home, studies):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        script = Path(__file__).with_name("small_server.py")
        self.process = subprocess.Popen([sys.executable, script, home, studies, str(port)])
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WAIT)
        until(self.answers)

    def answers(self):
        try:
            return self.http.get("/explain/").status_code == 200
        except httpx.TransportError:
            assert self.process.poll() is None
            return False

    def kill(self, number):
        self.http.close()
        self.process.send_signal(number)
        self.process.wait(timeout=WAIT)


def children(pid):
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


@pytest.fixture
def start(home, studies):
    servers = []

    def start():
        servers.append(Server(home, studies))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill(signal.SIGKILL)


def test_waiting_clients_hold_up_nobody(start):
    server = start()

    async def crowd():
        async with httpx.AsyncClient(base_url=server.http.base_url, timeout=WAIT, limits=httpx.Limits()) as http:
            waits = [asyncio.create_task(http.post("/explain/saliency?wait=1", json=SLOW)) for _ in range(60)]
            while len((await http.get("/explain/jobs")).json()) < len(waits):
                await asyncio.sleep(0.1)
            jobs = (await http.get("/explain/jobs")).json()
            assert not any(wait.done() for wait in waits)
            for wait in waits:
                wait.cancel()
            return jobs

    jobs = asyncio.run(crowd())
    assert len({job["key"] for job in jobs}) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_server_loses_no_result_and_leaves_no_process(start):
    server = start()
    http = server.http
    done = finished(http, http.post("/explain/saliency", json=QUICK).json())
    result = http.get(f"/explain/jobs/{done['id']}/result").content
    running = http.post("/explain/saliency", json=SLOW).json()
    until(lambda: http.get(f"/explain/jobs/{running['id']}").json()["state"] == "running")
    with pytest.raises(httpx.ReadTimeout):  # a client that goes away does not take the job with it
        http.post("/explain/saliency", params={"wait": True}, json=SLOW, timeout=1.5)
    assert http.get(f"/explain/jobs/{running['id']}").json()["state"] == "running"
    workers = children(server.process.pid)
    assert len(workers) >= 2
    server.kill(signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))

    server = start()
    http = server.http
    assert http.get(f"/explain/jobs/{done['id']}").json() == done
    assert http.get(f"/explain/jobs/{done['id']}/result").content == result
    interrupted = http.get(f"/explain/jobs/{running['id']}").json()
    assert interrupted["state"] == "interrupted"
    is_problem(http.get(f"/explain/jobs/{running['id']}/result"), 409)
    again = http.post("/explain/saliency", json=interrupted["request"]).json()
    until(lambda: http.get(f"/explain/jobs/{again['id']}").json()["state"] == "running")
    server.kill(signal.SIGTERM)
    assert server.process.returncode in {0, -signal.SIGTERM}
