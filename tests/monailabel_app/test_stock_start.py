"""The stock command with `--uvicorn_app slicerxai.server.app:app`, and a server without models."""

import shutil
import socket
import sys
from pathlib import Path

import numpy as np
import pytest
import requests
from requests import Response

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from tests.support.server import FRUGAL, Server

APP = Path(__file__).parents[2] / "monailabel_app"


def address_of_this_machine() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    root = tmp_path_factory.mktemp("stock")
    app = root / "app"
    shutil.copytree(APP, app, ignore=shutil.ignore_patterns("bin", "lib", "logs", "model", "__pycache__"))
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(app)]
    command += ["--studies", str(root / "studies"), "--uvicorn_app", "slicerxai.server.app:app"]
    running = Server(root, command=command, **FRUGAL)
    write_volume(running.studies / "one.nii.gz", Volume(np.ones((16, 16, 16), np.float32), np.eye(4)))
    with running:
        yield running


def test_it_serves_the_same_app(stock):
    info = stock.request("GET", "/info/").json()
    assert info["name"] == "SlicerXAI"
    assert info["models"] == {}
    assert set(info["trainers"]) == {"fast", "nnunet", "classifier", "aligned"}
    assert stock.request("GET", "/explain/").status_code == 200


def test_without_a_model_it_says_what_to_type(stock):
    for route in ("/infer/anything?image=one", "/batch/infer/anything"):
        answer = stock.request("POST", route)
        assert answer.status_code == 404
        assert "slicerxai train" in answer.json()["detail"]
    assert "slicerxai train" in (stock.root / "stderr").read_text()


def test_next_sample_needs_no_model(stock):
    answer = stock.request("POST", "/activelearning/uncertainty").json()
    assert answer["id"] == "one"
    assert "no model" in answer["reason"]


def test_another_address_is_refused_though_the_command_binds_all(stock):
    address = address_of_this_machine()
    if address is None or address.startswith("127."):
        pytest.skip("this machine has no other address")
    answer: Response = requests.get(stock.url.replace("127.0.0.1", address) + "/info/", timeout=30)
    assert answer.status_code == 403
    assert address in answer.json()["detail"]


def test_doors_are_closed_here_too(stock):
    assert stock.request("POST", "/reload").status_code == 404
    answer = stock.request("GET", "/info/", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_it_ends_when_asked_to(stock):
    stock.process.terminate()
    assert stock.process.wait(timeout=30) in {0, -15, 1}
