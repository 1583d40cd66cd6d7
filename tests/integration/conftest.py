"""The real server in a process of its own, on a real port, over a folder of studies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests


class Server:
    """A running `slicerxai serve`."""

    def __init__(self, studies: Path, home: Path, log: Path) -> None:
        self.studies, self.home, self.log = studies, home, log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "slicerxai.cli.main", "serve", str(self.studies), "--port", str(self.port)]
        environment = {**os.environ, "SLICERXAI_HOME": str(self.home)}
        self.process = subprocess.Popen(
            command, stdout=self.log.open("ab"), stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if requests.get(f"{self.url}/info/", timeout=5).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.2)
        pytest.fail(f"the server did not start: {self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail("the server did not stop within 20 s of SIGTERM")

    def kill(self) -> None:
        """SIGKILL to the server's own process alone, as a crash would end it."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)

    def job(self, identifier: str) -> dict:
        return requests.get(f"{self.url}/explain/jobs/{identifier}", timeout=30).json()

    def wait(self, identifier: str, done: Callable[[dict], bool], seconds: float = 180) -> dict:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.job(identifier)
            if done(job):
                return job
            time.sleep(0.1)
        pytest.fail(f"job did not get there in {seconds} s: {job}")


@pytest.fixture(scope="module")
def server(tiny_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "studies").mkdir()
    running = Server(folder / "studies", tiny_home, folder / "server.log")
    yield running
    running.stop()
