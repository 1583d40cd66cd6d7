"""Processes that cannot be started: the one that they are forked from is just dying, or the system refuses."""

import pebble
import pytest

from slicerxai.server import workers
from slicerxai.server.worker import Success
from slicerxai.server.workers import Workers


def begin():
    """Called once in each worker."""


def answer():
    return Success(42)


@pytest.mark.parametrize("failures", [1, 3])
def test_they_are_started_again_until_it_succeeds(monkeypatch, failures):
    real, tried = pebble.common.process.launch_process, []

    def launch(*arguments, **options):
        tried.append(arguments)
        if len(tried) <= failures:
            raise EOFError("unexpected EOF")
        return real(*arguments, **options)

    monkeypatch.setattr(pebble.pool.process, "launch_process", launch)
    monkeypatch.setattr(workers, "RESTART_SECONDS", 0.1)
    monkeypatch.setattr(workers, "WATCH_SECONDS", 0.05)
    started = Workers(1, begin, 8)
    try:
        assert started.submit("task", answer).result(120).value == 42
    finally:
        started.shutdown()
    assert len(tried) > failures
