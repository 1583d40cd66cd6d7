"""The folder of a batch: who may write there, names, what killed workers leave, the table."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest

from slicerxai.cluster.folder import BatchFolder, Row, folder_names
from slicerxai.cluster.request import Request
from slicerxai.errors import ConflictError, InputError

REQUEST = Request("saliency", {"seed": 0}, "cohort", "tiny", "0" * 64)


def test_names_are_the_ids_where_these_are_fit() -> None:
    ids = ["01016SACH", "sub-01", "A", "a", "../up", "case 1", "case_1", "x" * 200, "é", ""]
    names = folder_names(ids)
    assert {name: names[name] for name in ("01016SACH", "sub-01", "case_1")} == {
        name: name for name in ("01016SACH", "sub-01", "case_1")
    }
    assert len({name.casefold() for name in names.values()}) == len(ids)
    for name in names.values():
        assert Path(name).name == name
        assert not name.startswith(".")
        assert len(name) < 100
    assert folder_names(ids) == names


def test_a_run_holds_the_folder(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "out")
    with folder.held(REQUEST) as run:
        assert run.is_file()
        with pytest.raises(ConflictError, match="another run"), folder.held(REQUEST):
            pass
        assert run.is_file()
    assert not run.exists()
    with folder.held(REQUEST) as again:
        assert again != run


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"parameters": {"seed": 1}}, "parameters"),
        ({"model_digest": "1" * 64}, "model_digest"),
        ({"method": "quality", "rater": "2"}, "method, rater"),
        ({"version": "0"}, "version"),
        ({"cohort": "other"}, "cohort"),
    ],
)
def test_results_of_another_request_are_not_mixed(changed: dict[str, object], named: str, tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    with folder.held(REQUEST):
        pass
    with (
        pytest.raises(ConflictError, match=f"results with other {named}; give another folder"),
        folder.held(dataclasses.replace(REQUEST, **changed)),
    ):
        pass
    assert json.loads((tmp_path / "batch.json").read_text()) == dataclasses.asdict(REQUEST)


def test_what_is_somebody_s_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"thesis\.txt"), BatchFolder(tmp_path).held(REQUEST):
        pass
    with pytest.raises(InputError, match="is a file"), BatchFolder(tmp_path / "thesis.txt").held(REQUEST):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "thesis.txt").unlink()
    (tmp_path / "batch.json").write_text("[]")
    with pytest.raises(InputError, match="damaged"), BatchFolder(tmp_path).held(REQUEST):
        pass


def test_leftovers_of_killed_runs_go_and_results_stay(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path)
    for name in (".a.x1.partial", ".a.x2.old", "a"):
        (folder.cases / name).mkdir(parents=True)
    (tmp_path / "batch.json").write_text(json.dumps(dataclasses.asdict(REQUEST)))
    (tmp_path / ".run-of-a-killed-client").touch()
    with folder.held(REQUEST) as run:
        assert [path.name for path in folder.cases.iterdir()] == ["a"]
        assert [path.name for path in tmp_path.glob(".run-*")] == [run.name]
        (folder.cases / ".b.x.partial").mkdir()
    assert [path.name for path in folder.cases.iterdir()] == ["a"]


def test_the_table(tmp_path: Path) -> None:
    rows = [Row("p1", "computed", "", 1.5, 1, "p1"), Row("p 2", "failed", 'no "T1", sorry', 0.0, 3, "p_2.abc")]
    BatchFolder(tmp_path).write_table(rows)
    with (tmp_path / "cases.csv").open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert found[0] == {
        "case": "p1", "state": "computed", "error": "", "seconds": "1.5", "attempts": "1", "folder": "p1"
    }  # fmt: skip
    assert found[1]["error"] == 'no "T1", sorry'
