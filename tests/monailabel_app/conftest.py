"""One real server process for the tests of this folder, over generated volumes and an untrained network."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import requests

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore

SPACING = 2.0
UPLOAD_LIMIT = 4 * 1024**2


@dataclass
class Server:
    root: Path
    url: str
    process: subprocess.Popen[bytes]
    line: str = ""

    @property
    def studies(self) -> Path:
        return self.root / "studies"

    @property
    def home(self) -> Path:
        return self.root / "home"

    def request(self, method: str, path: str, **kwargs) -> requests.Response:
        return requests.request(method, self.url + path, timeout=120, **kwargs)


def brain(shape=(40, 44, 36), seed=0) -> np.ndarray:
    """A bright box with a brighter one in it."""
    array = np.zeros(shape, np.float32)
    array[6:-6, 6:-6, 6:-6] = np.random.default_rng(seed).normal(100, 10, tuple(n - 12 for n in shape))
    array[15:20, 15:20, 15:20] += 80
    return array


def oblique() -> np.ndarray:
    """Left-handed and turned by 20° about the first axis, 2 mm."""
    angle = np.deg2rad(20)
    affine = np.eye(4)
    affine[:3, :3] = SPACING * np.array(
        [[-1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, -np.sin(angle), -np.cos(angle)]]
    )
    affine[:3, 3] = [30, -40, 50]
    return affine


def store_model(store: ModelStore, name: str, spacing: float) -> None:
    import torch

    from slicerxai.models.fast import WEIGHTS
    from slicerxai.models.unet import FastUNet

    features = (4, 8)
    torch.manual_seed(0)
    config = {"spacing": spacing, "patch_size": [32, 32, 32], "features": list(features)}
    description = {"name": name, "kind": "fast", "channels": ["FLAIR"], "labels": ["background", "lesion"]}
    with store.create(name) as folder:
        torch.save(FastUNet(1, 2, features).state_dict(), folder / WEIGHTS)
        (folder / "model.json").write_text(json.dumps(description | {"config": config, "provenance": {}}))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment_of(root: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MONAI_LABEL_", "SLICERXAI_"))}
    return kept | {
        "SLICERXAI_HOME": str(root / "home"),
        "SLICERXAI_WORKERS": "1",
        "SLICERXAI_THREADS": "1",
        "SLICERXAI_DEVICE": "cpu",
        "SLICERXAI_UPLOAD_LIMIT": str(UPLOAD_LIMIT),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if requests.get(f"{url}/info/", timeout=10).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    pytest.fail(f"no server at {url}; exit code {process.poll()}")


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def start():
    """Start a server command in a folder, `--port` added, and wait until it answers."""

    @contextmanager
    def starting(command: list[str], root: Path) -> Iterator[Server]:
        port = free_port()
        with (root / "stdout").open("w") as out, (root / "stderr").open("w") as errors:
            process = subprocess.Popen(
                [*command, "--port", str(port)], env=environment_of(root), cwd=root, stdout=out, stderr=errors
            )
        running = Server(root, f"http://127.0.0.1:{port}", process)
        try:
            wait_for(running.url, process)
            yield running
        finally:
            end(process)

    return starting


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, start) -> Iterator[Server]:
    """`slicerxai serve` with models "tiny" and "slow", images "one", "two", "turned" and "big"."""
    root = tmp_path_factory.mktemp("server")
    studies = root / "studies"
    studies.mkdir()
    affine = np.diag([SPACING, SPACING, SPACING, 1])
    write_volume(studies / "one.nii.gz", Volume(brain(), affine))
    write_volume(studies / "two.nrrd", Volume(brain(seed=1), affine))
    write_volume(studies / "turned.nii.gz", Volume(brain(seed=2), oblique()))
    write_volume(studies / "big.nii.gz", Volume(brain((90, 90, 90), seed=3), np.eye(4)))
    store = ModelStore(root / "home" / "models")
    store_model(store, "tiny", SPACING)
    store_model(store, "slow", 1.0)
    command = [sys.executable, "-m", "slicerxai.cli.main", "serve", str(studies)]
    with start(command, root) as running:
        running.line = (root / "stdout").read_text()
        yield running
