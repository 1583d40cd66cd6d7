"""The job list and the results while their files break, vanish or find no space."""

import errno
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from small_server import make_home, make_pool

from slicerxai.errors import ConflictError, UnavailableError
from slicerxai.explain.contract import Explanation, Figure
from slicerxai.explain.folder import PNG_SIGNATURE, save
from slicerxai.server import worker
from slicerxai.server.jobs import Job, JobStore
from slicerxai.server.results import ResultStore
from slicerxai.server.storage import StorageFullError, storage_error
from slicerxai.server.temporary import TemporaryFolder
from tests.support.small_disk import filled, small_disk


def job(**changes):
    return Job(**({"kind": "explain", "method": "saliency", "request": {"image": "a"}, "owner": "me"} | changes))


@pytest.fixture
def store(tmp_path):
    (tmp_path / "jobs").mkdir()
    store = JobStore(tmp_path / "jobs" / "jobs.sqlite3", remembers=True)
    yield store
    store.close()


def some_jobs(store):
    jobs = [job(), job(), job()]
    for each in jobs:
        store.add(each)
    store.finish(jobs[0].computation, "done", "done")
    store.begin(jobs[1].computation, 17)
    return jobs


@pytest.mark.parametrize("damage", ["overwritten", "emptied", "deleted", "replaced"])
def test_no_job_is_lost_to_a_list_that_breaks_while_it_is_open(store, tmp_path, damage):
    jobs = some_jobs(store)
    if damage == "overwritten":
        store.path.write_bytes(b"no database " * 1000)
    elif damage == "emptied":
        store.path.write_bytes(b"")
    elif damage == "deleted":
        store.path.unlink()
    else:
        JobStore(tmp_path / "other.sqlite3").close()
        (tmp_path / "other.sqlite3").replace(store.path)
    states = [store.get(each.id).state for each in jobs]
    assert states[0] == "done"
    assert states[2] == "queued"
    store.add(newest := job())
    assert [each.id for each in store.newest(9)] == [each.id for each in (newest, *reversed(jobs))]
    other = JobStore(store.path)
    assert len(other.newest(9)) == 4
    other.close()


def test_a_process_notices_that_another_has_replaced_the_list(store):
    other = JobStore(store.path)
    store.add(one := job())
    store.path.write_bytes(b"no database " * 1000)
    assert store.get(one.id).state == "queued"
    assert other.begin(one.computation, 17)
    assert store.get(one.id).state == "running"
    other.close()


def test_the_folder_of_the_list_may_be_away_for_a_while(store):
    jobs = some_jobs(store)
    folder, aside = store.path.parent, store.path.parent.with_name("aside")
    folder.rename(aside)
    store.finish(jobs[1].computation, "done", "done")
    assert store.get(jobs[1].id).state == "done"
    with pytest.raises(FileNotFoundError):
        store.add(job())
    assert not folder.exists()
    aside.rename(folder)
    assert [each.state for each in store.newest(9)] == ["queued", "done", "done"]
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT count(*) FROM jobs WHERE state = 'done'").fetchone() == (2,)


def test_the_end_of_a_job_is_not_lost_to_a_full_disk(tmp_path):
    with small_disk(tmp_path / "disk", 400) as disk:
        store = JobStore(disk / "jobs.sqlite3", remembers=True)
        jobs = some_jobs(store)
        with filled(disk):
            with pytest.raises(sqlite3.OperationalError) as refused:
                store.add(job(request={"image": "a" * 500_000}))
            assert isinstance(storage_error(refused.value), StorageFullError)
            store.finish(jobs[1].computation, "failed", "m" * 9000, {"status": 500, "title": "t", "detail": "d"})
            assert store.get(jobs[1].id).state == "failed"
        store.get(jobs[1].id)
        other = JobStore(store.path)
        assert other.get(jobs[1].id).state == "failed"
        other.close()
        store.close()


