"""`slicerxai experiment`: its options follow the parameter models, and a user's mistakes end with exit code 2."""

import json

import pytest

from slicerxai.cli.main import run
from tests.support.cohort_method import write_cohort


def test_options_are_those_of_the_experiment_and_of_the_attribution(capsys):
    assert run(["experiment", "centres", "--help"]) == 0
    shown = capsys.readouterr().out
    for option in ("--source", "--target", "--train-rater", "--analyses", "--training", "--permutations", "--level"):
        assert option in shown
    assert "--estimator" not in shown
    assert run(["experiment", "--help"]) == 0
    assert "raters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["raters", "{cohort}", "{out}", "--raters", "1,9"],
            "no case of cohort 'cohort' has rater '9'; raters are 1, 2",
        ),
        (["raters", "{cohort}", "{out}", "--training", "epochs"], "'epochs'; accepted: NAME=VALUE"),
        (["raters", "{cohort}", "{out}", "--training", "epoch=3"], "training nnunet: epoch: Extra inputs"),
        (["raters", "{cohort}", "{out}", "--analyses", "magic"], "bad parameters for experiment raters: analyses"),
        (["raters", "{cohort}", "{out}", "--train-share", "0.8"], "needed are 1 and 5"),
        (["raters", "{cohort}", "{out}", "--training", "channels=T1,"], "models of T1 cannot be compared"),
        (["centres", "{cohort}", "{out}"], "no case of centre '08'; it has 01, 07"),
        (["centres", "{cohort}", "{out}", "--analyses", "paired"], "both sides have the same"),
        (["raters", "nowhere", "{out}"], "nowhere: no such folder or file"),
        (["sites", "{cohort}", "{out}"], "No such command 'sites'"),
    ],
)
def test_mistakes_are_named_and_leave_nothing(arguments, message, tmp_path, capsys):
    places = {"cohort": write_cohort(tmp_path / "cohort", patients=8), "out": tmp_path / "out"}
    assert run(["experiment", *(text.format(**places) for text in arguments), "--json"]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert message in json.loads(shown.out)["error"]
    assert not (tmp_path / "out").exists()
