"""Attempts, failures and the loss of the cluster, against workers whose answers are made up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest
from distributed import KilledWorker

from slicerxai.cluster.batch import run_batch
from slicerxai.cluster.case_task import Outcome
from slicerxai.cluster.folder import Row
from slicerxai.cluster.request import CaseWork, Place, Request
from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.errors import Cancelled, UnavailableError

REQUEST = Request("saliency", {}, "cohort", "tiny", "0" * 64)
PLACE = Place(Path("/home"), "cpu", 1, 1000)
DONE = Outcome("computed", "", 1.0)
DIED = KilledWorker("case-x", SimpleNamespace(address="tcp://worker"), 0)


class Workers:
    """Answers at once what `answer` says for a case and an attempt; keeps what it was given."""

    def __init__(self, answer: Callable[[str, int], Outcome | BaseException], number: int = 2) -> None:
        self.answer, self.number = answer, number
        self.given: list[str] = []
        self.keys: list[str] = []
        self.resources: list[object] = []
        self.held = 0

    def scheduler_info(self, n_workers: int) -> dict[str, object]:
        assert n_workers == -1
        return {"workers": {n: {"status": "running", "resources": {"GPU": 1.0}} for n in range(self.number)}}

    def submit(self, compute: object, work: CaseWork, *, key: str, pure: bool, resources: object) -> Future:
        assert not pure
        self.given.append(work.case)
        self.keys.append(key)
        self.resources.append(resources)
        future: Future = Future()
        future.key = key
        answer = self.answer(work.case, self.given.count(work.case))
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)
        return future


def cohort(cases: int) -> Cohort:
    return Cohort("cohort", tuple(Case(f"Miller {n}", {"FLAIR": Path(f"/data/{n}.nii")}) for n in range(cases)))


def run(workers: Workers, out: Path, cases: int = 4, **options: object) -> dict[str, Row]:
    rows = run_batch(workers, cohort(cases), ["FLAIR"], REQUEST, PLACE, out, **options)
    return {row.case: row for row in rows}


@pytest.mark.parametrize(
    ("failure", "words"), [(Outcome("failed", "boom", 0.5), "boom"), (DIED, "process ended while it computed")]
)
def test_a_case_that_fails_is_tried_again_and_harms_no_other(
    failure: Outcome | BaseException, words: str, tmp_path: Path
) -> None:
    workers = Workers(
        lambda case, attempt: failure if case == "Miller 1" or (case, attempt) == ("Miller 2", 1) else DONE
    )
    rows = run(workers, tmp_path)
    assert [(row.state, row.attempts) for row in rows.values()] == [
        ("computed", 1),
        ("failed", 3),
        ("computed", 2),
        ("computed", 1),
    ]
    assert rows["Miller 2"].error == ""
    assert words in rows["Miller 1"].error
    assert (tmp_path / "cases.csv").read_text(encoding="utf-8-sig").count(",computed,") == 3


def test_without_retries_once_is_all(tmp_path: Path) -> None:
    rows = run(Workers(lambda *_: Outcome("failed", "boom", 0.5)), tmp_path, retries=0)
    assert {(row.state, row.attempts) for row in rows.values()} == {("failed", 1)}


def test_cases_that_lack_something_are_given_to_nobody(tmp_path: Path) -> None:
    workers = Workers(lambda *_: DONE)
    cases = Cohort("cohort", (*cohort(1), Case("x", {"T1": Path("/t1")}), Case("y", {}, {"1": Path("/m")})))
    rows = run_batch(workers, cases, ["FLAIR"], REQUEST, PLACE, tmp_path / "a")
    assert workers.given == ["Miller 0"]
    assert [(row.state, row.attempts) for row in rows[1:]] == [("failed", 0)] * 2
    assert rows[1].error == "case 'x' has no FLAIR; it has T1"
    asked = dataclasses.replace(REQUEST, rater="2")
    (row,) = run_batch(workers, cohort(1), ["FLAIR"], asked, PLACE, tmp_path / "b")
    assert row.error == "case 'Miller 0' has no mask of '2'; it has none"


def test_dask_gets_to_know_no_ids(tmp_path: Path) -> None:
    workers = Workers(lambda *_: DONE)
    run(workers, tmp_path, resources={"GPU": 1.0})
    assert len(set(workers.keys)) == 4
    assert not any("Miller" in key or "/data" in key for key in workers.keys)
    assert workers.resources == [{"GPU": 1.0}] * 4


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Outcome("unfit", "worker on node7: does not see the model (/home)", 0.0), "node7.*Finished cases are kept"),
        (ModuleNotFoundError("No module named 'slicerxai'"), "No module named.*install this version"),
        (ConnectionResetError(), "scheduler is gone.*finished cases are kept"),
    ],
)
def test_a_fault_of_the_cluster_stops_the_run(answer: Outcome | BaseException, words: str, tmp_path: Path) -> None:
    workers = Workers(lambda case, _: answer if case == "Miller 2" else DONE, number=1)
    with pytest.raises(UnavailableError, match=words):
        run(workers, tmp_path)
    table = (tmp_path / "cases.csv").read_text(encoding="utf-8-sig")
    assert (table.count(",computed,"), table.count(",open,")) == (2, 2)
    assert not list(tmp_path.glob(".run-*"))


def test_stopped_by_hand(tmp_path: Path) -> None:
    def progress(fraction: float, message: str) -> None:
        if fraction >= 0.5:
            raise Cancelled

    workers = Workers(lambda *_: DONE, number=1)
    with pytest.raises(Cancelled):
        run(workers, tmp_path, progress=progress)
    assert len(workers.given) <= 3
    table = (tmp_path / "cases.csv").read_text(encoding="utf-8-sig")
    assert table.count(",open,") == 4 - len(workers.given)


def test_it_waits_for_a_worker_with_what_is_asked_for(tmp_path: Path) -> None:
    said: list[str] = []

    def progress(fraction: float, message: str) -> None:
        said.append(message)
        if len(said) == 2:
            workers.number = 1

    workers = Workers(lambda *_: DONE, number=0)
    rows = run(workers, tmp_path, cases=1, resources={"GPU": 1.0}, progress=progress)
    assert said[0] == "0 of 1 cases: waiting for a worker that offers GPU=1"
    assert rows["Miller 0"].state == "computed"
    workers.number = 1
    with pytest.raises(Cancelled):
        run(workers, tmp_path / "b", cases=1, resources={"GPU": 2.0}, progress=_stop)
    assert workers.given == ["Miller 0"]


def _stop(fraction: float, message: str) -> None:
    raise Cancelled