def test_a_damaged_result_is_not_sent_and_is_computed_anew(tmp_path):
    results, key = ResultStore(tmp_path), "a" * 64
    explanation = Explanation(method="saliency", parameters={}, image_id="a", figures={"f": Figure(PNG_SIGNATURE, "f")})
    save(explanation, results.path(key))
    assert results.existing(key) == tmp_path / key
    (tmp_path / key / "figures" / "f.png").write_bytes(PNG_SIGNATURE[:-1] + b"x")
    with pytest.raises(ConflictError, match="damaged"):
        results.existing(key)
    results.drop_damaged(key)
    assert not results.has(key)


def test_without_the_folder_of_the_results_nothing_is_said_to_be_deleted(tmp_path):
    results = ResultStore(tmp_path / "results")
    (tmp_path / "results").rmdir()
    with pytest.raises(UnavailableError, match="gone"):
        results.existing("a" * 64)


def test_a_result_that_was_stored_when_the_server_was_killed_is_done(tmp_path):
    home, key = make_home(tmp_path / "home"), "b" * 64
    folder = home / "jobs"
    folder.mkdir()
    store = JobStore(folder / "jobs.sqlite3")
    for each in (stored := job(owner="dead", key=key), unfinished := job(owner="dead", key="c" * 64)):
        store.add(each)
    store.close()
    save(Explanation(method="saliency", parameters={}, image_id="a"), folder / "results" / key)
    (folder / "results" / ".half.partial").mkdir()
    pool = make_pool(home, workers=1)
    assert pool.jobs.get(stored.id).state == "done"
    assert pool.jobs.get(unfinished.id).state == "interrupted"
    assert [path.name for path in (folder / "results").iterdir()] == [key]
    pool.shutdown()


def test_what_was_computed_waits_for_space(monkeypatch):
    monkeypatch.setattr(worker, "RETRY_SECONDS", 0.0)
    faults, told = [errno.ENOSPC, errno.ENOENT, None], []

    def store():
        fault = faults.pop(0)
        if fault is not None:
            raise OSError(fault, "no")

    worker.patiently(lambda fraction, message: told.append(message), store)
    assert faults == []
    assert all("waiting" in message for message in told)
    faults[:] = [errno.EACCES]
    with pytest.raises(PermissionError):
        worker.patiently(lambda *_: None, store)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OSError(errno.ENOSPC, "full"), 507),
        (OSError(errno.EROFS, "read-only"), 503),
        (FileNotFoundError(errno.ENOENT, "gone"), None),
        (ValueError("other"), None),
    ],
)
def test_what_a_fault_of_the_storage_means_for_a_client(tmp_path, error, status):
    found = storage_error(error, (tmp_path,))
    assert (found and found.http_status) == status


def test_a_missing_file_is_a_fault_of_the_storage_when_the_folder_is_gone(tmp_path):
    assert storage_error(FileNotFoundError(errno.ENOENT, "gone"), (tmp_path / "away",)).http_status == 503


def test_another_program_that_reads_the_list_takes_nothing_from_it(store):
    """A file that is closed frees the locks of its process: SQLite in the other would take itself for the last user."""
    jobs = some_jobs(store)
    store.get(jobs[0].id)
    reading = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM jobs').fetchall(); c.close()"
    )
    subprocess.run([sys.executable, "-c", reading, str(store.path)], check=True)
    store.add(newest := job())
    other = JobStore(store.path)
    assert [each.id for each in other.newest(9)] == [each.id for each in (newest, *reversed(jobs))]
    other.close()


def test_what_a_killed_server_left_in_its_temporary_folder_is_deleted(tmp_path):
    before = tempfile.gettempdir()
    leave = (
        "import os, sys, tempfile; from pathlib import Path; from slicerxai.server.temporary import TemporaryFolder; "
        "TemporaryFolder(Path(sys.argv[1])); print(tempfile.mkstemp()[1]); sys.stdout.flush(); os._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", leave, str(tmp_path)], check=False, capture_output=True, text=True)
    left = Path(killed.stdout.strip())
    assert left.is_relative_to(tmp_path)
    assert left.exists()
    mine = TemporaryFolder(tmp_path)
    other = TemporaryFolder(tmp_path)
    assert not left.exists()
    assert mine.path.is_dir()
    assert mine.path.stat().st_mode & 0o077 == 0
    other.release()
    mine.release()
    assert tempfile.gettempdir() == before
    assert list(tmp_path.iterdir()) == []
