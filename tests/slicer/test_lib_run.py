"""One explanation from beginning to end on the real server: it succeeds, is stopped, or fails in words."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import requests
from XAILib.background import Background, Done, Failed, Progress
from XAILib.client import Client
from XAILib.errors import ServerError, Stopped
from XAILib.nrrd import decode
from XAILib.run import run_explanation

from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.volume import Volume
from tests.conftest import OBLIQUE_LEFT_HANDED, spotted_brain
from tests.slicer.server_fixtures import STUDY, send, stand_in

LONG = {"method": "integrated_gradients", "steps": 512}


class Run:
    """`run_explanation` in the background, and what it said."""

    def __init__(self, url: str, source: dict[str, Any], **parameters: Any) -> None:
        self.background = Background()
        self.seen: list[Progress] = []
        self.result: Any = None
        self.error: BaseException | None = None
        client = Client(url)
        self.background.start(lambda *both: run_explanation(client, "saliency", source, "tiny", parameters, *both))

    def wait(self, until: Callable[[], Any], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, self.seen[-1:]
            for message in self.background.poll():
                if isinstance(message, Progress):
                    self.seen.append(message)
                elif isinstance(message, Done):
                    self.result = message.value
                else:
                    assert isinstance(message, Failed)
                    self.error = message.error
            time.sleep(0.01)

    def end(self) -> Run:
        self.wait(lambda: self.result is not None or self.error is not None)
        assert self.background.close()
        return self

    def failure(self) -> ServerError:
        self.end()
        assert isinstance(self.error, ServerError), self.error
        return self.error

    def stop(self) -> None:
        """It ends by itself only much later, with a result or another error."""
        self.background.cancel()
        self.end()
        assert isinstance(self.error, Stopped), self.error


def newest(server: Any, **parameters: Any) -> dict[str, Any] | None:
    """The newest job with these parameters."""
    found = [job for job in server.jobs() if parameters.items() <= job["request"]["parameters"].items()]
    return found[0] if found else None


def is_computing(server: Any, **parameters: Any) -> bool:
    job = newest(server, **parameters)
    return job is not None and job["state"] == "running" and job["fraction"] > 0


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """On an oblique, left-handed, anisotropic grid."""
    path = tmp_path / "FLAIR.nrrd"
    write_volume(path, Volume(spotted_brain(seed=13)[0].array, OBLIQUE_LEFT_HANDED))
    return path


@pytest.fixture(scope="module")
def large_scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with spots, whose explanation by `LONG` takes minutes."""
    rng = np.random.default_rng(5)
    image = 100 + 5 * rng.standard_normal((64, 64, 64))
    image[:10] = image[-10:] = 0
    for _ in range(40):
        i, j, k = rng.integers(14, 48, 3)
        image[i : i + 3, j : j + 3, k : k + 3] += 80
    path = tmp_path_factory.mktemp("large") / "FLAIR.nii"
    write_volume(path, Volume(image.astype(np.float32), np.diag([3.0, 3.0, 3.0, 1.0])))
    return path


# --- success ---------------------------------------------------------------------------------------------------------


def test_an_uploaded_image(server: Any, scan: Path) -> None:
    run = Run(server.url, {"files": [scan]}).end()
    assert run.error is None
    result = run.result
    assert {"FLAIR", "lesions", "probability", "saliency"} == {info.name for info in result.overlays()}
    volumes = {info.name: decode(result.parts[info.name]) for info in result.overlays()}
    for volume in volumes.values():
        np.testing.assert_allclose(volume.affine, OBLIQUE_LEFT_HANDED, atol=1e-5)
    np.testing.assert_array_equal(volumes["FLAIR"].array, read_volume(scan).array)
    assert volumes["lesions"].array.any()
    assert server.job(result.job)["request"]["session"] == result.image_id
    fractions = [progress.fraction for progress in run.seen]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1
    assert "<html" in Client(server.url).report(result.job)


def test_one_lesion_of_the_uploaded_image_again(server: Any, scan: Path) -> None:
    first = Run(server.url, {"files": [scan]}, method="input_x_gradient").end().result
    table = first.tables["lesions"]
    places = [table.columns.index(f"{axis} mm") for axis in "RAS"]
    point = [table.rows[0][place] for place in places]
    again = Run(server.url, {"session": first.image_id}, method="input_x_gradient", point=point).end().result
    assert again.image_id == first.image_id
    assert "explained_lesion" in {info.name for info in again.overlays()}
    requests.delete(f"{server.url}/session/{first.image_id}").raise_for_status()
    known = server.jobs()[0]["id"]
    third = Run(server.url, {"session": first.image_id, "files": [scan]}, method="input_x_gradient").end().result
    assert third.image_id != first.image_id
    assert third.job != known
    assert third.tables == first.tables


