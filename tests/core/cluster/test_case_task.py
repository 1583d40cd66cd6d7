"""One case in this process: what is kept, what is computed again, how it fails and stops."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from slicerxai.cluster import case_task
from slicerxai.cluster.case_task import compute
from slicerxai.cluster.request import INFER, CaseWork, Place, Request, request
from slicerxai.errors import InputError, NotFoundError


@pytest.fixture
def work(asked: Request, here: Place, cohort_folder: Path, tmp_path: Path) -> CaseWork:
    run = tmp_path / "run"
    run.touch()
    image = cohort_folder / "0_FLAIR.nii.gz"
    return CaseWork(asked, here, "case 0", {"FLAIR": image}, None, tmp_path / "cases" / "case_0", run)


def written(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("method", ["saliency", INFER])
def test_a_finished_case_is_kept_until_what_it_was_made_from_changes(method: str, work: CaseWork) -> None:
    if method == INFER:
        work = dataclasses.replace(work, request=request(INFER, None, "tiny", "cohort"))
    assert compute(work).state == "computed"
    first = written(work.folder)
    assert {path.name for path in first} >= (
        {"lesions.json", "lesions.nii.gz"} if method == INFER else {"explanation.json", "report.html", "overview.png"}
    )
    assert compute(work).state == "kept"
    assert written(work.folder) == first
    shutil.copy(work.images["FLAIR"].with_name("1_FLAIR.nii.gz"), work.images["FLAIR"])
    assert compute(work).state == "computed"
    assert written(work.folder) != first
    assert [path.name for path in work.folder.parent.iterdir()] == [work.folder.name]
    (document,) = (work.folder / name for name in ("lesions.json", "explanation.json") if (work.folder / name).exists())
    document.write_text(document.read_text().replace(work.request.model_digest, "0" * 64))
    assert compute(work).state == "computed"
    assert compute(work).state == "kept"


def test_a_bad_image_fails_in_words_and_leaves_nothing(work: CaseWork) -> None:
    work.images["FLAIR"].write_bytes(b"no image")
    outcome = compute(work)
    assert outcome.state == "failed"
    assert "0_FLAIR.nii.gz" in outcome.error
    work.images["FLAIR"].unlink()
    assert "cannot be read" in compute(work).error
    assert not work.folder.exists()


def test_an_unexpected_error_fails_with_its_name(work: CaseWork, monkeypatch: pytest.MonkeyPatch) -> None:
    def boom(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(case_task, "_explain", boom)
    outcome = compute(work)
    assert (outcome.state, outcome.error) == ("failed", "RuntimeError: boom")


def test_a_worker_that_can_compute_no_case_says_why(work: CaseWork, tmp_path: Path) -> None:
    def error(**changes: object) -> str:
        outcome = compute(dataclasses.replace(work, **changes))
        assert outcome.state == "unfit"
        return outcome.error

    assert "install the same" in error(request=dataclasses.replace(work.request, version="0.0"))
    assert f"does not see the folder for results ({tmp_path / 'gone'})" in error(run=tmp_path / "gone")
    elsewhere = dataclasses.replace(work.place, home=tmp_path / "other")
    assert f"does not see the model ({tmp_path / 'other'}" in error(place=elsewhere)
    assert "replaced meanwhile" in error(request=dataclasses.replace(work.request, model_digest="0" * 64))


def test_it_stops_when_nobody_waits(work: CaseWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_task, "WATCH_SECONDS", 0.0)
    load = case_task._resident_model

    def gone(*arguments: object) -> object:
        work.run.unlink()
        return load(*arguments)

    monkeypatch.setattr(case_task, "_resident_model", gone)
    assert compute(work).state == "stopped"
    assert not any(work.folder.parent.glob("*"))


def test_a_rater_s_mask_is_an_input(work: CaseWork, here: Place) -> None:
    from slicerxai.explain.run import parse_parameters

    parameters = parse_parameters("counterfactual", {"steps": 2, "count": 1})
    asked = request("counterfactual", parameters, "tiny", "cohort", rater="1")
    masked = dataclasses.replace(work, request=asked, mask=work.images["FLAIR"].with_name("0_mask.nii.gz"))
    assert compute(masked).state == "computed", compute(masked).error
    inputs = json.loads((work.folder / "explanation.json").read_text())["provenance"]["inputs"]
    assert set(inputs) == {"case 0/FLAIR", "case 0/mask"}


def test_requests_are_of_methods_of_cases(here: Place) -> None:
    with pytest.raises(InputError, match="slicerxai explain shift --cohort"):
        request("shift", None, "tiny", "cohort")
    with pytest.raises(NotFoundError, match="unknown method"):
        request("magic", None, "tiny", "cohort")
    with pytest.raises(NotFoundError, match="no model"):
        request(INFER, None, "other", "cohort")
