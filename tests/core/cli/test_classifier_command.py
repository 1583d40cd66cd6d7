"""A classifier from the command line: train, infer, explain; and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from slicerxai.cli.main import run
from slicerxai.settings import settings
from tests.support.halves import halves_cohort

SMALL = ["--targets", "left=left_ml>0,right=right_ml>0", "--shape", "24,24,24", "--spacing", "4", "--features", "4"]
SMALL += ["--cells", "2", "--epochs", "6", "--augmentation", "0", "--validation-share", "0.4"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of 24 cases."""
    folder = tmp_path_factory.mktemp("halves")
    cases = halves_cohort(folder, 24)
    with (folder / "cases.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["case_id", "FLAIR", *cases[0].metadata])
        writer.writeheader()
        for case in cases:
            writer.writerow({"case_id": case.id, "FLAIR": case.images["FLAIR"].name, **case.metadata})
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(home))
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_train_infer_explain(cohort: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "classifier", str(cohort), "--name", "halves", "--json", *SMALL]) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["kind"] == "classifier"
    assert set(trained["validation_auc"]) == {"left", "right"}
    assert trained["alarm_message"]
    assert (home / "models/halves/model.json").is_file()

    image = str(cohort / "case01_FLAIR.nii.gz")
    assert run(["infer", "--image", image, "--out", str(tmp_path / "infer"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads((tmp_path / "infer/labels.json").read_text())
    assert shown["model_digest"] == trained["digest"]
    left, right = shown["labels"]
    assert (left["label"], right["label"]) == ("left", "right")
    assert left["present"] == (left["probability"] >= left["threshold"])
    assert left["probability"] > right["probability"]
    assert run(["infer", "--image", image, "--out", str(tmp_path / "infer")]) == 0
    assert "left " in capsys.readouterr().out

    out = str(tmp_path / "explained")
    assert run(["explain", "saliency", "--image", image, "--label", "right", "--out", out]) == 0
    capsys.readouterr()
    assert run(["explain", "saliency", "--image", image, "--label", "middle", "--out", out + "2"]) == 2
    assert "left, right" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--targets", "a=left_ml>0,b=absent>0"], "'absent'"),
        (["--targets", "a=left_ml>0,a=right_ml>0"], "one name"),
        (["--targets", "left_ml>0"], "targets"),
        (["--targets", "left_ml>many,right_ml>0"], "'many'"),
        (["--shape", "24,24"], "shape"),
        (["--shape", "8,24,24"], "shape"),
        (["--spatial-dims", "4"], "spatial_dims"),
        (["--rater", "1"], "rater"),
        (["--channels", "T1"], "needed are T1"),
        ([], "periventricular_ml"),
    ],
)
def test_what_cannot_be_trained(
    cohort: Path, home: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments if not arguments or "--targets" in arguments else [*SMALL[:2], *arguments]
    assert run(["train", "classifier", str(cohort), "--name", "bad", *given]) == 2
    shown = capsys.readouterr()
    assert words in shown.out + shown.err
    assert not (home / "models/bad").exists()


def test_regions_need_masks_and_a_table_above_the_images(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out, words in ((cohort / "regions.csv", "no mask of 'consensus'"), (cohort / "regions", "CSV")):
        assert run(["regions", str(cohort), str(out)]) == 2
        assert words in capsys.readouterr().err
        assert not out.exists()
