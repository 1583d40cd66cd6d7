"""The model of the job tray: without Qt, without a scene, against a server that does as it is told."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from XAILib.errors import ServerError, Stopped
from XAILib.job import Job, JobError
from XAILib.stopping import Stop
from XAILib.tray import FORGOTTEN, MOST, Tray
from XAILib.tray_entry import CANCELLED, FAILED, FINISHED, RUNNING, WAITING, Entry

URL = "http://somewhere:8000"
REQUEST = {"session": "s1", "model": "tiny", "parameters": {"steps": 3}}


def job(identifier: str, state: str = "running", error: JobError | None = None) -> Job:
    return Job(identifier, state, 0.25, "Working", 12.0, error, REQUEST, "key")


class Remote:
    """Jobs by id; what was asked is in `asked`."""

    url = URL

    def __init__(self) -> None:
        self.jobs = {"1": job("1")}
        self.asked: list[Any] = []
        self.error: ServerError | None = None

    def job(self, identifier: str) -> Job:
        if self.error is not None:
            raise self.error
        if identifier not in self.jobs:
            raise ServerError("no such job", "refused", 404)
        return self.jobs[identifier]

    def cancel(self, identifier: str) -> Job:
        self.asked.append(("cancel", identifier))
        self.jobs[identifier] = replace(self.job(identifier), state="cancelled")
        return self.jobs[identifier]

    def remove_session(self, session: str) -> None:
        self.asked.append(("remove", session))

    def submit(self, method: str, source: Any, model: Any, parameters: Any) -> Job:
        self.asked.append((method, source, model, parameters))
        self.jobs["2"] = job("2", "queued")
        return self.jobs["2"]


@pytest.fixture
def remote() -> Remote:
    return Remote()


@pytest.fixture
def tray(remote: Remote) -> Tray:
    return Tray(lambda url: remote if url == URL else None)  # type: ignore[arg-type, return-value]


def entry(**values: Any) -> Entry:
    return Entry("saliency", "Saliency", "Ann Smith", **{"server": URL, "job": "1", **values})


def nothing(*_: Any) -> None:
    pass


def test_what_nobody_waits_for_is_asked_of_the_server(tray: Tray, remote: Remote) -> None:
    known = tray.add(entry())
    version = tray.version
    tray.poll()
    heard = tray.entry(known.id)
    assert heard is not None
    assert (heard.state, heard.fraction, heard.message, heard.eta) == (RUNNING, 0.25, "Working", 12.0)
    assert tray.version != version
    version = tray.version
    tray.poll()
    assert tray.version == version
    remote.jobs["1"] = job("1", "done")
    tray.poll()
    assert tray.entries[0].state == FINISHED
    assert tray.entries[0].ended is not None
    assert tray.unattended == ()


@pytest.mark.parametrize(
    ("state", "status", "words"), [("failed", 422, "cannot explain this"), ("interrupted", 0, "was stopped")]
)
def test_why_a_job_failed_is_told(tray: Tray, remote: Remote, state: str, status: int, words: str) -> None:
    remote.jobs["1"] = job("1", state, JobError(status, "title", "no lesion") if status else None)
    tray.add(entry())
    tray.poll()
    assert tray.entries[0].state == FAILED
    assert words in tray.entries[0].message


def test_a_server_that_is_away_is_waited_for(tray: Tray, remote: Remote) -> None:
    tray.add(entry())
    remote.error = ServerError("gone", "unreachable")
    tray.poll()
    assert tray.entries[0].state == WAITING
    remote.error = None
    tray.poll()
    assert tray.entries[0].state == RUNNING


def test_a_job_that_the_server_has_forgotten(tray: Tray) -> None:
    tray.add(entry(job="gone"))
    tray.add(entry(job="gone too", restored=True))
    tray.poll()
    assert [(one.job, one.message) for one in tray.entries] == [("gone", FORGOTTEN)]


def test_the_end_of_attended_work_is_noted(tray: Tray) -> None:
    stop = Stop()

    def work(stop: Stop, progress: Any) -> str:
        stop.began(URL, "1")
        progress(0.5, "Half", None)
        return "value"

    heard: list[float] = []
    assert tray.run(entry(job="", server=""), work, stop, lambda share, *_: heard.append(share)) == "value"
    assert heard == [0.5]
    assert (tray.entries[0].state, tray.entries[0].job, tray.entries[0].server) == (FINISHED, "1", URL)


def test_work_that_fails_before_the_server_has_it_cannot_be_asked_again(tray: Tray) -> None:
    def work(_stop: Stop, _progress: Any) -> None:
        raise ServerError("the file is too large", "refused")

    with pytest.raises(ServerError):
        tray.run(entry(job="", server=""), work, Stop(), nothing)
    assert (tray.entries[0].state, tray.entries[0].message) == (FAILED, "the file is too large")
    with pytest.raises(ServerError, match="never had"):
        tray.retry(tray.entries[0].id)


def waits(stop: Stop, progress: Any) -> None:
    """As `run_explanation` does: a job that is waited for."""
    progress(0.0, "Sending", None)
    stop.wait(0.2)
    if stop.is_set():
        raise Stopped
    stop.began(URL, "1")
    stop.wait(20)
    raise Stopped


def test_left_work_goes_on_at_the_server_once_that_has_it(tray: Tray, remote: Remote) -> None:
    started = entry(job="", server="")
    errors: list[BaseException] = []

    def thread() -> None:
        try:
            tray.run(started, waits, Stop(), nothing)
        except Stopped as error:
            errors.append(error)

    working = threading.Thread(target=thread)
    working.start()
    while not tray.entries or not tray.entries[0].message:
        time.sleep(0.01)
    tray.leave(started.id)
    working.join(10)
    left = tray.entry(started.id)
    assert left is not None
    assert (left.active, left.attended, left.job, len(errors)) == (True, False, "1", 1)
    assert remote.asked == []
    tray.cancel(started.id)
    assert remote.asked == [("cancel", "1"), ("remove", "s1")]
    assert tray.entries[0].state == CANCELLED


def test_cancelling_attended_work_is_done_by_whoever_waits(tray: Tray, remote: Remote) -> None:
    started = entry(job="", server="")

    def thread() -> None:
        with pytest.raises(Stopped):
            tray.run(started, waits, Stop(), nothing)

    working = threading.Thread(target=thread)
    working.start()
    while not tray.entries:
        time.sleep(0.01)
    tray.leave(started.id)
    tray.cancel(started.id)  # what is left while it is sent can still be cancelled
    working.join(10)
    assert tray.entries[0].state == CANCELLED
    assert remote.asked == []


def test_a_failed_job_is_asked_again_as_it_was(tray: Tray, remote: Remote) -> None:
    remote.jobs["1"] = job("1", "failed", JobError(500, "title", "no memory"))
    failed = tray.add(entry())
    tray.poll()
    tray.retry(failed.id)
    assert remote.asked == [("saliency", {"session": "s1"}, "tiny", {"steps": 3})]
    assert (tray.entries[0].state, tray.entries[0].job) == (WAITING, "2")


def test_removing_clearing_undoing(tray: Tray) -> None:
    first, second = tray.add(entry(state=FINISHED)), tray.add(entry(state=FAILED))
    running = tray.add(entry())
    tray.remove(running.id)
    assert len(tray.entries) == 3
    assert not tray.can_undo
    tray.clear()
    assert tray.entries == (running,)
    tray.undo()
    assert {one.id for one in tray.entries} == {first.id, second.id, running.id}
    assert not tray.can_undo


def test_what_is_saved_names_no_patient_and_comes_back(tray: Tray, remote: Remote) -> None:
    tray.add(entry(message="Ann Smith has no FLAIR"))
    tray.add(entry(job="", state=FAILED))
    text = tray.to_text()
    assert "Ann" not in text
    assert len(json.loads(text)) == 1
    other = Tray(lambda url: remote if url == URL else None)  # type: ignore[arg-type, return-value]
    other.from_text(text)
    other.from_text(text)
    assert [(one.job, one.state, one.title) for one in other.entries] == [("1", WAITING, "Saliency")]
    remote.jobs["1"] = job("1", "done")
    other.poll()
    assert other.entries[0].state == FINISHED


@pytest.mark.parametrize("text", ["", "not JSON", "{}", '[{"id": "1"}]', "[1]", '[{"id": 1, "job": "x"}]'])
def test_a_scene_with_something_else_is_passed_over(tray: Tray, text: str) -> None:
    tray.from_text(text)
    assert tray.entries == ()


def test_a_server_that_only_a_scene_names_is_not_asked(remote: Remote) -> None:
    tray = Tray(lambda url: None)
    restored = tray.add(entry(restored=True, state=WAITING))
    tray.poll()
    assert tray.unattended == ()
    with pytest.raises(ServerError, match="Connect to"):
        tray.cancel(restored.id)
    tray.remove(restored.id)
    assert tray.entries == ()


def test_the_oldest_that_ended_go_first(tray: Tray) -> None:
    running = tray.add(entry(created=0.0))
    for number in range(MOST + 5):
        tray.add(entry(created=float(number + 1), state=FINISHED))
    assert len(tray.entries) == MOST
    assert tray.entry(running.id) is not None
    assert tray.entries[0].created == MOST + 5


def test_closing_leaves_what_the_server_has_and_stops_the_rest(tray: Tray) -> None:
    started = entry(job="", server="")

    def thread() -> None:
        with pytest.raises(Stopped):
            tray.run(started, waits, Stop(), nothing)

    working = threading.Thread(target=thread)
    working.start()
    while not tray.entries:
        time.sleep(0.01)
    tray.close()
    working.join(10)
    assert tray.entries[0].state == CANCELLED
