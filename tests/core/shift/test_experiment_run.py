"""A whole experiment on a tiny cohort: the same result however often it is interrupted, and nothing done twice."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from slicerxai.errors import Cancelled, ConflictError, InputError
from slicerxai.shift.experiments.folder import ExperimentFolder
from slicerxai.shift.experiments.parameters import CentresParameters, RatersParameters
from slicerxai.shift.experiments.report import write_report
from slicerxai.shift.experiments.run import run_experiment
from slicerxai.shift.options import Options
from slicerxai.shift.study import study
from tests.support.toy_shift import RATERS, toy_cohort

CPU = torch.device("cpu")
QUICK = Options(permutations=99, repeats=1, folds=3)
TRAINING = {
    "spacing": 2.0,
    "patch": 16,
    "features": (4, 8),
    "steps": 100,
    "lr": 1e-2,
    "validation_share": 0.0,
    "augmentation": 0.0,
    "precision": "float32",
}
ACROSS_RATERS = RatersParameters(
    trainer="fast",
    training=TRAINING,
    raters=tuple(RATERS),
    train_share=0.3,
    metrics=("dice",),
    analyses=("robust", "plain", "paired"),
)
PAIRS = ["1-2", "1-consensus", "2-1", "2-consensus", "consensus-1", "consensus-2"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with a table, as a user has it: eight patients of centre 01, eight of 03."""
    folder = tmp_path_factory.mktemp("cohort")
    lines = ["case_id,FLAIR,mask,mask_1,mask_2,centre,age,sex"]
    for case in toy_cohort(folder):
        files = [case.images["FLAIR"], *(case.masks[rater] for rater in ("consensus", "1", "2"))]
        names = ",".join(path.name for path in files)
        lines.append(f"{case.id},{names},{case.metadata['centre']},{case.metadata['age']:.0f},{case.metadata['sex']}")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    """Run without a break."""
    return run_experiment(source, tmp_path_factory.mktemp("whole"), ACROSS_RATERS, QUICK, CPU)


def state(folder):
    """Modification times of everything that took work."""
    files = [*folder.path.glob("models/*/model.json"), *folder.path.glob("pairs/*.json")]
    return {str(file.relative_to(folder.path)): file.stat().st_mtime_ns for file in files}


def _text(value):
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def stop_at(text):
    def progress(_fraction, message):
        if text in message:
            raise Cancelled

    return progress


def rows(folder):
    with (folder.path / "matrix.csv").open() as file:
        return list(csv.DictReader(file))


def test_matrix_has_every_pair_part_metric_and_analysis(whole):
    found = rows(whole)
    parts = ["population", "acquisition", "annotation", "unresolved", "drop"]
    assert len(found) == len(PAIRS) * 3 * len(parts)
    assert sorted({row["pair"] for row in found}) == PAIRS
    assert max(abs(float(row["value"])) for row in found if row["part"] == "drop") > 1
    for start in range(0, len(found), len(parts)):
        group = found[start : start + len(parts)]
        assert [row["part"] for row in group] == parts
        values = {row["part"]: float(row["value"]) for row in group}
        assert sum(list(values.values())[:4]) == pytest.approx(values["drop"], abs=1e-3)
        drop = float(group[-1]["source_mean"]) - float(group[-1]["target_mean"])
        assert drop == pytest.approx(values["drop"], abs=1e-3)
        assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in group)


def test_paired_is_the_truth_and_the_truth_is_the_drop(whole):
    for row in rows(whole):
        expected = {"annotation": "drop", "drop": "drop"}.get(row["part"])
        same = [one for one in rows(whole) if all(one[key] == row[key] for key in ("pair", "analysis", "metric"))]
        drop = next(float(one["value"]) for one in same if one["part"] == "drop")
        assert float(row["truth"]) == pytest.approx(drop if expected else 0.0, abs=1e-3)
        if row["analysis"] == "paired":
            assert float(row["value"]) == pytest.approx(float(row["truth"]), abs=1e-3)


