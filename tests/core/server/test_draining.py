"""What becomes of jobs when the server is asked to stop."""

import time

import pytest
import server_tasks
from small_server import make_home, make_pool

from slicerxai.server.jobs import INTERRUPTED
from slicerxai.server.worker import Stopped, Success


def submit(pool, function, *arguments):
    return pool.submit(function, *arguments, kind="explain", method="saliency", request={"image": "case1"})


def running(pool, job):
    deadline = time.monotonic() + 60
    while pool.jobs.get(job.id).state != "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "home")


def states(home):
    from slicerxai.server.jobs import JobStore

    store = JobStore(home / "jobs" / "jobs.sqlite3")
    found = {job.id: (job.state, job.message) for job in store.newest(10)}
    store.close()
    return found


def test_a_job_that_ends_in_time_is_done_and_those_that_wait_are_interrupted(home):
    pool = make_pool(home, workers=1)
    first = submit(pool, server_tasks.count, 10, 0.1)
    running(pool, first)
    waiting = submit(pool, server_tasks.count, 1, 0.0)
    ended = [pool.ended(job.id) for job in (first, waiting)]
    pool.shutdown(30.0)
    assert ended[0].result(timeout=1) == Success(10)
    assert ended[1].result(timeout=1) == Stopped()
    found = states(home)
    assert found[first.id][0] == "done"
    assert found[waiting.id] == ("interrupted", INTERRUPTED)


def test_a_job_that_takes_longer_is_interrupted_and_its_process_gone(home):
    pool = make_pool(home, workers=1)
    job = submit(pool, server_tasks.native_call)
    running(pool, job)
    started = time.monotonic()
    pool.shutdown(0.5)
    assert time.monotonic() - started >= 0.5
    assert states(home)[job.id] == ("interrupted", INTERRUPTED)
    assert not pool.workers.pids()


def test_nothing_new_is_started_while_it_drains(home):
    pool = make_pool(home, workers=1)
    first = submit(pool, server_tasks.count, 10, 0.1)
    running(pool, first)
    pool.workers.drain(0.0)
    late = submit(pool, server_tasks.count, 1, 0.0)
    assert pool.ended(late.id).result(timeout=5) == Stopped()
    assert pool.jobs.get(late.id).state == "interrupted"
    pool.shutdown()
