import contextvars
import os
import signal
import time

import pytest
import server_tasks
from small_server import make_home, make_pool

from slicerxai.errors import ConflictError, NotFoundError
from slicerxai.explain.contract import Explanation
from slicerxai.explain.folder import save
from slicerxai.server.clients import work_for
from slicerxai.server.problems import TooManyJobsError
from slicerxai.server.worker import Failure, Stopped, Success

WAIT = 60


@pytest.fixture(scope="module")
def lasting_pool(tmp_path_factory):
    pool = make_pool(make_home(tmp_path_factory.mktemp("pool")))
    yield pool
    pool.shutdown()


@pytest.fixture
def pool(lasting_pool):
    yield lasting_pool
    for job in lasting_pool.jobs.newest(100):
        if job.active:
            lasting_pool.cancel(job.id)
        lasting_pool.remove(job.id)


def submit(pool, function, *arguments, **options):
    request = {"image": "case1", "model": "tiny", "parameters": {}}
    return pool.submit(function, *arguments, kind="explain", method="saliency", request=request, **options)


def outcome(pool, job):
    return pool.ended(job.id).result(timeout=WAIT)


def until(condition):
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(pool, job):
    until(lambda: pool.jobs.get(job.id).state == "running")
    return pool.jobs.get(job.id).pid


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_work_runs_in_another_process_that_stays(pool):
    pids = {outcome(pool, submit(pool, server_tasks.pid)).value for _ in range(6)}
    assert os.getpid() not in pids
    assert pids <= set(pool.workers.pids())
    assert len(pool.workers.pids()) == 2


def test_progress_reaches_the_job_list(pool):
    job = submit(pool, server_tasks.count, 10, 0.3)
    until(lambda: pool.jobs.get(job.id).fraction >= 0.3)
    seen = pool.jobs.get(job.id)
    assert seen.state == "running"
    assert seen.message == f"step {round(10 * seen.fraction)}"
    assert seen.eta(seen.updated) > 0
    assert outcome(pool, job) == Success(10)
    assert (pool.jobs.get(job.id).state, pool.jobs.get(job.id).fraction) == ("done", 1.0)


@pytest.mark.parametrize("task", [(server_tasks.count, 1000, 0.1), (server_tasks.native_call,)])
def test_cancelling_ends_the_process_and_the_pool_goes_on(pool, task):
    job = submit(pool, *task)
    pid = running(pool, job)
    assert alive(pid)
    cancelled = pool.cancel(job.id)
    assert not alive(pid)
    assert cancelled.state == "cancelled"
    assert outcome(pool, job) == Stopped()
    assert isinstance(outcome(pool, submit(pool, server_tasks.pid)), Success)
    until(lambda: len(pool.workers.pids()) == 2)


def test_cancelling_a_waiting_job_costs_no_process(pool):
    busy = [submit(pool, server_tasks.count, 1000, 0.1) for _ in range(2)]
    pids = {running(pool, job) for job in busy}
    waiting = submit(pool, server_tasks.pid)
    assert pool.cancel(waiting.id).state == "cancelled"
    assert all(alive(pid) for pid in pids)
    assert pool.cancel(waiting.id).state == "cancelled"
    assert {pool.jobs.get(job.id).state for job in busy} == {"running"}


def test_killed_worker_fails_the_job_clearly(pool):
    ended = outcome(pool, job := submit(pool, server_tasks.die))
    assert isinstance(ended, Failure)
    failed = pool.jobs.get(job.id)
    assert failed.state == "failed"
    assert "killed" in failed.error["detail"]
    assert isinstance(outcome(pool, submit(pool, server_tasks.pid)), Success)


def test_pool_survives_the_death_of_an_idle_worker(pool):
    outcome(pool, submit(pool, server_tasks.pid))
    until(lambda: len(pool.workers.pids()) == 2)
    pids = pool.workers.pids()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert isinstance(outcome(pool, submit(pool, server_tasks.pid)), Success)


def test_errors_become_problems_without_inner_details(pool):
    assert outcome(pool, submit(pool, server_tasks.refuse)) == Failure(422, "bad image")
    job = submit(pool, server_tasks.crash)
    outcome(pool, job)
    error = pool.jobs.get(job.id).error
    assert (error["status"], error["title"]) == (500, "Internal error")
    assert "division" not in error["detail"]
    assert job.computation in error["detail"]


def test_identical_requests_share_one_computation(pool, tmp_path):
    trace, key = tmp_path / "trace", "a" * 64
    jobs = [submit(pool, server_tasks.mark, trace, key=key) for _ in range(3)]
    assert len({job.id for job in jobs}) == 3
    assert [outcome(pool, job) for job in jobs] == [Success(None)] * 3
    assert {pool.jobs.get(job.id).state for job in jobs} == {"done"}
    assert trace.read_text() == "run\n"
    save(Explanation(method="saliency", parameters={}, image_id="case1"), pool.results.path(key))
    again = submit(pool, server_tasks.mark, trace, key=key)
    assert (again.state, again.fraction) == ("done", 1.0)
    assert outcome(pool, again) == Success(None)
    assert trace.read_text() == "run\n"


