"""Real worker processes: the results of the serial run, bit for bit, whatever happens to the workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from slicerxai.cluster.batch import run_batch
from slicerxai.cluster.folder import BatchFolder, Row
from slicerxai.cluster.request import Place, Request
from slicerxai.cluster.workers import local_workers, workers_of
from slicerxai.data.cohort import Cohort
from slicerxai.data.readers import read_cohort
from slicerxai.errors import Cancelled, UnavailableError
from slicerxai.explain.folder import read_document
from slicerxai.explain.result import save_result
from slicerxai.explain.run import parse_parameters, run
from slicerxai.models.store import ModelStore
from tests.core.cluster.conftest import METHOD, MODEL, PARAMETERS
from tests.support.batches import KillOneAtWork, content
from tests.support.spotted_cohort import write_cohort

if TYPE_CHECKING:
    from distributed import Client

pytestmark = pytest.mark.slow
CHANNELS = ["FLAIR"]


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Client]:
    with local_workers(2, threads=1, resources={}) as client:
        yield client


@pytest.fixture
def cohort(cohort_folder: Path) -> Cohort:
    return read_cohort(cohort_folder)


def serial(cohort: Cohort, here: Place, out: Path) -> dict[str, Path]:
    """The folder of each case's explanation, computed in this process one after the other."""
    import torch

    model = ModelStore(here.home / "models").load(MODEL, torch.device("cpu"))
    for case in cohort:
        save_result(run(METHOD, parse_parameters(METHOD, PARAMETERS), model, case.id, case.images), out / case.id)
    return {case.id: out / case.id for case in cohort}


def assert_equal_results(rows: list[Row], out: Path, expected: dict[str, Path]) -> None:
    assert {row.case for row in rows} == set(expected)
    for row in rows:
        assert row.state in {"computed", "kept"}, row
        assert content(out / "cases" / row.folder) == content(expected[row.case]), row.case
    assert {path.name for path in (out / "cases").iterdir()} == {row.folder for row in rows}


def test_equal_to_the_serial_run_though_a_worker_is_killed(
    two_workers: Client, cohort: Cohort, asked: Request, here: Place, tmp_path: Path
) -> None:
    expected = serial(cohort, here, tmp_path / "serial")
    out, kill = tmp_path / "out", KillOneAtWork(two_workers)
    rows = run_batch(two_workers, cohort, CHANNELS, asked, here, out, progress=kill)
    assert kill.killed is not None
    assert sorted(row.attempts for row in rows) == [1, 1, 1, 1, 1, 2]
    assert_equal_results(rows, out, expected)

    changed, removed, *_ = rows
    shutil.copy(cohort[rows[5].case].images["FLAIR"], cohort[changed.case].images["FLAIR"])
    shutil.rmtree(out / "cases" / removed.folder)
    again = run_batch(two_workers, cohort, CHANNELS, asked, here, out)
    assert [row.state for row in again] == ["computed", "computed", "kept", "kept", "kept", "kept"]
    assert_equal_results(again, out, serial(cohort, here, tmp_path / "serial"))


def test_a_bad_case_is_isolated_and_a_stop_leaves_whole_results(
    two_workers: Client, cohort: Cohort, asked: Request, here: Place, tmp_path: Path
) -> None:
    cohort["case 1"].images["FLAIR"].write_bytes(b"no image")

    def stop(fraction: float, message: str) -> None:
        if fraction >= 0.5:
            raise Cancelled

    out = tmp_path / "out"
    with pytest.raises(Cancelled):
        run_batch(two_workers, cohort, CHANNELS, asked, here, out, progress=stop)
    for folder in (out / "cases").iterdir():
        assert not folder.name.startswith(".")
        read_document(folder)
    finished = len(list((out / "cases").iterdir()))
    rows = {row.case: row for row in run_batch(two_workers, cohort, CHANNELS, asked, here, out)}
    assert (rows["case 1"].state, rows["case 1"].attempts) == ("failed", 3)
    assert "1_FLAIR.nii.gz" in rows["case 1"].error
    states = [row.state for row in rows.values()]
    assert (states.count("failed"), states.count("kept")) == (1, finished)
    assert states.count("computed") == 5 - finished


