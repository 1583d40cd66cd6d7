"""The faults of the fault benchmark, each before, during and after a job."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.server_faults_site import Cell, Site, away, damaged, filled, of_job, told

CGROUP = Path("/sys/fs/cgroup/memory")
HOLD_SECONDS = 4.0
"""How long a fault lasts that strikes during a job."""


@dataclass(frozen=True)
class Fault:
    """Something that breaks while the block of `strike` lasts.

    Attributes:
        image: the study that is asked for while it lasts, of which nothing is in memory yet.
        while_reading: during a job it strikes as soon as the job is taken: later no job takes more memory.
        keeps_job: a job that was under way must end well in spite of it.
        restarts: the server ends and starts again, which counts as time without an answer.
    """

    name: str
    strike: Callable[[Site], AbstractContextManager[None]]
    image: str = "one"
    while_reading: bool = False
    keeps_job: bool = False
    restarts: bool = False


def cells(site: Site, fault: Fault, quick: bool = False) -> Iterator[Cell]:
    """The fault at each time; with `quick` during a job alone."""
    for when in ("during",) if quick else ("before", "during", "after"):
        cell = {"before": _before, "during": _during, "after": _after}[when](site, fault)
        cell.lost, cell.corrupt = site.lost(), site.corrupt()
        yield cell


def _before(site: Site, fault: Fault) -> Cell:
    site.ended(site.accepted())  # by a worker that has started and imported everything
    with fault.strike(site):
        answered = _answered(site, fault)
        answer = site.submit(study=fault.image)
        said = told(answer)
        if answer is not None and answer.status_code == 202:
            said = of_job(site.until(answer.json()["id"], _has_ended))
    return Cell(fault.name, "before", answered, said, _another(site), serves=_serves(site, fault))


def _during(site: Site, fault: Fault) -> Cell:
    job = site.accepted(long=True, study=fault.image if fault.while_reading else "long")
    if not fault.while_reading:
        running = site.running(job)
        assert running["state"] == "running", running
    with fault.strike(site):
        answered = _answered(site, fault)
        said = told(site.ask("GET", f"/explain/jobs/{job}"))
        time.sleep(HOLD_SECONDS)
    ended = site.ended(job)
    then = f"the job is {of_job(ended)}"
    if ended["state"] != "done":
        assert not fault.keeps_job, ended
        then += f"; {_another(site)}"
    return Cell(fault.name, "during", answered, said, then, serves=_serves(site, fault))


def _after(site: Site, fault: Fault) -> Cell:
    job = site.accepted()
    ended = site.ended(job)
    assert ended["state"] == "done", ended
    with fault.strike(site):
        answered = _answered(site, fault)
        said = "result " + told(site.ask("GET", f"/explain/jobs/{job}/result", 30))
    same = site.result(job) == site.done[job]
    then = "the result is the same" if same else "the result is LOST"
    return Cell(fault.name, "after", answered, said, then, serves=_serves(site, fault))


def _answered(site: Site, fault: Fault) -> float | None:
    """Seconds until the server answers; of one that was started again from its start on."""
    return site.server.answered_after if fault.restarts else site.answers()


def _serves(site: Site, fault: Fault) -> float | None:
    return site.server.ready_after if fault.restarts else None


def _has_ended(job: dict[str, object]) -> bool:
    return job["state"] not in {"queued", "running"}


def _another(site: Site) -> str:
    """What becomes of a request once the fault is over."""
    return f"the next job is {of_job(site.ended(site.accepted()))}"


@contextmanager
def _workers_killed(site: Site) -> Iterator[None]:
    for pid in site.workers():
        os.kill(pid, signal.SIGKILL)
    yield


@contextmanager
def _server_killed(site: Site) -> Iterator[None]:
    site.server.kill()
    site.server.start()
    yield


@contextmanager
def _memory_short(site: Site) -> Iterator[None]:
    """A limit (RLIMIT_AS) of what each worker has: allocations fail inside of it."""
    changed = []
    for pid in site.workers():
        with contextlib.suppress(OSError):
            taken = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.prlimit(pid, resource.RLIMIT_AS, (taken, resource.RLIM_INFINITY))
            changed.append(pid)
    yield
    for pid in changed:
        with contextlib.suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def _killed_for_memory(site: Site) -> Iterator[None]:
    """The workers in a control group that allows them a few MiB more than they have: the kernel kills."""
    group = CGROUP / f"slicerxai-faults-{os.getpid()}"
    group.mkdir()
    workers = site.workers()
    try:
        for pid in workers:
            (group / "cgroup.procs").write_text(str(pid))
        taken = int((group / "memory.usage_in_bytes").read_text())
        (group / "memory.limit_in_bytes").write_text(str(taken + 512 * 1024))
        yield
    finally:
        for left in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (CGROUP / "cgroup.procs").write_text(left)
        for _ in range(50):
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


@contextmanager
def _model_damaged(site: Site) -> Iterator[None]:
    (weights,) = [path for path in (site.home / "models" / "tiny").iterdir() if path.name != "model.json"]
    with damaged(weights):
        yield


@contextmanager
def _job_list_overwritten(site: Site) -> Iterator[None]:
    path = site.home / "jobs" / "jobs.sqlite3"
    path.write_bytes(b"this is no database " * 1000)
    yield


@contextmanager
def _job_list_deleted(site: Site) -> Iterator[None]:
    (site.home / "jobs" / "jobs.sqlite3").unlink()
    yield


@contextmanager
def _job_list_damaged_at_start(site: Site) -> Iterator[None]:
    """Pages in the middle are overwritten while the server is stopped."""
    site.server.kill()
    path = site.home / "jobs" / "jobs.sqlite3"
    content = bytearray(path.read_bytes())
    if len(content) > 12288:
        content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    site.server.start()
    yield


@contextmanager
def _clock(site: Site, days: float) -> Iterator[None]:
    site.set_clock(86400 * days)
    try:
        yield
    finally:
        site.set_clock(0)


@contextmanager
def _two_servers(site: Site) -> Iterator[None]:
    """A second server on the same home and studies."""
    from tests.support.server import FRUGAL, Server

    other = Server(site.root, site.home, **FRUGAL)
    with other:
        job = site.server.jobs()[0]
        assert other.job(job["id"])["id"] == job["id"]
        yield


@contextmanager
def _client_gone(site: Site) -> Iterator[None]:
    """Clients that leave in the middle of an upload, of waiting for a result, and of a download."""
    from benchmarks.server_faults_clients import leave_everywhere

    thread = threading.Thread(target=leave_everywhere, args=(site,))
    thread.start()
    yield
    thread.join()


def _studies_away(site: Site) -> AbstractContextManager[None]:
    return away(site.studies, mounted=site.mounted)


def _home_away(site: Site) -> AbstractContextManager[None]:
    return away(site.home, mounted=site.mounted)


def faults(site: Site) -> list[Fault]:
    """All that can be made here, those that restart the server last."""
    found = [
        Fault("worker killed (SIGKILL)", _workers_killed),
        Fault("no memory in a worker (RLIMIT_AS)", _memory_short, image="large", while_reading=True),
        Fault("image damaged", lambda site: damaged(site.studies / "one.nii.gz")),
        Fault("model damaged", _model_damaged),
        Fault("job list overwritten while open", _job_list_overwritten, keeps_job=True),
        Fault("job list deleted while open", _job_list_deleted, keeps_job=True),
        Fault("studies gone and back", _studies_away),
        Fault("home gone and back", _home_away),
        Fault("client gone: upload, wait, download", _client_gone, keeps_job=True),
        Fault("two servers on one store", _two_servers, keeps_job=True),
        Fault("server killed (SIGKILL)", _server_killed, restarts=True),
        Fault("job list damaged at start", _job_list_damaged_at_start, restarts=True),
    ]
    if CGROUP.is_dir() and os.access(CGROUP, os.W_OK) and os.geteuid() == 0:
        found.insert(
            2, Fault("kernel kills for memory (cgroup)", _killed_for_memory, image="large", while_reading=True)
        )
    if site.mounted:
        found.insert(3, Fault("disk of the home full", lambda site: filled(site.home), keeps_job=True))
        found.insert(4, Fault("disk of the studies full", lambda site: filled(site.studies), keeps_job=True))
    if site.has_clock:
        found.insert(-2, Fault("clock set forward 400 days", partial(_clock, days=400), keeps_job=True))
        found.insert(-2, Fault("clock set back 400 days", partial(_clock, days=-400), keeps_job=True))
    return found
