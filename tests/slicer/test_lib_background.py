"""Work in a thread: every message arrives, no exception is lost, and it ends when asked to."""

from __future__ import annotations

import threading
import time

import pytest
from XAILib.background import Background, Done, Failed, Progress
from XAILib.errors import Stopped


def all_messages(background: Background) -> list:
    found = []
    deadline = time.monotonic() + 60
    while not any(isinstance(message, (Done, Failed)) for message in found):
        assert time.monotonic() < deadline, found
        found += background.poll()
        time.sleep(0.005)
    return found


def wait_for_stop(stop, progress):
    stop.wait()
    raise Stopped


def test_value_and_newest_progress() -> None:
    def work(stop, progress):
        for number in range(1000):
            progress(number / 1000, f"step {number}", 1.0)
        return threading.current_thread().daemon

    background = Background()
    background.start(work)
    deadline = time.monotonic() + 60
    while background.running:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert background.poll() == [Progress(0.999, "step 999", 1.0), Done(True)]
    assert background.close()
    assert background.poll() == []


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyError(), SystemExit(3), Stopped()])
def test_no_exception_is_lost(error: BaseException) -> None:
    def work(stop, progress):
        raise error

    background = Background()
    background.start(work)
    (failed,) = all_messages(background)
    assert failed.error is error
    assert type(error).__name__ in failed.details
    assert failed.message
    background.close()


def test_cancel_ends_it_with_stopped_and_it_can_start_again() -> None:
    background = Background()
    background.start(wait_for_stop)
    with pytest.raises(RuntimeError, match="still running"):
        background.start(wait_for_stop)
    background.cancel()
    (failed,) = all_messages(background)
    assert isinstance(failed.error, Stopped)
    background.close()
    background.start(lambda stop, progress: stop.is_set())
    assert all_messages(background) == [Done(False)]
    background.close()


def test_close_waits_for_its_thread_and_says_when_it_has_not_ended() -> None:
    background, release = Background(), threading.Event()
    background.start(wait_for_stop)
    assert background.close(60)
    background.start(lambda stop, progress: release.wait())
    assert not background.close(0.05)
    assert background.poll() == []
    release.set()


def test_closing_or_cancelling_nothing_is_fine() -> None:
    background = Background()
    background.cancel()
    assert background.poll() == []
    assert background.close()
    assert not background.running
