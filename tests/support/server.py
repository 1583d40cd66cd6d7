"""The real server in a process of its own, on a real port, over a folder of studies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

START_SECONDS = 180
STOP_SECONDS = 20
FRUGAL = {
    "SLICERXAI_WORKERS": "1",
    "SLICERXAI_THREADS": "1",
    "SLICERXAI_DEVICE": "cpu",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Variables of a server with one worker on one processor core."""


class Server:
    """A server that runs from `with` on until it is stopped; it can be killed and started again on the same port.

    Attributes:
        root: its working folder, with the files `stdout` and `stderr`.
        studies: `root/studies`, made here; put images there at any time.
        home: its SLICERXAI_HOME: models, jobs, results.
        url, port, process: of the running server.
        answered_after, ready_after: seconds from its start to its first answer of any kind, and until it serves.
    """

    def __init__(
        self, root: Path, home: Path | None = None, command: Sequence[str] | None = None, **environment: str
    ) -> None:
        """Take a free port.

        Args:
            home: `root/home` by default.
            command: that starts it, without the port; `slicerxai serve` by default.
            environment: more variables; MONAI Label's and our own are not taken over from this process.
        """
        self.root, self.home = root, home or root / "home"
        self.studies = root / "studies"
        self.studies.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = command or [sys.executable, "-m", "slicerxai.cli.main", "serve", str(self.studies)]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MONAI_LABEL_", "SLICERXAI_"))}
        self._environment = kept | {"SLICERXAI_HOME": str(self.home)} | environment

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """Its workers stand still, so that what they do is not done before it is cancelled."""
        server = psutil.Process(self.process.pid)
        workers = [
            process
            for process in server.children(recursive=True)
            if process.ppid() != server.pid or any("spawn_main" in part for part in process.cmdline())
        ]
        assert workers, "no worker lives"
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.resume()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it serves."""
        self.answered_after: float | None = None
        begun = time.monotonic()
        with self._output("stdout").open("ab") as out, self._output("stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [*self._command, "--port", str(self.port)],
                env=self._environment,
                cwd=self.root,
                stdout=out,
                stderr=errors,
                start_new_session=True,
            )
        while self.process.poll() is None and time.monotonic() < begun + START_SECONDS:
            with contextlib.suppress(requests.RequestException):
                status = requests.get(f"{self.url}/info/", timeout=10).status_code
                self.ready_after = time.monotonic() - begun
                if self.answered_after is None:
                    self.answered_after = self.ready_after
                if status in {200, 401}:
                    return
            time.sleep(0.1)
        said = self._output("stderr").read_text()[-3000:]
        self.kill()
        pytest.fail(f"no server at {self.url}; exit code {self.process.poll()}; it said: {said}")

    def stop(self) -> None:
        """As Ctrl+C does; a server that does not end is killed, and the test fails."""
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the server did not stop within {STOP_SECONDS} s of SIGTERM")

    def kill(self) -> None:
        """SIGKILL to the server's own process alone, as a crash would end it."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)

    @property
    def line(self) -> str:
        """What it has said on its standard output."""
        return self._output("stdout").read_text()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return requests.request(method, self.url + path, timeout=120, **options)

    def job(self, identifier: str) -> dict[str, Any]:
        """A job as the server tells it."""
        found: dict[str, Any] = self.request("GET", f"/explain/jobs/{identifier}").json()
        return found

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, newest first."""
        found: list[dict[str, Any]] = self.request("GET", "/explain/jobs").json()
        return found

    def newest_job(self) -> dict[str, Any]:
        return self.jobs()[0]

    def wait(self, identifier: str, done: Callable[[dict[str, Any]], bool], seconds: float = 180) -> dict[str, Any]:
        """Ask for a job until something is true of it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = self.job(identifier)
            if done(job):
                return job
            time.sleep(0.1)
        pytest.fail(f"job did not get there in {seconds} s: {job}")

    def _output(self, name: str) -> Path:
        return self.root / name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
