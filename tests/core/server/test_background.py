import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from monailabel.utils.async_tasks import utils

from slicerxai.server.monailabel import background
from slicerxai.server.monailabel.background import check_room
from slicerxai.server.problems import TooManyJobsError


@pytest.fixture
def executor(monkeypatch):
    monkeypatch.setattr(utils, "background_tasks", {"train": []})
    monkeypatch.setattr(utils, "background_processes", {"train": {}})
    executor = ThreadPoolExecutor(1)
    monkeypatch.setattr(utils, "background_executors", {"train": executor})
    yield executor
    executor.shutdown()


def test_tasks_that_wait_are_bounded(executor):
    check_room("train")
    check_room("scoring")
    release, started = threading.Event(), threading.Event()
    executor.submit(lambda: started.set() or release.wait(60))
    started.wait(60)
    utils.background_processes["train"]["one"] = object()
    with pytest.raises(TooManyJobsError, match="at work already") as caught:
        check_room("train")
    assert caught.value.retry_after == 60
    for _ in range(background.WAITING_TASKS):
        check_room("train", enqueue=True)
        executor.submit(release.wait, 60)
    with pytest.raises(TooManyJobsError, match="8 tasks of this kind wait"):
        check_room("train", enqueue=True)
    release.set()


def test_ends_of_long_ago_are_forgotten(executor):
    utils.background_tasks["train"] = [{"id": number} for number in range(500)]
    check_room("train")
    kept = utils.background_tasks["train"]
    assert len(kept) < 100
    assert kept[-1] == {"id": 499}
