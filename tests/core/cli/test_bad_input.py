"""Every mistake of a user ends with exit code 2, a message that names the fault, no traceback and nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from slicerxai.cli.main import run

SCANS = [
    # fault of the file, words that the message must hold
    ("truncated", "bad.nii.gz"),
    ("garbage", "bad.nii.gz"),
    ("empty file", "bad.nii.gz"),
    ("text", "bad.txt"),
    ("corrupt nrrd", "bad.nrrd"),
    ("2-D", "3"),
    ("4-D", "3"),
    ("NaN", "finite"),
    ("infinite", "finite"),
    ("all zero", "empty"),
    ("constant", "contrast"),
    ("colour", "bad.nii.gz"),
    ("complex", "complex"),
    ("singular affine", "affine"),
    ("huge", "voxels"),
]

PARAMETERS = [
    (["--seed", "-1"], "seed"),
    (["--seed", "x"], "seed"),
    (["--steps", "0"], "steps"),
    (["--steps", "1e9"], "steps"),
    (["--window", "-3"], "window"),
    (["--window", "nan"], "window"),
    (["--method", "magic"], "input_x_gradient"),
    (["--point", "1", "2"], "point"),
    (["--point", "1", "2", "x"], "point"),
    (["--point", "9999", "9999", "9999"], "mm"),
    (["--label", "tumour"], "lesion"),
    (["--nonsense", "1"], "nonsense"),
    (["--model", "absent"], "tiny"),
    (["--model", "../../etc"], "model name"),
    (["--model", ""], "model name"),
]


def _run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = run(arguments)
    shown = capsys.readouterr()
    return code, shown.out + shown.err


@pytest.mark.parametrize(("fault", "words"), SCANS)
def test_bad_scan(
    fault: str,
    words: str,
    bad_scan: Callable[[str], Path],
    in_tiny_home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in (["infer"], ["explain", "saliency"]):
        code, shown = _run([*command, "--image", str(bad_scan(fault)), "--out", str(tmp_path / "out")], capsys)
        assert code == 2, shown
        assert words in shown
        assert "Traceback" not in shown
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("arguments", "words"), PARAMETERS)
def test_bad_parameter(
    arguments: list[str],
    words: str,
    in_tiny_home: Path,
    oblique_scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    command = ["explain", "saliency", "--image", str(oblique_scan), "--out", str(out)]
    code, shown = _run([*command, *arguments], capsys)
    assert code == 2, shown
    assert words in shown
    assert "Traceback" not in shown
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["explain", "saliency", "--out", "{out}"], "--image"),
        (["explain", "saliency", "--image", "{scan}"], "--out"),
        (["explain", "saliency", "--image", "{tmp}/absent.nii.gz", "--out", "{out}"], "no such file"),
        (["explain", "saliency", "--image", "{tmp}", "--out", "{out}"], "no such file"),
        (["explain", "saliency", "--image", "T1={scan}", "--out", "{out}"], "FLAIR"),
        (["explain", "saliency", "--image", "FLAIR={scan}", "--image", "T1={scan}", "--out", "{out}"], "FLAIR"),
        (["explain", "saliency", "--cohort", "{tmp}", "--out", "{out}"], "--cohort"),
        (["explain", "magic", "--image", "{scan}", "--out", "{out}"], "magic"),
        (["infer", "--image", "{scan}", "--out", "{scan}"], "oblique.nii.gz"),
        (["explain", "saliency", "--image", "{scan}", "--out", "{scan}"], "something else"),
        (["explain", "saliency", "--image", "{scan}", "--out", "{tmp}"], "something else"),
        (["validate", "{tmp}/absent"], "absent"),
        (["validate", "{scan}"], "oblique.nii.gz"),
        (["train", "fast", "{tmp}/absent"], "absent"),
        (["train", "magic", "{tmp}"], "magic"),
        (["train", "fast", "{tmp}", "--steps", "0"], "steps"),
        (["train", "fast", "{tmp}", "--patch", "17"], "multiple of 16"),
        (["phantom", "{out}", "--patients", "0"], "patients"),
        (["phantom", "{scan}"], "oblique.nii.gz"),
        (["serve", "{tmp}/absent"], "absent"),
        (["serve", "{tmp}", "--port", "70000"], "70000"),
        (["serve", "{tmp}", "--cohorts", "{tmp}/absent"], "its subfolders are the cohorts"),
        (["serve", "{tmp}", "--cohorts", "{scan}"], "oblique.nii.gz"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_command_line(
    arguments: list[str],
    words: str,
    in_tiny_home: Path,
    oblique_scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    filled = [part.format(out=out, scan=oblique_scan, tmp=tmp_path) for part in arguments]
    code, shown = _run(filled, capsys)
    assert code == 2, shown
    assert words in shown
    assert "Traceback" not in shown
    assert not out.exists()


COHORTS = [
    ([], "--cohort"),
    (["--cohort", "{tmp}/absent", "--source", "centre=01"], "absent"),
    (["--cohort", "{tmp}/../absent", "--source", "centre=01"], "absent"),
    (["--cohort", "/dev/null", "--source", "centre=01"], "/dev/null"),
    (["--cohort", "{empty}", "--source", "centre=01"], "accepted layouts"),
    (["--cohort", "{scan}", "--source", "centre=01"], "oblique.nii.gz"),
    (["--cohort", "{t1}", "--source-rater", "1"], "its images are T1"),
    (["--image", "{scan}", "--cohort", "{good}", "--source-rater", "1"], "--image"),
    (["--cohort", "{good}"], "source"),
    (["--cohort", "{good}", "--source", "centre=03", "--source-rater", "1"], "centre is one of 01, 07"),
    (["--cohort", "{good}", "--source", "age=90..", "--source-rater", "1"], "age is one of 30, 31"),
    (["--cohort", "{good}", "--source", "site=1", "--source-rater", "1"], "known are age, centre"),
    (["--cohort", "{good}", "--source-rater", "9"], "raters are 1, 2"),
    (["--cohort", "{good}", "--source-rater", "1", "--target", "centre=03"], "target"),
    (["--cohort", "{good}", "--source", "centre"], "KEY=VALUE"),
    (["--cohort", "{good}", "--source", "=01"], "KEY=VALUE"),
    (["--cohort", "{good}", "--source", "centre=01,,07"], "KEY=VALUE"),
    (["--cohort", "{good}", "--source", "age=.."], "KEY=VALUE"),
    (["--cohort", "{good}", "--source", "age=50..30"], "exceeds"),
    (["--cohort", "{good}", "--source", "age=30..", "--source", "age=..50"], "given twice"),
    (["--cohort", "{good}", "--source-rater", "1", "--model", "absent"], "tiny"),
]


@pytest.mark.usefixtures("cohort_method")
@pytest.mark.parametrize(("arguments", "words"), COHORTS)
def test_bad_cohort(
    arguments: list[str],
    words: str,
    in_tiny_home: Path,
    oblique_scan: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from tests.support.cohort_method import NAME, write_cohort

    places = {"good": write_cohort(tmp_path / "good"), "t1": write_cohort(tmp_path / "t1", modality="T1")}
    (tmp_path / "empty").mkdir()
    filled = [part.format(tmp=tmp_path, scan=oblique_scan, empty=tmp_path / "empty", **places) for part in arguments]
    out = tmp_path / "out"
    code, shown = _run(["explain", NAME, "--out", str(out), *filled], capsys)
    assert code == 2, shown
    assert words in shown
    assert "Traceback" not in shown
    assert not out.exists()


def test_json_error(capsys: pytest.CaptureFixture[str], tmp_path: Path, in_tiny_home: Path) -> None:
    assert run(["infer", "--image", "absent.nii", "--out", str(tmp_path / "out"), "--json"]) == 2
    assert "absent.nii" in json.loads(capsys.readouterr().out)["error"]


def test_no_model_says_what_to_type(
    tmp_path: Path, oblique_scan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from slicerxai.settings import settings

    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "empty"))
    settings.cache_clear()
    try:
        code, shown = _run(["infer", "--image", str(oblique_scan), "--out", str(tmp_path / "out")], capsys)
    finally:
        settings.cache_clear()
    assert code == 2
    assert "slicerxai train fast" in shown