def test_local_workers_let_nobody_else_in(two_workers: Client) -> None:
    from distributed import Client

    address = two_workers.scheduler.address
    assert address.startswith("tls://127.0.0.1:")
    for other in (address, address.replace("tls", "tcp")):
        with pytest.raises((OSError, TypeError)):
            Client(other, timeout=3, set_as_default=False)
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = {c.laddr.ip for p in processes for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def batch(arguments: list[str], place: Place, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "slicerxai.cli.main", "batch", *arguments]
    environment = os.environ | place.environment
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def heeds_control_c() -> None:
    """A background job of a shell, such as this process may be, ignores it, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C reaches a group of processes")
def test_control_c_keeps_what_is_finished(cohort_folder: Path, here: Place, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = batch(
        [METHOD, "--cohort", str(cohort_folder), "--out", str(out), "--workers", "1"],
        here,
        start_new_session=True,
        preexec_fn=heeds_control_c,
    )
    workers = psutil.Process(process.pid)
    while not list((out / "cases").glob("case*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    workers = workers.children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Error: cancelled" in errors
    assert "Traceback" not in errors
    assert not psutil.wait_procs(workers, timeout=30)[1]
    found = list((out / "cases").iterdir())
    assert 1 <= len(found) < 6
    for folder in found:
        assert (folder / "report.html").is_file()
        read_document(folder)
    assert "open" in (out / "cases.csv").read_text(encoding="utf-8-sig")
    assert not list(out.glob(".run-*"))


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """`dask scheduler` and two `dask worker`s, one of which offers a GPU; with another home than this process."""
    found: list[subprocess.Popen[str]] = []
    environment = os.environ | {"SLICERXAI_HOME": str(tmp_path / "nowhere"), "SLICERXAI_THREADS": "2"}

    def dask(*arguments: str) -> None:
        command = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
        found.append(subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=log, text=True))

    with (tmp_path / "dask.log").open("w") as log:
        try:
            dask("scheduler", "--port", "0", "--scheduler-file", str(tmp_path / "scheduler.json"))
            address = ("--scheduler-file", str(tmp_path / "scheduler.json"), "--nthreads", "1")
            dask("worker", *address)
            dask("worker", *address, "--resources", "GPU=1")
            yield str(tmp_path / "scheduler.json")
        finally:
            for process in found:
                process.terminate()
            for process in found:
                process.wait(30)


def test_a_scheduler_that_runs_elsewhere(scheduler: str, asked: Request, here: Place, tmp_path: Path) -> None:
    cohort = read_cohort(write_cohort(tmp_path / "cohort", 3))
    while not Path(scheduler).exists():
        time.sleep(0.1)
    address = json.loads(Path(scheduler).read_text())["address"]
    out = tmp_path / "out"
    process = batch(
        [
            *(METHOD, "--cohort", str(tmp_path / "cohort"), "--out", str(out), "--scheduler", address, "--json"),
            *("--method", PARAMETERS["method"], "--seed", str(PARAMETERS["seed"]), "--model", MODEL),
        ],
        here,
    )
    shown, errors = process.communicate()
    assert process.returncode == 0, errors
    assert json.loads(shown) == {"out": str(out), "cases": 3, "computed": 3, "kept": 0, "failed": []}
    with BatchFolder(out).held(asked):  # the very same request
        pass
    with workers_of(address) as client:
        rows = run_batch(client, cohort, CHANNELS, asked, here, out, resources={"GPU": 1.0})
        assert [row.state for row in rows] == ["kept"] * 3
        assert_equal_results(rows, out, serial(cohort, here, tmp_path / "serial"))
        gone = tmp_path / "moved"
        (here.home / "models").rename(gone)
        try:
            with pytest.raises(UnavailableError, match="does not see the model"):
                run_batch(client, cohort, CHANNELS, asked, here, tmp_path / "second")
        finally:
            gone.rename(here.home / "models")
    log = (tmp_path / "dask.log").read_text()
    assert "Registered" in log
    assert "FLAIR" not in log
    assert "case 0" not in log


def test_no_scheduler_answers() -> None:
    with pytest.raises(UnavailableError, match="no scheduler answers at 'nonsense://x'"), workers_of("nonsense://x"):
        pass
