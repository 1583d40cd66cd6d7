"""Where workers come from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slicerxai.server import fork_server
from slicerxai.settings import settings

SCRIPT = Path(__file__).with_name("fork_script.py")


@pytest.fixture
def devices(tmp_path, monkeypatch):
    monkeypatch.setattr(fork_server, "DEVICES", tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    yield tmp_path
    settings.cache_clear()


def chosen(monkeypatch, device):
    monkeypatch.setenv("SLICERXAI_DEVICE", device)
    settings.cache_clear()
    return fork_server.worker_context().get_start_method()


@pytest.mark.parametrize("file", ["nvidia0", "kfd", "dxg"])
def test_workers_are_forked_only_where_networks_run_on_the_cpu(devices, monkeypatch, file):
    assert chosen(monkeypatch, "auto") == "forkserver"
    assert chosen(monkeypatch, "cuda") == "spawn"
    (devices / file).touch()
    assert chosen(monkeypatch, "auto") == "spawn"
    assert chosen(monkeypatch, "cpu") == "forkserver"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert chosen(monkeypatch, "cpu") == "spawn"


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_workers_share_what_was_imported_and_hold_nothing_of_the_server():
    environment = {**os.environ, "SLICERXAI_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    first, third, fourth = found["first"], found["third"], found["fourth"]
    for worker in (first, third):
        assert worker["heavy"]
        assert worker["parent"] == found["fork server"] != found["server"]
        assert worker["setting"] == "made later"
        assert worker["niceness"] == 10
        assert found["socket"] not in worker["files"]
        assert found["file"] not in worker["files"]
    assert found["stopped"] == "Stopped"
    assert fourth["heavy"]  # the process that they are forked from was killed, and another one began anew
    assert fourth["parent"] not in (found["fork server"], found["server"])
    assert found["socket"] not in fourth["files"]
