"""A server as one would leave it running: on a read-only file system but for its folders, watched, saved, stopped."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from slicerxai.data.io import write_volume
from slicerxai.server.backup import make_backup
from slicerxai.server.jobs import JobStore
from slicerxai.server.restore import restore_backup
from tests.conftest import spotted_brain
from tests.support.server import FRUGAL, STOP_SECONDS, Server

READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && exec "$@"'
"""Only the folder `$0` can be written; as root, in mounts of its own."""
NAME = "Doe_Jane_1970"


def confined(root):
    """The command in front of the server's that makes everything else read-only; empty where only root may do so."""
    prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c", READ_ONLY, str(root)]
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        return []
    return prefix


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("operations")
    (root / "tmp").mkdir()
    command = [*confined(root), sys.executable, "-m", "slicerxai.cli.main", "serve", str(root / "studies")]
    places = {"TMPDIR": str(root / "tmp"), "MPLCONFIGDIR": str(root / "tmp"), "XDG_CACHE_HOME": str(root / "tmp")}
    running = Server(root, command=command, **FRUGAL, **places)
    image, _ = spotted_brain(seed=1)
    write_volume(running.studies / f"{NAME}.nii.gz", image)
    with running:
        yield running


@pytest.fixture(scope="module")
def ready(server):
    server_ready(server)
    return server


def server_ready(server):
    deadline = time.monotonic() + 120
    while (answer := server.request("GET", "/health/ready")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def test_it_is_ready_on_a_read_only_file_system(ready):
    assert ready.request("GET", "/health/live").json() == {"live": True}
    found = ready.request("GET", "/health/ready").json()
    assert found["ready"]
    assert {one["name"] for one in found["conditions"]} >= {"home", "studies", "jobs", "workers"}
    assert str(ready.root) not in json.dumps(found)
    if confined(ready.root):
        mounts = [line.split() for line in Path(f"/proc/{ready.process.pid}/mounts").read_text().splitlines()]
        assert "ro" in next(line for line in mounts if line[1] == "/")[3].split(",")


def test_the_log_follows_a_request_and_names_nobody(ready):
    answers = [
        ready.request("GET", f"/datastore/image?image={NAME}", headers={"X-Request-ID": "follow-me-1"}),
        ready.request("GET", f"/datastore/image/info?image={NAME}"),
        ready.request("POST", f"/infer/missing?image={NAME}"),
        ready.request("POST", "/explain/saliency", json={"image": NAME, "parameters": {}}),
        ready.request("PUT", f"/datastore/label?image={NAME}&tag=final", files={"label": (f"{NAME}.nii.gz", b"bad")}),
        ready.request("GET", f"/explain/worklist/{NAME}"),
        ready.request("GET", "/datastore/", headers={"Authorization": "Bearer very-secret-token-1"}),
    ]
    assert answers[0].headers["X-Request-ID"] == "follow-me-1"
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == len(answers)
    assert answers[0].status_code == 200
    lines = [json.loads(line) for line in (ready.home / "monailabel_app/logs/app.log").read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request") == "follow-me-1"]
    assert (line["logger"], line["route"], line["status"]) == ("slicerxai.requests", "/datastore/image", 200)
    texts = [path.read_bytes() for path in ready.home.rglob("*") if path.is_file()]
    texts += [(ready.root / name).read_bytes() for name in ("stdout", "stderr")]
    assert not [text for text in texts if b"Doe" in text or b"very-secret" in text]


def test_figures_name_routes_and_nobody(ready):
    ready.request("GET", f"/datastore/image/info?image={NAME}")
    text = ready.request("GET", "/metrics").text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    routes = {sample.labels["route"] for sample in samples if sample.name == "slicerxai_requests_total"}
    assert {"/datastore/image/info", "/health/live"} <= routes
    assert "Doe" not in text
    assert "download" in {sample.labels["kind"] for sample in samples if sample.name == "slicerxai_requests_waiting"}
    figures = {sample.name: sample.value for sample in samples if not sample.labels}
    assert figures["slicerxai_workers"] == 1
    assert figures["slicerxai_workers_resident_memory_bytes"] > 10e6


def test_a_backup_of_a_running_server_comes_back(ready, tmp_path):
    saved = make_backup(tmp_path / "backup.tar", ready.home, ready.studies)
    done = restore_backup(tmp_path / "backup.tar", tmp_path / "other")
    assert done.files + done.studies_left == saved.files
    JobStore(tmp_path / "other" / "jobs" / "jobs.sqlite3").close()
    assert ready.request("GET", "/health/ready").status_code == 200


def test_sigterm_ends_it_in_order(ready):
    """Last: it stops the server."""
    children = psutil.Process(ready.process.pid).children(recursive=True)
    assert children
    ready.process.send_signal(signal.SIGTERM)
    assert ready.process.wait(timeout=STOP_SECONDS) == 0
    assert not psutil.wait_procs(children, timeout=5)[1]
    store = JobStore(ready.home / "jobs" / "jobs.sqlite3")
    assert not store.owners()
    store.close()
    assert not list((ready.home / "jobs" / "servers").glob("*.lock"))
