import logging
import multiprocessing
import sqlite3
import threading

import pytest

from slicerxai.errors import NotFoundError
from slicerxai.server.jobs import Job, JobStore
from slicerxai.server.results import ResultStore, result_key


def job(**changes):
    return Job(**({"kind": "explain", "method": "saliency", "request": {"image": "a"}, "owner": "me"} | changes))


@pytest.fixture
def store(tmp_path):
    store = JobStore(tmp_path / "jobs.sqlite3")
    yield store
    store.close()


def test_a_job_comes_back_as_it_was(store):
    original = job(key="k", error={"status": 422, "title": "t", "detail": "ü"}, started=1.5)
    store.add(original)
    assert store.get(original.id) == original


def test_unknown_job(store):
    with pytest.raises(NotFoundError, match="'nope'"):
        store.get("nope")


def test_life_of_a_job(store):
    one = job()
    store.add(one)
    assert store.begin(one.computation, 123)
    assert not store.begin(one.computation, 124)
    store.report(one.computation, 0.25, "a quarter")
    running = store.get(one.id)
    assert (running.state, running.fraction, running.message, running.pid) == ("running", 0.25, "a quarter", 123)
    store.finish(one.computation, "done", "done")
    done = store.get(one.id)
    assert (done.state, done.fraction, done.pid) == ("done", 1.0, None)
    assert done.ended >= done.started >= done.created
    store.report(one.computation, 0.5, "late")
    store.finish(one.computation, "failed", "late")
    assert not store.cancel(one.id)
    assert store.get(one.id) == done


def test_jobs_of_one_computation_move_together_and_end_alone(store):
    first, second = job(computation="c"), job(computation="c")
    store.add(first)
    store.add(second)
    store.begin("c", 1)
    assert store.cancel(first.id)
    store.report("c", 0.5, "half")
    assert (store.get(first.id).fraction, store.get(second.id).fraction) == (0.0, 0.5)
    store.finish("c", "failed", "no", {"status": 500, "title": "t", "detail": "no"})
    assert [store.get(each.id).state for each in (first, second)] == ["cancelled", "failed"]


def test_interrupt_marks_only_what_had_not_ended_of_that_owner(store):
    jobs = [job(), job(state="running"), job(state="done"), job(owner="other")]
    for each in jobs:
        store.add(each)
    assert store.owners() == {"me", "other"}
    assert store.interrupt("me") == 2
    assert [store.get(each.id).state for each in jobs] == ["interrupted", "interrupted", "done", "queued"]


def test_newest_first(store):
    """By the order in which they came, whatever the clock said."""
    jobs = [job(created=float(time)) for time in (2, 3, 1)]
    for each in jobs:
        store.add(each)
    assert [each.created for each in store.newest(2)] == [1.0, 3.0]


def test_eta_extrapolates_the_pace_so_far():
    running = job(state="running", started=100.0, updated=110.0, fraction=0.25)
    assert running.eta(now=112.0) == pytest.approx(28.0)
    assert running.eta(now=1000.0) == 0.0
    assert job().eta(now=1.0) is None


@pytest.mark.parametrize(("damage", "rescued"), [(b"this is no database" * 100, 0), (None, 200)])
def test_damaged_database_is_moved_aside(tmp_path, caplog, damage, rescued):
    path = tmp_path / "jobs.sqlite3"
    store = JobStore(path)
    for _ in range(200):
        store.add(job())
    store.close()
    if damage is None:  # some pages in the middle, the header stays valid
        content = bytearray(path.read_bytes())
        content[8192:16384] = b"\xff" * 8192
        damage = bytes(content)
    path.write_bytes(damage)
    with caplog.at_level(logging.ERROR):
        fresh = JobStore(path)
    assert len(fresh.newest(1000)) == rescued
    fresh.add(job())
    fresh.close()
    (aside,) = tmp_path.glob("jobs.sqlite3.damaged-*")
    assert aside.read_bytes() == damage
    assert str(aside) in caplog.text


def test_a_locked_database_is_not_taken_for_a_damaged_one(tmp_path, monkeypatch):
    path = tmp_path / "jobs.sqlite3"
    JobStore(path).close()
    monkeypatch.setattr("slicerxai.server.job_file.BUSY_SECONDS", 0.1)
    blocker = sqlite3.connect(path)
    blocker.execute("PRAGMA locking_mode = EXCLUSIVE")
    blocker.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        JobStore(path)
    blocker.close()
    assert list(tmp_path.glob("*.damaged-*")) == []


def _add_many(path, count):
    store = JobStore(path)
    for _ in range(count):
        one = job()
        store.add(one)
        store.begin(one.computation, 1)
        store.finish(one.computation, "done", "done")
    store.close()


def test_threads_and_processes_share_the_file(tmp_path):
    path = tmp_path / "jobs.sqlite3"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add_many, args=(path, 40)) for _ in range(2)]
    for process in processes:
        process.start()
    store = JobStore(path)

    def work():
        for _ in range(40):
            store.add(job())

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for each in [*threads, *processes]:
        each.join()
    jobs = store.newest(1000)
    store.close()
    assert [process.exitcode for process in processes] == [0, 0]
    assert sum(each.state == "done" for each in jobs) == 80
    assert sum(each.state == "queued" for each in jobs) == 120


KEY = {
    "method": "saliency",
    "parameters": {"seed": 0, "steps": 16},
    "image_id": "a",
    "digests": {"FLAIR": "f", "T1": "t"},
    "model": "m",
    "model_digest": "d",
}


def test_key_ignores_order_only():
    swapped = KEY | {"parameters": {"steps": 16, "seed": 0}, "digests": {"T1": "t", "FLAIR": "f"}}
    assert result_key(**swapped) == result_key(**KEY)
    for change in (
        {"method": "other"},
        {"parameters": {"seed": 1, "steps": 16}},
        {"image_id": "b"},
        {"digests": {"FLAIR": "t", "T1": "f"}},
        {"model": "n"},
        {"model_digest": "e"},
    ):
        assert result_key(**KEY | change) != result_key(**KEY), change


def test_results_are_found_by_whole_keys_only(tmp_path):
    results, key = ResultStore(tmp_path / "results"), "a" * 64
    (tmp_path / "results" / key).mkdir()
    assert results.has(key)
    assert not results.has("..")
    assert not results.has("")
    results.remove(key)
    assert not results.has(key)
    assert list((tmp_path / "results").iterdir()) == []
    with pytest.raises(NotFoundError, match="no longer"):
        results.existing(key)
