"""Aligned training from the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from slicerxai.cli.main import run
from slicerxai.models.store import ModelStore
from slicerxai.settings import settings
from tests.support.classifier import store_classifier
from tests.support.scanner_mark import toy_cohort


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder with a table of 24 cases with masks, and an untrained classifier "regions" of other labels."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    cases = toy_cohort(folder, 24)
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["case_id", "FLAIR", "mask", *cases[0].metadata])
        writer.writeheader()
        for case in cases:
            files = {"FLAIR": case.images["FLAIR"].name, "mask": f"masks/{case.id}.nii.gz"}
            writer.writerow({"case_id": case.id, **files, **case.metadata})
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    store_classifier(ModelStore(tmp_path / "home/models"), "regions")
    yield folder
    settings.cache_clear()


def test_train_aligned(cohort: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--targets", "left=left_ml>0,right=right_ml>0", "--shape", "24,24,24", "--spacing", "4", "--features", "4"]
    small += ["--cells", "2", "--epochs", "1", "--steps", "2", "--validation-share", "0.4"]
    assert run(["train", "aligned", str(cohort), "--name", "first", "--json", *small]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["kind"] == "classifier"
    assert set(trained["validation_auc"]) == {"left", "right"}
    assert run(["train", "aligned", str(cohort), "--base", "first", "--name", "second", "--epochs", "1"]) == 0
    assert "model 'second' written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--base", "absent"], "no model 'absent'"),
        (["--base", "regions"], "middle_ml"),
        (["--base", "regions", "--spacing", "2"], "leave them out"),
        (["--rater", "9"], "'9'"),
        (["--exchange", "2"], "exchange"),
    ],
)
def test_refused(cohort: Path, given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    targets = [] if "--base" in given else ["--targets", "left=left_ml>0,right=right_ml>0"]
    assert run(["train", "aligned", str(cohort), *given, *targets]) == 2
    assert message in capsys.readouterr().err