def test_cancelling_one_of_two_sharers_leaves_the_other(pool):
    key = "b" * 64
    first = submit(pool, server_tasks.count, 20, 0.1, key=key)
    pid = running(pool, first)
    second = submit(pool, server_tasks.count, 20, 0.1, key=key)
    assert pool.cancel(first.id).state == "cancelled"
    assert alive(pid)
    assert outcome(pool, second) == Success(20)
    assert pool.jobs.get(first.id).state == "cancelled"
    third = submit(pool, server_tasks.count, 1000, 0.1, key=key)
    fourth = submit(pool, server_tasks.count, 1000, 0.1, key=key)
    pid = running(pool, third)
    pool.cancel(third.id)
    assert alive(pid)
    pool.cancel(fourth.id)
    assert not alive(pid)


def test_result_goes_with_the_last_job_that_uses_it(pool):
    key = "c" * 64
    save(Explanation(method="saliency", parameters={}, image_id="case1"), pool.results.path(key))
    first, second = (submit(pool, server_tasks.pid, key=key) for _ in range(2))
    pool.remove(first.id)
    assert pool.results.has(key)
    with pytest.raises(NotFoundError):
        pool.jobs.get(first.id)
    pool.remove(second.id)
    assert not pool.results.has(key)


def test_full_queue_refuses(home):
    pool = make_pool(home, workers=1, queue_limit=2)
    jobs = [submit(pool, server_tasks.count, 1000, 0.1)]
    jobs += [submit(pool, server_tasks.pid) for _ in range(2)]
    with pytest.raises(TooManyJobsError, match="2 jobs wait"):
        submit(pool, server_tasks.pid)
    assert len(pool.jobs.newest(10)) == 3
    pool.shutdown()


def test_urgent_work_goes_first(home):
    pool = make_pool(home, workers=1)
    first = submit(pool, server_tasks.count, 10, 0.1)
    running(pool, first)
    later, urgent = submit(pool, server_tasks.count, 1, 0.1), submit(pool, server_tasks.pid, lane="inference")
    outcome(pool, later)
    assert pool.jobs.get(urgent.id).started < pool.jobs.get(later.id).started
    pool.shutdown()


def test_sixty_jobs_of_one_client_do_not_delay_another(home):
    pool = make_pool(home, workers=1)
    busy = submit(pool, server_tasks.count, 5, 0.1)
    running(pool, busy)

    def as_client(name):
        work_for(name)
        return [submit(pool, server_tasks.pid) for _ in range(48 if name == "greedy" else 1)]

    greedy = contextvars.copy_context().run(as_client, "greedy")
    (other,) = contextvars.copy_context().run(as_client, "other")
    with pytest.raises(TooManyJobsError, match="48 jobs of yours") as caught:
        contextvars.copy_context().run(as_client, "greedy")
    assert caught.value.retry_after >= 1
    outcome(pool, greedy[-1])
    started = pool.jobs.get(other.id).started
    assert sum(pool.jobs.get(job.id).started < started for job in greedy) <= 1
    pool.shutdown()


def test_shutdown_interrupts_and_a_new_pool_takes_over(home):
    pool = make_pool(home)
    done = submit(pool, server_tasks.pid)
    outcome(pool, done)
    unfinished = submit(pool, server_tasks.count, 1000, 0.1)
    pid = running(pool, unfinished)
    end = pool.ended(unfinished.id)
    pool.shutdown()
    assert end.result(timeout=WAIT) == Stopped()
    assert not alive(pid)
    pool.shutdown()
    new = make_pool(home)
    assert new.jobs.get(unfinished.id).state == "interrupted"
    assert new.jobs.get(done.id).state == "done"
    new.shutdown()


def test_the_end_of_a_job_of_long_ago_is_still_told(pool, monkeypatch):
    monkeypatch.setattr("slicerxai.server.pool.REMEMBERED_ENDS", 1)
    done, failed, last = (submit(pool, task) for task in (server_tasks.pid, server_tasks.refuse, server_tasks.pid))
    assert isinstance(outcome(pool, last).value, int)
    until(lambda: not any(pool.jobs.get(job.id).active for job in (done, failed)))
    submit(pool, server_tasks.pid)
    assert outcome(pool, done) == Success(None)
    assert outcome(pool, failed) == Failure(422, "bad image")


def test_two_pools_on_one_folder_leave_each_other_alone(pool):
    job = submit(pool, server_tasks.count, 1000, 0.1)
    running(pool, job)
    other = make_pool(pool.models.root.parent)
    assert other.jobs.get(job.id).state == "running"
    with pytest.raises(ConflictError, match="another server"):
        other.cancel(job.id)
    other.shutdown()
    assert pool.jobs.get(job.id).state == "running"
