import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slicerxai.errors import ConflictError
from slicerxai.server import job_schema
from slicerxai.server.jobs import Job, JobStore

VERSION_1 = Path(__file__).parent / "data" / "jobs_1.sql"
"""Written by the first version of the job list: done, failed, inferred, cancelled, running and waiting jobs."""


@pytest.fixture
def old_list(tmp_path):
    path = tmp_path / "jobs.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text())
    return path


def test_no_job_of_an_older_list_is_lost(old_list):
    with closing(sqlite3.connect(old_list)) as connection:
        before = connection.execute("SELECT id, state, request, key, message, error, fraction FROM jobs").fetchall()
    store = JobStore(old_list)
    with closing(sqlite3.connect(old_list)) as connection:
        after = connection.execute("SELECT id, state, request, key, message, error, fraction FROM jobs").fetchall()
        assert job_schema.version_of(connection) == job_schema.VERSION
    assert len(before) == 6
    assert sorted(before) == sorted(after)
    assert [job.id for job in store.newest(10)] == [f"{number:032x}" for number in range(6, 0, -1)]
    assert store.get(f"{2:032x}").error == {"status": 422, "title": "Unusable input", "detail": "no such region"}
    assert store.get(f"{1:032x}").request_id == ""
    store.add(Job(kind="explain", method="saliency", request={}, owner="x", request_id="from-a-new-one"))
    assert store.newest(1)[0].request_id == "from-a-new-one"
    store.close()
    assert not list(old_list.parent.glob("*damaged*"))


def test_a_step_that_fails_leaves_the_list_as_it_was(old_list, monkeypatch):
    before = old_list.read_bytes()
    broken = (
        "ALTER TABLE jobs ADD COLUMN request_id TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX nonsense ON missing (id)",
    )
    monkeypatch.setattr(job_schema, "STEPS", (job_schema.STEPS[0], broken))
    with closing(sqlite3.connect(old_list)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            job_schema.prepare(connection)
        assert job_schema.version_of(connection) == 1
        assert "request_id" not in {row[1] for row in connection.execute("PRAGMA table_info(jobs)")}
    assert old_list.read_bytes() == before


def test_a_newer_list_is_refused_and_kept(tmp_path):
    path = tmp_path / "jobs.sqlite3"
    JobStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {job_schema.VERSION + 1}")
    with pytest.raises(ConflictError, match=rf"version {job_schema.VERSION + 1}.*newer program"):
        JobStore(path)
    with pytest.raises(ConflictError, match="newer program"):
        job_schema.check(path)
    with closing(sqlite3.connect(path)) as connection:
        assert job_schema.version_of(connection) == job_schema.VERSION + 1
    assert not list(tmp_path.glob("*damaged*"))


def test_a_missing_or_damaged_list_is_left_to_the_store(tmp_path):
    job_schema.check(tmp_path / "jobs.sqlite3")
    (tmp_path / "jobs.sqlite3").write_bytes(b"no database" * 100)
    job_schema.check(tmp_path / "jobs.sqlite3")
    assert (tmp_path / "jobs.sqlite3").read_bytes() == b"no database" * 100


def test_counts_are_by_method_and_state(old_list):
    store = JobStore(old_list)
    assert store.counts() == {
        ("saliency", "done"): 1,
        ("quality", "failed"): 1,
        ("infer", "done"): 1,
        ("property", "cancelled"): 1,
        ("saliency", "running"): 1,
        ("shift", "queued"): 1,
    }
    store.close()