def test_a_study_of_the_server(server: Any) -> None:
    first, second = (Run(server.url, {"image": STUDY}, seed=5).end().result for _ in range(2))
    assert first.image_id == STUDY
    assert first.parts == second.parts
    assert first.job != second.job


@pytest.mark.parametrize(
    ("source", "parameters", "words"),
    [
        ({"image": "nobody"}, {}, "nobody"),
        ({"session": "gone"}, {}, "gone"),
        ({"image": STUDY}, {"point": [500.0, 0.0, 0.0]}, "mm"),
        ({"image": STUDY}, {"label": "fracture"}, "fracture"),
    ],
)
def test_what_cannot_be_explained(server: Any, source: dict, parameters: dict, words: str) -> None:
    error = Run(server.url, source, **parameters).failure()
    assert error.kind == "refused"
    assert words in error.message


def test_the_image_is_removed_from_the_server_when_it_cannot_be_explained(server: Any, scan: Path) -> None:
    Run(server.url, {"files": [scan]}, label="fracture", seed=77).failure()
    session = newest(server, seed=77)["request"]["session"]
    assert requests.get(f"{server.url}/session/{session}").status_code == 404


# --- stopping --------------------------------------------------------------------------------------------------------


def workers(server: Any) -> dict[int, float]:
    """CPU seconds of the server's processes, by id."""
    found = {}
    for child in psutil.Process(server.process.pid).children(recursive=True):
        try:
            found[child.pid] = sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return found


def test_stop_while_it_computes(server: Any, large_scan: Path) -> None:
    run = Run(server.url, {"files": [large_scan]}, seed=1, **LONG)
    run.wait(lambda: is_computing(server, seed=1))
    before = workers(server)
    time.sleep(0.5)
    busy = max((spent - before.get(pid, 0), pid) for pid, spent in workers(server).items())[1]
    run.stop()
    job = newest(server, seed=1)
    assert job["state"] == "cancelled"
    assert not psutil.pid_exists(busy) or psutil.Process(busy).status() == psutil.STATUS_ZOMBIE
    assert requests.get(f"{server.url}/session/{job['request']['session']}").status_code == 404


def test_stop_in_the_queue_and_the_queue_goes_on(server: Any, large_scan: Path) -> None:
    first = Run(server.url, {"files": [large_scan]}, seed=2, **LONG)
    first.wait(lambda: is_computing(server, seed=2))
    second = Run(server.url, {"image": STUDY}, seed=3)
    second.wait(lambda: second.seen and "other jobs" in second.seen[-1].message)
    second.stop()
    assert newest(server, seed=3)["state"] == "cancelled"
    assert newest(server, seed=2)["state"] == "running"
    first.stop()
    assert newest(server, seed=2)["state"] == "cancelled"
    assert Run(server.url, {"image": STUDY}, seed=4).end().error is None


class Throttle:
    """A stand-in for a slow line to the real server: passes requests on, and trickles one kind of them."""

    def __init__(self, server: Any, slow: Callable[[BaseHTTPRequestHandler], str]) -> None:
        self.server, self.slow = server, slow
        self.reached, self.released = threading.Event(), threading.Event()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        how = self.slow(handler)
        length = int(handler.headers.get("Content-Length", 0))
        if how == "upload":
            handler.rfile.read(1000)
            self.reached.set()
            self.released.wait()
            return
        body = handler.rfile.read(length)
        kept = {"Content-Type": handler.headers.get("Content-Type", "")}
        answer = requests.request(handler.command, self.server.url + handler.path, data=body, headers=kept, timeout=60)
        if how == "download":
            handler.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer.content)}\r\n\r\n".encode())
            for position in range(0, len(answer.content), 100):
                handler.wfile.write(answer.content[position : position + 100])
                self.reached.set()
                time.sleep(0.05)
            return
        send(handler, answer.status_code, answer.content, answer.headers["Content-Type"])