def test_table_is_mean_and_standard_deviation_of_the_matrix(whole):
    found = rows(whole)
    with (whole.path / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 5
    for line in lines:
        own = [row for row in found if all(row[key] == line[key] for key in ("analysis", "metric", "part"))]
        values = [float(row["value"]) for row in own]
        middle = sum(values) / 6
        assert float(line["mean"]) == pytest.approx(middle, abs=1e-3)
        assert float(line["sd"]) == pytest.approx((sum((v - middle) ** 2 for v in values) / 5) ** 0.5, abs=1e-3)
        assert float(line["low"]) == pytest.approx(sum(float(row["low"]) for row in own) / 6, abs=1e-3)
        errors = [(float(row["value"]) - float(row["truth"])) ** 2 for row in own]
        assert float(line["rmse"]) == pytest.approx((sum(errors) / 6) ** 0.5, abs=1e-3)


def test_interrupted_at_every_stage_gives_the_same_and_repeats_nothing(source, whole, tmp_path):
    places = [
        "rater-1: step 30 ",
        "rater-2: reading",
        "rater-consensus: step 100",
        "pair 1-2: source",
        "pair 2-1: target",
    ]
    folder = ExperimentFolder(tmp_path / "out")
    before = {}
    for place in places:
        with pytest.raises(Cancelled):
            run_experiment(source, folder.path, ACROSS_RATERS, QUICK, CPU, stop_at(place))
        after = state(folder)
        assert before.items() <= after.items()
        before = after
    assert "4 of 6 pairs are still to be compared" in write_report(folder).read_text()
    assert {"models/rater-1/model.json", "pairs/1-2.json", "pairs/1-consensus.json"} <= before.keys()
    seen = []
    run_experiment(source, folder.path, ACROSS_RATERS, QUICK, CPU, lambda _f, message: seen.append(message))
    assert before.items() <= state(folder).items()
    assert not any("step" in message for message in seen)
    assert not any(message.startswith("pair 1-") and "case" in message for message in seen)
    assert rows(folder) == rows(whole)
    assert "resumed from its last checkpoint" in (folder.path / "log.txt").read_text()
    finished = state(folder)
    run_experiment(source, folder.path, ACROSS_RATERS, QUICK, CPU)
    assert state(folder) == finished


@pytest.mark.slow
def test_killed_and_run_again(source, whole, tmp_path):
    training = [f"--training={name}={_text(value)}" for name, value in TRAINING.items()]
    arguments = ["experiment", "raters", str(source), str(tmp_path / "out"), "--trainer=fast", *training]
    arguments += ["--raters=1,2,consensus", "--train-share=0.3", "--metrics=dice"]
    arguments += ["--analyses=robust,plain,paired", "--permutations=99", "--repeats=1", "--folds=3"]
    command = [sys.executable, "-m", "slicerxai.cli.main", *arguments]
    folder = ExperimentFolder(tmp_path / "out")
    environment = os.environ | {"SLICERXAI_DEVICE": "cpu", "SLICERXAI_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(command, env=environment)
    while not list((folder.path / "pairs").glob("*.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = state(folder)
    assert len(kept) < 3 + len(PAIRS)
    (folder.path / "pairs" / f".1-2.json-{'0' * 32}").write_text("half of a fi")
    (folder.path / "models" / ".building-0").mkdir()
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert kept.items() <= state(folder).items()
    assert not list(folder.path.rglob(".[!l]*"))
    assert rows(folder) == rows(whole)


def test_other_metrics_keep_the_models_and_other_data_are_refused(source, whole, tmp_path):
    models = {file: when for file, when in state(whole).items() if file.startswith("models")}
    less = ACROSS_RATERS.model_copy(update={"metrics": ("recall",), "analyses": ("weighting",)})
    run_experiment(source, whole.path, less, QUICK, CPU)
    assert models.items() <= state(whole).items()
    assert {(row["metric"], row["analysis"]) for row in rows(whole)} == {("recall", "weighting")}
    for changed, what in (
        ({"training": TRAINING | {"steps": 101}}, "training"),
        ({"train_share": 0.5}, "cases, learn, test|learn, test"),
        ({"raters": ("1", "2")}, "learn"),
    ):
        with pytest.raises(ConflictError, match=f"begun with other ({what})"):
            run_experiment(source, whole.path, ACROSS_RATERS.model_copy(update=changed), QUICK, CPU)
    run_experiment(source, whole.path, ACROSS_RATERS, QUICK, CPU)
    assert len(rows(whole)) == len(PAIRS) * 3 * 5


def test_across_centres(source, tmp_path):
    parameters = CentresParameters(
        trainer="fast", training=TRAINING, source=("01",), target=("03",), train_share=0.3, analyses=("robust",)
    )
    folder = run_experiment(source, tmp_path / "out", parameters, QUICK, CPU)
    found = rows(folder)
    assert [row["pair"] for row in found if row["part"] == "drop"] == ["rater-1", "rater-1", "rater-2", "rater-2"]
    assert {row["truth"] for row in found} == {""}
    assert "The truth is not known" in (folder.path / "report.html").read_text()
    assert (folder.path / "figures" / "shares-dice.png").is_file()


def test_what_fails_for_one_pair_is_written_down_and_the_others_go_on(source, tmp_path, monkeypatch):
    def fails_for_rater_1(segmenter, cohort, one, other, *rest):
        if one.rater == "1":
            msg = "nothing of <b>meaning</b>"
            raise InputError(msg)
        return study(segmenter, cohort, one, other, *rest)

    monkeypatch.setattr("slicerxai.shift.experiments.comparison.study", fails_for_rater_1)
    parameters = CentresParameters(
        trainer="fast", training=TRAINING, source=("01",), train_share=0.3, analyses=("robust",), metrics=("dice",)
    )
    folder = run_experiment(source, tmp_path / "out", parameters, QUICK, CPU)
    assert {row["pair"] for row in rows(folder)} == {"rater-2"}
    result = json.loads((folder.path / "pairs" / "rater-1.json").read_text())["results"]
    assert result == [{"analysis": "robust", "metric": "dice", "error": "nothing of <b>meaning</b>"}]
    assert "nothing of &lt;b&gt;meaning&lt;/b&gt;" in (folder.path / "report.html").read_text()


@pytest.mark.parametrize("content", ["file", "folder"])
def test_a_folder_of_something_else_is_left_alone(source, tmp_path, content):
    out = tmp_path / "out"
    if content == "file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is a file|holds other content \(thesis.txt\)"):
        run_experiment(source, out, ACROSS_RATERS, QUICK, CPU)
    assert not list(tmp_path.rglob("models"))


def test_two_runs_in_one_folder(source, whole):
    with whole.held(), pytest.raises(ConflictError, match="another run is at work"):
        run_experiment(source, whole.path, ACROSS_RATERS, QUICK, CPU)


def test_bad_training_parameter_is_named(source, tmp_path):
    parameters = RatersParameters(trainer="fast", training={"epochs": 3})
    with pytest.raises(InputError, match="training fast: epochs"):
        run_experiment(source, tmp_path / "out", parameters, QUICK, CPU)
    assert not (tmp_path / "out").exists()
