"""`slicerxai batch`: options that follow the methods, mistakes that start no process; `tests/core/cluster` computes."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from slicerxai.cli.batch import command
from slicerxai.cli.main import run
from slicerxai.explain import registry
from tests.support.cohort_method import write_cohort

GROUP = click.Context(command)


def test_every_method_of_cases_has_its_own_options() -> None:
    names = command.list_commands(GROUP)
    assert set(names) == {"infer"} | {name for name, entry in registry.METHODS.items() if entry.subject == "case"}
    for name in names:
        found = command.get_command(GROUP, name)
        assert found is not None
        options = [parameter.name for parameter in found.params]
        assert len(options) == len(set(options)), name
        if name != "infer":
            assert set(registry.parameters_class(name).model_fields) <= set(options)
            assert ("rater" in options) == registry.entry(name).mask


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["saliency", "--workers", "2", "--scheduler", "tcp://x:1"], "give one of them"),
        (["saliency", "--workers", "0"], "0 is not in the range"),
        (["saliency", "--retries", "-1"], "-1 is not in the range"),
        (["saliency", "--resources", "GPU"], "accepted: NAME=AMOUNT"),
        (["saliency", "--resources", "GPU=-1"], "an amount above 0"),
        (["saliency", "--steps", "1"], "bad parameters for saliency: steps"),
        (["saliency", "--model", "other"], "no model 'other'"),
        (["property", "--rater", "9"], "no case has a mask of '9'; raters are 1, 2"),
        (["shift"], "use: slicerxai explain shift --cohort COHORT"),
        (["magic"], "No such command 'magic'"),
        (["infer", "--seed", "3"], "No such option"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(
    arguments: list[str], message: str, in_tiny_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--cohort", str(write_cohort(tmp_path / "cohort")), "--out", str(tmp_path / "out"), "--json"]
    assert run(["batch", *arguments, *places]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert message in json.loads(shown.out)["error"]
    assert not (tmp_path / "out").exists()


def test_a_model_of_other_modalities(in_tiny_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohort = write_cohort(tmp_path / "cohort", modality="T1")
    assert run(["batch", "infer", "--cohort", str(cohort), "--out", str(tmp_path / "out")]) == 2
    assert "the model needs FLAIR" in capsys.readouterr().err
