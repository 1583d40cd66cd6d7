"""`slicerxai explain METHOD --cohort`: environments on the command line, and what is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from slicerxai.cli.main import run
from slicerxai.cli.options import given, options
from slicerxai.data.cohort import Between, Environment, OneOf
from tests.support.cohort_method import NAME, MaskVolumeParameters, write_cohort

pytestmark = pytest.mark.usefixtures("cohort_method")

ENVIRONMENTS: list[tuple[list[str], Environment]] = [
    (["--source", "centre=01,07, 08"], Environment(where={"centre": OneOf(values=("01", "07", "08"))})),
    (["--source-rater", "3"], Environment(rater="3")),
    (["--source", "age=30..50.5"], Environment(where={"age": Between(minimum=30, maximum=50.5)})),
    (["--source", "age=-1.."], Environment(where={"age": Between(minimum=-1)})),
    (["--source", "age=..50"], Environment(where={"age": Between(maximum=50)})),
    (["--source", "scanner=a=b"], Environment(where={"scanner": OneOf(values=("a=b",))})),
    (["--source", "v=1..2..3"], Environment(where={"v": OneOf(values=("1..2..3",))})),
    (
        ["--source", "centre=01", "--source", "age=30..", "--source-rater", "3"],
        Environment(where={"centre": OneOf(values=("01",)), "age": Between(minimum=30)}, rater="3"),
    ),
]


@pytest.mark.parametrize(("arguments", "expected"), ENVIRONMENTS)
def test_environments(arguments: list[str], expected: Environment) -> None:
    taken: dict[str, Any] = {}
    command = click.Command("x", callback=lambda **values: taken.update(values), params=options(MaskVolumeParameters))
    command.main(arguments, standalone_mode=False)
    parameters = MaskVolumeParameters.model_validate(given(taken, MaskVolumeParameters))
    assert parameters.source == expected
    assert parameters.target == Environment()


def test_text_that_reads_as_a_number_selects_from_a_numeric_column() -> None:
    thirty = OneOf(values=("30", "x"))
    assert thirty.holds(30.0)
    assert not thirty.holds(31.0)
    assert not OneOf(values=("1",)).holds("01")
    assert not OneOf(values=(1.0,)).holds("1")


def test_it_explains(in_tiny_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohort, out = write_cohort(tmp_path / "patients"), tmp_path / "out"
    arguments = ["explain", NAME, "--cohort", str(cohort), "--out", str(out), "--json"]
    environments = ["--source", "centre=01", "--source-rater", "1", "--target", "age=33,35", "--target-rater", "2"]
    assert run([*arguments, *environments]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["metrics"]["difference_mm3"] == pytest.approx((42 + 62) / 2 - (11 + 21 + 31) / 3)
    assert (summary["image_id"], summary["verdict"]) == ("patients", "reliable")
    assert len(summary["provenance"]["inputs"]) == 19
    assert sorted(path.name for path in out.iterdir()) == [
        "explanation.json",
        "figures",
        "overview.png",
        "report.html",
        "tables",
    ]
    lines = (out / "tables" / "cases.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[:2] == ["environment,case,volume (mm³)", "source,p0,11.0"]


def test_help_shows_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", NAME, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("--cohort PATH", "--source KEY=VALUES|KEY=MIN..MAX", "--source-rater", "--target age=30..50"):
        assert words in shown
    assert "--image" not in shown
