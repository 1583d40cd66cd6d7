"""`slicerxai alarm`, and `slicerxai explain quality` after it."""

import json

import numpy as np
import pytest

from slicerxai.cli.main import run
from slicerxai.data.io import write_volume
from slicerxai.data.readers import read_cohort
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore
from slicerxai.models.training_case import case_digests
from slicerxai.settings import settings
from tests.support.classifier import LABELS, store_classifier


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("cohort"), np.random.default_rng(0)
    lines = ["case_id,FLAIR," + ",".join(f"{label}_ml" for label in LABELS)]
    for number in range(8):
        array = np.zeros((20, 22, 18), np.float32)
        array[3:-3, 3:-3, 3:-3] = rng.normal(100, 10, (14, 16, 12))
        write_volume(folder / f"{number}.nii.gz", Volume(array, np.diag([4.0, 4, 4, 1])))
        lines.append(f"p{number},{number}.nii.gz," + ",".join(str(int(rng.random() < 0.5)) for _ in LABELS))
    (folder / "cases.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLICERXAI_DEVICE", "cpu")
    settings.cache_clear()
    yield ModelStore(tmp_path / "home" / "models")
    settings.cache_clear()


def test_an_alarm_on_unseen_cases_is_used_by_the_next_explanation(models, cohort, tmp_path, capsys):
    cases = list(read_cohort(cohort))
    store_classifier(models, "regions", provenance={"cases": case_digests(cases[:2], ["FLAIR"])})
    assert run(["alarm", "regions", str(cohort), "--folds", "2", "--action", "review", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["left_out"] == ["p0", "p1"]
    assert summary["cases"] == [f"p{number}" for number in range(2, 8)]
    assert (summary["parameters"]["folds"], summary["parameters"]["action"]) == (2, "review")
    assert summary["figures"]["wrong"] >= 0
    command = ["explain", "quality", "--image", str(cohort / "7.nii.gz"), "--out", str(tmp_path / "out"), "--json"]
    assert run(command) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["parameters"]["alarm"] == summary["id"]
    assert run([*command, "--alarm", "none"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"]["alarm"] == "none"
    assert run(["alarm", "regions", str(cohort), "--score", "entropy", "--folds", "0"]) == 0
    said = capsys.readouterr().out
    assert "left out, for the model was trained on them: 2 (p0, p1)" in said
    assert "share of wrong predictions" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["alarm", "nothing", "{cohort}"], "no model 'nothing'"),
        (["alarm", "../regions", "{cohort}"], "bad model name"),
        (["alarm", "regions", "{cohort}/absent"], "no such folder"),
        (["alarm", "regions", "{cohort}", "--rule", "budget"], "threshold"),
        (["alarm", "regions", "{cohort}", "--folds", "1"], "folds"),
        (["alarm", "regions", "{cohort}", "--folds", "20"], "20 folds"),
        (["alarm", "regions", "{cohort}", "--budget", "2"], "budget"),
        (["alarm", "regions"], "COHORT"),
        (["explain", "quality", "--image", "{cohort}/1.nii.gz", "--out", "{out}", "--alarm", "0" * 12], "no alarm"),
        (["explain", "quality", "--image", "{cohort}/1.nii.gz", "--out", "{out}", "--alarm", "new"], "alarm"),
    ],
)
def test_bad_input(models, cohort, tmp_path, capsys, arguments, says):
    store_classifier(models, "regions")
    filled = [one.format(cohort=cohort, out=tmp_path / "out") for one in arguments]
    assert run(filled) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "home" / "alarms").exists()


def test_a_model_that_saw_all_cases_is_refused(models, cohort, capsys):
    digests = case_digests(list(read_cohort(cohort)), ["FLAIR"])
    store_classifier(models, "regions", provenance={"cases": digests})
    assert run(["alarm", "regions", str(cohort)]) == 2
    assert "trained on all 8 cases (p0, p1," in capsys.readouterr().err
