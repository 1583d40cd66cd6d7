"""Cancelling stops the process; a killed server loses no finished result; no route freezes another."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest
import requests

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume

pytestmark = pytest.mark.slow
LONG = {"method": "integrated_gradients", "steps": 512}


@pytest.fixture(scope="module")
def big_scan(server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A scan whose explanation by `LONG` takes minutes; its datastore id."""
    import numpy as np

    rng = np.random.default_rng(5)
    image = 100 + 5 * rng.standard_normal((120, 120, 120))
    image[:10] = image[-10:] = 0
    for _ in range(200):
        i, j, k = rng.integers(20, 100, 3)
        image[i : i + 3, j : j + 3, k : k + 3] += 80
    path = tmp_path_factory.mktemp("big") / "big.nii.gz"
    write_volume(path, Volume(image.astype(np.float32), np.diag([3.0, 3.0, 3.0, 1.0])))
    with path.open("rb") as file:
        stored = requests.put(f"{server.url}/datastore/", params={"image": "big"}, files={"file": (path.name, file)})
    assert stored.status_code == 200, stored.text
    return "big"


def _post(server, image: str, **parameters: object) -> dict:
    answer = requests.post(f"{server.url}/explain/saliency", json={"image": image, "parameters": parameters})
    assert answer.status_code in {200, 202}, answer.text
    return answer.json()


def _running_workers(server) -> dict[int, float]:
    """CPU seconds of the server's descendants, by process id."""
    found = {}
    for child in psutil.Process(server.process.pid).children(recursive=True):
        try:
            found[child.pid] = sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return found


def _is_running(job: dict) -> bool:
    assert job["state"] in {"queued", "running"}, job
    return job["state"] == "running" and job["fraction"] > 0


def test_cancelling_stops_the_process(server, big_scan: str) -> None:
    job = _post(server, big_scan, seed=1, **LONG)
    server.wait(job["id"], _is_running)
    before = _running_workers(server)
    time.sleep(1)
    after = _running_workers(server)
    busy = max(after, key=lambda pid: after[pid] - before.get(pid, 0))
    answer = requests.delete(f"{server.url}/explain/jobs/{job['id']}", timeout=60)
    assert answer.status_code == 200, answer.text
    deadline = time.monotonic() + 60  # the job itself takes minutes
    while psutil.pid_exists(busy) and psutil.Process(busy).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker still runs after the job was cancelled"
        time.sleep(0.02)
    assert answer.json()["state"] == "cancelled"


def test_info_answers_while_inferring_and_explaining(server, big_scan: str) -> None:
    job = _post(server, big_scan, seed=2, **LONG)
    server.wait(job["id"], _is_running)
    inference = threading.Thread(
        target=lambda: requests.post(f"{server.url}/infer/tiny", params={"image": big_scan, "output": "json"})
    )
    inference.start()
    for _ in range(20):
        assert requests.get(f"{server.url}/info/", timeout=60).status_code == 200
        time.sleep(0.05)
    assert server.job(job["id"])["state"] == "running"
    requests.delete(f"{server.url}/explain/jobs/{job['id']}")
    inference.join()


def test_a_killed_server_loses_no_finished_result(server, big_scan: str, oblique_scan: Path) -> None:
    with oblique_scan.open("rb") as file:
        requests.put(f"{server.url}/datastore/", params={"image": "small"}, files={"file": ("small.nii.gz", file)})
    finished = _post(server, "small")
    server.wait(finished["id"], lambda job: job["state"] == "done")
    result = requests.get(f"{server.url}/explain/jobs/{finished['id']}/result", params={"part": "saliency"}).content
    unfinished = _post(server, big_scan, seed=3, **LONG)
    server.wait(unfinished["id"], _is_running)
    children = list(_running_workers(server))

    server.kill()
    deadline = time.monotonic() + 60
    while any(psutil.pid_exists(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in children if psutil.pid_exists(pid)], "workers outlive a killed server"
    server.start()

    assert server.job(finished["id"])["state"] == "done"
    again = requests.get(f"{server.url}/explain/jobs/{finished['id']}/result", params={"part": "saliency"}).content
    assert again == result
    assert server.job(unfinished["id"])["state"] == "interrupted"
    assert requests.get(f"{server.url}/explain/jobs/{unfinished['id']}/result").status_code == 409
    resubmitted = _post(server, "small")
    assert server.wait(resubmitted["id"], lambda job: job["state"] == "done", seconds=5)["state"] == "done"