def test_stop_during_the_upload(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "FLAIR.nii"
    path.write_bytes(bytes(50_000_000))  # more than the operating system buffers
    line = Throttle(server, lambda handler: "upload" if handler.command == "PUT" else "")
    with stand_in(line) as url:
        run = Run(url, {"files": [path]}, seed=50)
        run.wait(line.reached.is_set)
        run.stop()
        line.released.set()
    assert newest(server, seed=50) is None
    assert 0 < run.seen[-1].fraction < 0.15


def test_stop_during_the_download_keeps_the_result(server: Any) -> None:
    line = Throttle(server, lambda handler: "download" if handler.path.endswith("/result") else "")
    with stand_in(line) as url:
        run = Run(url, {"image": STUDY}, seed=6)
        run.wait(line.reached.is_set)
        run.stop()
    assert newest(server, seed=6)["state"] == "done"
    assert Run(server.url, {"image": STUDY}, seed=6).end().error is None


def test_closing_stops_it_on_the_server_too(server: Any, large_scan: Path) -> None:
    run = Run(server.url, {"files": [large_scan]}, seed=7, **LONG)
    run.wait(lambda: is_computing(server, seed=7))
    assert run.background.close(60)
    assert newest(server, seed=7)["state"] == "cancelled"


# --- what happens on the other side ----------------------------------------------------------------------------------


def test_cancelled_and_removed_by_somebody_else(server: Any, large_scan: Path) -> None:
    for times, words in ((1, "Somebody else cancelled"), (2, "somebody removed it")):
        run = Run(server.url, {"files": [large_scan]}, seed=10 + times, **LONG)
        run.wait(lambda seed=10 + times: is_computing(server, seed=seed))
        url = f"{server.url}/explain/jobs/{newest(server, seed=10 + times)['id']}"
        for _ in range(times):
            requests.delete(url, timeout=30).raise_for_status()
        error = run.failure()
        assert error.kind == "refused"
        # between the two deletions the client may have asked
        assert words in error.message or "Somebody else cancelled" in error.message


def test_server_killed_and_away(own_server: Any, large_scan: Path) -> None:
    run = Run(own_server.url, {"files": [large_scan]}, seed=20, **LONG)
    run.wait(lambda: is_computing(own_server, seed=20))
    job = newest(own_server, seed=20)["id"]
    own_server.kill()
    run.wait(lambda: "trying again" in run.seen[-1].message)
    error = run.failure()
    assert sum("trying again" in progress.message for progress in run.seen) > 5
    assert error.kind == "unreachable"
    assert job in error.message
    assert "may still be working" in error.message
    assert "/explain/jobs" in error.message


def test_stop_while_the_server_is_away() -> None:
    """By a stand-in that takes the job and is closed."""
    with stand_in(job_states({})) as url:
        run = Run(url, {"image": "x"})
        run.wait(lambda: run.seen and run.seen[-1].message == "working")
    run.wait(lambda: "trying again" in run.seen[-1].message)
    run.background.cancel()
    error = run.failure()
    assert "did not confirm" in error.message


def test_stop_while_the_server_hangs() -> None:
    """By a stand-in that takes the job and then says nothing more."""
    reached, released = threading.Event(), threading.Event()
    running = job_states({})

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.command == "POST":
            running(handler)
            return
        reached.set()
        released.wait()

    with stand_in(answer) as url:
        run = Run(url, {"image": "x"})
        run.wait(reached.is_set)
        run.background.cancel()
        error = run.failure()
        released.set()
    assert error.kind == "timeout"
    assert "did not confirm" in error.message


def job_states(*answers: dict[str, Any] | int) -> Callable[[BaseHTTPRequestHandler], None]:
    """A stand-in for a server that tells these states one after the other, or answers with a status."""
    left = list(answers)
    job = {"id": "1", "state": "running", "fraction": 0.5, "message": "working", "eta": 3.0, "error": None, "key": "k"}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        state = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(state, int):
            send(handler, state, b"Bad Gateway", "text/plain")
        else:
            send(handler, 200, json.dumps({**job, "request": {}, **state}).encode(), "application/json")

    return answer


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ({"state": "interrupted", "message": "the server stopped"}, "server_fault", "stopped while it worked"),
        ({"state": "failed", "error": {"status": 500, "title": "t", "detail": "worker died"}}, "server_fault", "died"),
        ({"state": "failed", "error": {"status": 422, "title": "t", "detail": "no brain"}}, "refused", "no brain."),
        ({"state": "failed", "message": "out of memory"}, "server_fault", "out of memory"),
        ({"state": "dreaming"}, "not_explain_server", "versions"),
        (404, "refused", "somebody removed it"),
        (401, "unauthorised", "token"),
    ],
)
def test_other_ends(state: Any, kind: str, words: str) -> None:
    with stand_in(job_states({}, {}, state)) as url:
        error = Run(url, {"image": "x"}).failure()
    assert error.kind == kind
    assert words in error.message


def test_a_short_absence_is_survived() -> None:
    with stand_in(job_states({}, 502, 503, {"fraction": 0.7}, {"state": "cancelled"})) as url:
        run = Run(url, {"image": "x"})
        run.wait(lambda: run.seen and "trying again" in run.seen[-1].message)
        assert "Somebody else" in run.failure().message
    assert any(progress.eta == 3.0 for progress in run.seen)
