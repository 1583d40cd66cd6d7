"""What the fault benchmark works on: a real server with small disks of its own, and a ledger of what it answered."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from slicerxai.data.io import READABLE, read_volume, suffix_of, write_volume
from slicerxai.explain.folder import read_document
from tests.support.server import FRUGAL, Server
from tests.support.small_studies import image, prepare

ANSWER_SECONDS = 10.0
END_SECONDS = 240.0
HOME_MIB, STUDIES_MIB = 192, 160
LONG, LONG_STEPS = (48, 52, 44), 400
"""Image and steps of a job that takes about ten seconds of one core."""
LARGE = (224, 224, 224)
"""Some 45 MB a copy: more than what a worker has freed and not given back."""
SET_CLOCK = Path(__file__).parent / "set_clock" / "set_clock.c"


@dataclass
class Cell:
    """What one fault did at one time.

    Attributes:
        answered: seconds until the server answered anything, from the fault on.
        said: what it answered to what the fault concerns.
        then: what became of the work when the fault was over.
        serves: seconds until a server that was started again served; None for one that went on.
    """

    fault: str
    when: str
    answered: float | None
    said: str
    then: str
    lost: int = 0
    corrupt: list[str] = field(default_factory=list)
    serves: float | None = None


class Site:
    """A server over two studies and a model; home and studies are small file systems of their own where that may be.

    Attributes:
        mounted: whether they are (it takes root); a disk cannot be filled otherwise.
        has_clock: whether its clock can be set.
        done: job ids with the SHA-256 of the result that was seen.
        broken: files that a fault damaged on purpose.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home, self.studies = root / "home", root / "studies"
        self.mounted = os.geteuid() == 0 and self._mount()
        self.clock = root / "clock"
        self.clock.write_bytes(struct.pack("d", 0))
        preloaded = self._clock_library()
        self.has_clock = bool(preloaded)
        self.server = Server(root, self.home, **FRUGAL, **preloaded)
        self.done: dict[str, str] = {}
        self.broken: set[Path] = set()
        self._steps = 4
        prepare(self.server)
        write_volume(self.studies / "large.nii", image(2, LARGE))
        write_volume(self.studies / "long.nii", image(3, LONG))

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.server.kill()
        if self.mounted:
            for folder in (self.home, self.studies):
                _run("umount", "-l", folder)
                _run("umount", "-l", disk_of(folder))

    def _mount(self) -> bool:
        for folder, size in ((self.home, HOME_MIB), (self.studies, STUDIES_MIB)):
            folder.mkdir(parents=True)
            disk_of(folder).mkdir()
            if not _run("mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", disk_of(folder)):
                return False
            if not _run("mount", "--bind", disk_of(folder), folder):
                return False
        return True

    def _clock_library(self) -> dict[str, str]:
        """By which the server's clock follows a file; nothing where there is no C compiler."""
        library = self.root / "set_clock.so"
        if shutil.which("cc") is None or not _run("cc", "-O1", "-shared", "-fPIC", "-o", library, SET_CLOCK, "-ldl"):
            return {}
        return {"LD_PRELOAD": str(library), "SET_CLOCK_FILE": str(self.clock)}

    def set_clock(self, seconds: float) -> None:
        """Put the server's clock so far from the true time."""
        with self.clock.open("r+b") as file:
            file.write(struct.pack("d", seconds))

    def ask(self, method: str, path: str, seconds: float = ANSWER_SECONDS, **options: Any) -> requests.Response | None:
        """The answer; None without one in time."""
        try:
            return requests.request(method, self.server.url + path, timeout=seconds, **options)
        except requests.RequestException:
            return None

    def answers(self, within: float = 60.0) -> float | None:
        """Seconds until `GET /explain/jobs` and `GET /info/` are answered by anything; None when they are not."""
        begun = time.monotonic()
        while time.monotonic() - begun < within:
            if all(self.ask("GET", path) is not None for path in ("/explain/jobs?limit=1", "/info/")):
                return time.monotonic() - begun
            time.sleep(0.1)
        return None

    def submit(self, *, long: bool = False, study: str = "one") -> requests.Response | None:
        """Ask for an explanation that nobody has asked for before."""
        self._steps += 1
        steps = LONG_STEPS - self._steps if long else self._steps
        body = {"image": study, "parameters": {"method": "integrated_gradients", "steps": steps}}
        return self.ask("POST", "/explain/saliency", 60, json=body)

    def accepted(self, *, long: bool = False, study: str = "one", within: float = 60.0) -> str:
        """Submit until it is accepted; the job's id."""
        deadline = time.monotonic() + within
        while True:
            answer = self.submit(long=long, study=study)
            if answer is not None and answer.status_code == 202:
                return str(answer.json()["id"])
            if time.monotonic() > deadline:
                msg = f"not accepted within {within:.0f} s: {told(answer)}"
                raise AssertionError(msg)
            time.sleep(0.5)

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.ask("GET", f"/explain/jobs/{job_id}", 30)
        return answer.json() if answer is not None else {"state": "unknown"}

    def running(self, job_id: str) -> dict[str, Any]:
        """The job once it computes."""
        return self.until(job_id, lambda job: job["state"] != "queued" and (job.get("fraction") or 0) > 0)

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended, its result noted in the ledger."""
        job = self.until(job_id, lambda job: job["state"] not in {"queued", "running", "unknown"} and "state" in job)
        if job["state"] == "done":
            self.done[job_id] = self.result(job_id)
        return job

    def until(self, job_id: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            job = self.job(job_id)
            if "state" in job and true(job):
                return job
            time.sleep(0.1)
        msg = f"job {job_id} did not get there in {END_SECONDS:.0f} s: {job}"
        raise AssertionError(msg)

    def result(self, job_id: str) -> str:
        """SHA-256 of the result as it is sent; what was answered instead where there is none."""
        answer = self.ask("GET", f"/explain/jobs/{job_id}/result", 60)
        return hashlib.sha256(answer.content).hexdigest() if answer is not None and answer.ok else told(answer)

    def workers(self) -> list[int]:
        """Process ids of the workers, by their command line."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.server.process.pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def ready(self, within: float = 120.0) -> dict[str, Any]:
        """What readiness says once it is well, or after that time."""
        deadline = time.monotonic() + within
        while True:
            answer = self.ask("GET", "/health/ready")
            if (answer is not None and answer.ok) or time.monotonic() > deadline:
                return {} if answer is None else answer.json()
            time.sleep(0.5)

    def lost(self) -> int:
        """Results that were seen and are no longer there, or are others."""
        return sum(self.result(job_id) != digest for job_id, digest in self.done.items())

    def corrupt(self) -> list[str]:
        """Files under a final name that are not whole, but for those that were broken on purpose."""
        files = [path for folder in (self.home, self.studies) for path in folder.rglob("*") if path.is_file()]
        hidden = {path for path in files if any(part.startswith(".") for part in path.relative_to(self.root).parts)}
        judged = [path for path in files if path not in hidden | self.broken and ".damaged-" not in path.name]
        return [str(path.relative_to(self.root)) for path in judged if not is_whole(path)]


def is_whole(path: Path) -> bool:
    """Whether a file can be read to its end as what its name says."""
    try:
        if suffix_of(path) in READABLE:
            read_volume(path)
        elif path.name == "explanation.json":
            document = read_document(path.parent)
            digests = {entry.file: entry.sha256 for entry in document.overlays.values()}
            return all(_sha256(path.parent / file) == sha256 for file, sha256 in digests.items())
        elif path.suffix == ".json" or path.name == "meta.info":
            json.loads(path.read_bytes())
        elif path.suffix == ".sqlite3":
            with closing(sqlite3.connect(path)) as connection:
                return bool(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
    except (OSError, ValueError, sqlite3.Error):
        return False
    return True


def told(answer: requests.Response | None) -> str:
    """Status and detail of a problem, or the status."""
    if answer is None:
        return "no answer"
    with contextlib.suppress(ValueError):
        content = answer.json()
        if isinstance(content, Mapping) and "detail" in content:
            return f"{answer.status_code}: {content['detail']}"
    return str(answer.status_code)


def of_job(job: Mapping[str, Any]) -> str:
    """A job's state, with the reason where it has one."""
    error = job.get("error") or {}
    reason = error.get("detail") or (job.get("message") if job.get("state") == "interrupted" else "")
    return f"{job.get('state')}{f': {reason}' if reason else ''}"


@contextmanager
def filled(folder: Path, left: int = 0) -> Iterator[None]:
    """A file system without space, but for so many bytes."""
    filler = folder / ".filler"
    try:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(64 * 1024))
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        os.truncate(filler, max(0, filler.stat().st_size - left))
        yield
    finally:
        filler.unlink(missing_ok=True)


@contextmanager
def damaged(path: Path, content: bytes = b"\x00garbage\xff" * 512) -> Iterator[None]:
    """A file overwritten in place, and restored."""
    kept = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(kept)


@contextmanager
def away(folder: Path, *, mounted: bool) -> Iterator[None]:
    """A folder that is gone and comes back with its content: unmounted, which leaves it empty, or else renamed."""
    aside = folder.with_name(f"{folder.name}.away")
    gone = _run("umount", "-l", folder) if mounted else folder.rename(aside)
    assert gone, folder
    try:
        yield
    finally:
        back = _run("mount", "--bind", disk_of(folder), folder) if mounted else aside.rename(folder)
        assert back, folder


def disk_of(folder: Path) -> Path:
    """Where the file system of a folder of the site is mounted itself."""
    return folder.with_name(f"{folder.name}.disk")


def _run(*command: object) -> bool:
    return subprocess.run([str(part) for part in command], check=False, capture_output=True).returncode == 0


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
