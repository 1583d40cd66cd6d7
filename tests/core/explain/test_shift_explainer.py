from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.stats import t

from slicerxai.cli.main import run as run_cli
from slicerxai.data.cohort import Cohort
from slicerxai.data.metrics import dice
from slicerxai.errors import InputError
from slicerxai.explain import shift_tables, shift_words
from slicerxai.explain.contract import Check, Explanation
from slicerxai.explain.overview import overview
from slicerxai.explain.report import render
from slicerxai.explain.run import parse_parameters, run_cohort
from slicerxai.settings import settings
from slicerxai.shift.evaluate import Burden, parse_burden
from tests.support.toy_shift import Threshold, threshold, toy_cohort

QUICK = {"permutations": 99, "repeats": 1}
SOURCE = {"where": {"centre": {"values": ["01"]}}, "rater": "1"}
TARGET = {"where": {"centre": {"values": ["03"]}}, "rater": "2"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Scores of the toy model are made once for all tests."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLICERXAI_HOME", str(folder))
        settings.cache_clear()
        yield folder
    settings.cache_clear()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return toy_cohort(tmp_path_factory.mktemp("cohort") / "toy")


def explain(cohort: Cohort, model: Threshold | None = None, **parameters: Any) -> Explanation:
    values = {"source": SOURCE, "target": TARGET} | QUICK | parameters
    return run_cohort("shift", parse_parameters("shift", values), model or threshold(), cohort)


@pytest.fixture(scope="module")
def paired(home: Path, cohort: Cohort) -> Explanation:
    return explain(cohort, burden="metadata:burden")


def column(explanation: Explanation, table: str, name: str) -> list[Any]:
    found = explanation.tables[table]
    return [row[found.columns.index(name)] for row in found.rows]


def test_all_numbers_are_points_and_add_up(paired: Explanation, home: Path) -> None:
    found = paired.metrics
    phi = sum(found[f"phi_{name}"] for name in ("population", "acquisition", "annotation"))
    assert phi + found["unresolved"] == pytest.approx(found["drop"])
    assert found["drop"] == pytest.approx(found["source_mean"] - found["target_mean"])
    assert 10 < found["drop"] < 100
    assert found["residual"] == pytest.approx(0, abs=1e-9)
    for name in ("drop", "unresolved", "phi_population", "phi_acquisition", "phi_annotation"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    assert column(paired, "shares", "mechanism") == [
        "population",
        "acquisition",
        "annotation",
        "unresolved",
        "whole drop",
    ]
    assert column(paired, "shares", "share (points)")[2] == pytest.approx(found["phi_annotation"], abs=1e-6)
    assert column(paired, "shares", "state")[2] == "measured"
    performance = dict(
        zip(
            column(paired, "coalitions", "from the target"),
            column(paired, "coalitions", "performance (points)"),
            strict=True,
        )
    )
    assert performance["nothing"] == pytest.approx(found["source_mean"])
    assert len(performance) == 8
    assert list((home / "scores").glob("*.npz"))


def test_cases_are_scored_against_both_raters_worst_of_the_target_first(paired: Explanation, cohort: Cohort) -> None:
    assert column(paired, "cases", "environment") == ["target"] * 8 + ["source"] * 8
    for part in (slice(8), slice(8, 16)):
        values = column(paired, "cases", "dice (points)")[part]
        assert values == sorted(values)
    for row in (paired.tables["cases"].rows[0], paired.tables["cases"].rows[-1]):
        _, name, rater, own, other, drawn, predicted = row
        case = cohort[str(name)]
        image = case.image("FLAIR").array
        found = image > 1.35 * np.median(image[image > 0])
        assert own == pytest.approx(100 * dice(found, case.mask(str(rater)).array), abs=1e-6)
        assert other == pytest.approx(100 * dice(found, case.mask("1" if rater == "2" else "2").array), abs=1e-6)
        assert drawn == pytest.approx(case.mask(str(rater)).array.sum() * 8 / 1000)
        assert predicted == pytest.approx(found.sum() * 8 / 1000)


def test_raters_matrix_is_the_mean_difference_with_its_t_interval(paired: Explanation, cohort: Cohort) -> None:
    values = {}
    for rater in ("1", "consensus"):
        images = [case.image("FLAIR").array for case in cohort]
        values[rater] = [
            dice(image > 1.35 * np.median(image[image > 0]), case.mask(rater).array)
            for image, case in zip(images, cohort, strict=True)
        ]
    drops = 100 * (np.array(values["1"]) - values["consensus"])
    half = t.ppf(0.975, len(drops) - 1) * drops.std(ddof=1) / np.sqrt(len(drops))
    assert paired.tables["raters"].columns == ["source rater", "1", "2", "consensus"]
    for name, expected in (
        ("raters", drops.mean()),
        ("raters_low", drops.mean() - half),
        ("raters_high", drops.mean() + half),
    ):
        assert paired.tables[name].rows[0][3] == pytest.approx(expected, abs=1e-5)
        assert [paired.tables[name].rows[k][k + 1] for k in range(3)] == [0, 0, 0]
    assert paired.tables["raters"].rows[2][1] == pytest.approx(-drops.mean(), abs=1e-5)


def test_cases_of_both_environments_count_once_and_a_subjects_cases_as_one(home: Path, cohort: Cohort) -> None:
    everyone = explain(cohort, source={"rater": "1"}, target={"rater": "2"})
    assert everyone.metrics["phi_annotation"] == pytest.approx(everyone.metrics["drop"])
    assert everyone.metrics["phi_acquisition"] == pytest.approx(0, abs=1e-9)
    assert everyone.tables["raters"].rows[0][2] == pytest.approx(everyone.metrics["drop"], abs=1e-5)
    drop = np.array([1.0, 3.0, 5.0, np.nan])
    estimate, low, high = shift_tables._interval(drop, np.array(["a", "a", "b", "c"]), 0.95)
    assert estimate == pytest.approx(3.5)
    assert high - low == pytest.approx(2 * t.ppf(0.975, 1) * 1.5)


def test_actions_name_the_mechanism_and_the_verdict_the_data(paired: Explanation) -> None:
    by_subject = {flag.subject: flag.message for flag in paired.flags}
    assert "Standardise the annotation" in by_subject["annotation"]
    assert "raters '1' and '2'" in by_subject["annotation"]
    assert paired.flags[0].subject == "annotation"
    reasons = {check.name: check.reason for check in paired.checks}
    assert next(iter(reasons)) == "shares add up"
    assert "Annotation was measured" in reasons["exchange observed"]
    assert f"of a drop of {paired.metrics['drop']:+.3g} points" in reasons["unresolved remainder"]
    assert "from metadata:burden" in reasons["disease burden"]


def test_nothing_is_recommended_on_the_grounds_of_an_unreliable_result(home: Path, tmp_path: Path) -> None:
    cohort = toy_cohort(tmp_path, patients=6)
    found = explain(cohort, source=SOURCE, target={**TARGET, "rater": "1"}, burden="metadata:burden")
    if found.verdict != "unreliable":
        pytest.fail(f"six patients each were judged {found.verdict}")
    assert [flag.subject for flag in found.flags] == ["unresolved"]
    assert "No action on the grounds of this result. What would help: " in found.flags[0].message


def test_what_would_help_is_one_sentence() -> None:
    reasons = ("a. What would help: more cases.", "b. What would help: their age.", "c. What would help: more cases.")
    checks = [Check(name="n", value=0, limit=1, verdict="caution", reason=reason) for reason in reasons]
    assert shift_words._help(checks) == "What would help: more cases; their age."


def test_a_gain_needs_no_action(home: Path, cohort: Cohort) -> None:
    found = explain(cohort, source={"rater": "2"}, target={"rater": "1"})
    assert found.metrics["phi_annotation_high"] < 0
    assert [flag.message for flag in found.flags] == ["The model does no worse at the target; nothing is to be done."]


def test_features_tell_what_differs_in_standard_deviations(paired: Explanation, cohort: Cohort) -> None:
    table = paired.tables["features"]
    (age,) = [row for row in table.rows if row[1] == "age, years"]
    ages = [np.array([case.metadata["age"] for case in cohort.cases[part]]) for part in (slice(8), slice(8, 16))]
    spread = np.sqrt((ages[0].var(ddof=1) + ages[1].var(ddof=1)) / 2)
    assert age[2:] == pytest.approx(
        [ages[0].mean(), ages[1].mean(), (ages[1].mean() - ages[0].mean()) / spread], abs=1e-5
    )
    masks = [abs(row[4]) for row in table.rows if row[0] == "mask"]
    assert masks == sorted(masks, reverse=True)


def test_errors_keep_their_own_unit_and_direction(home: Path, cohort: Cohort) -> None:
    found = explain(cohort, metric="volume_error_ml", burden="mask:consensus")
    means = [np.mean([row[3] for row in found.tables["cases"].rows if row[0] == side]) for side in ("source", "target")]
    assert found.tables["cases"].columns[3:5] == [
        "volume_error_ml (ml)",
        "volume_error_ml by the other rater (ml)",
    ]
    assert found.metrics["source_mean"] == pytest.approx(means[0], abs=1e-5)
    assert found.metrics["drop"] == pytest.approx(means[1] - means[0], abs=1e-5)
    assert {"disease burden", "drawn volume against the panel's"} <= set(column(found, "features", "feature"))
    errors = [row[3] for row in found.tables["cases"].rows[:8]]
    assert errors == sorted(errors, reverse=True)


def test_same_rater_harmonised_and_boosted_say_so(home: Path, cohort: Cohort) -> None:
    target = {**TARGET, "rater": "1"}
    found = explain(cohort, target=target)
    checks = {check.name: check for check in found.checks}
    assert "so annotation should not have shifted" in checks["exchange observed"].reason
    assert "Disease burden is not given" in checks["disease burden"].reason or (
        "disease burden is not given" in checks["disease burden"].reason
    )
    assert all(value is None for value in column(found, "cases", "dice by the other rater (points)"))
    found = explain(cohort, target=target, exchange="harmonised", discriminator="boosted", folds=2)
    checks = {check.name: check for check in found.checks}
    assert "carried over to the other site's look" in checks["exchange observed"].reason
    assert checks["intervals hold the noise of the ratios"].verdict == "caution"
    assert column(found, "shares", "state")[1] == "measured"


def test_what_is_not_known_or_has_no_meaning_is_said(home: Path, cohort: Cohort) -> None:
    bare = [replace(case, metadata={"centre": case.metadata["centre"]}) for case in cohort]
    found = explain(Cohort("bare", tuple(bare)))
    assert "phi_population" not in found.metrics
    checks = {check.name: check for check in found.checks}
    assert checks["patients known"].verdict == "caution"
    partly = [replace(bare[0], metadata=bare[0].metadata | {"sex": "F"}), *cohort.cases[1:]]
    found = explain(Cohort("partly", tuple(partly)))
    checks = {check.name: check for check in found.checks}
    assert "age, years" in checks["features left out"].reason


def test_figures_and_report_show_it(paired: Explanation, tmp_path: Path) -> None:
    assert list(paired.figures) == ["shares", "cases", "raters"]
    for name, figure in paired.figures.items():
        (tmp_path / name).write_bytes(figure.png)
        with Image.open(tmp_path / name) as picture:
            assert picture.width >= 600
    page = render(paired)
    for words in ("Shift attribution", "Standardise the annotation", "whole drop", "centre is 03; masks of rater 2"):
        assert words in page
    assert overview(paired).startswith(b"\x89PNG")
    assert explain_bytes(paired) == explain_bytes(paired)


def explain_bytes(explanation: Explanation) -> list[bytes]:
    from slicerxai.explain.shift_figures import cases_figure

    return [cases_figure(explanation.tables["cases"]).png]


def test_burden_is_parsed() -> None:
    assert parse_burden("none") is None
    assert parse_burden("metadata:load:ml") == Burden("metadata", "load:ml")
    assert parse_burden("mask:consensus") == Burden("mask", "consensus")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"burden": "consensus"}, "burden"),
        ({"burden": "mask:2"}, "burden cannot be read from rater '2'"),
        ({"metric": "kappa"}, "metric"),
        ({"exchange": "swap"}, "exchange"),
        ({"target": {**TARGET, "rater": "9"}}, "raters are 1, 2, consensus"),
        ({"estimator": "plain", "exchange": "paired"}, "estimator 'plain' cannot use"),
        ({"source": {**SOURCE, "where": {"age": {"minimum": 69}}}}, "source"),
    ],
)
def test_bad_parameters_are_refused(home: Path, cohort: Cohort, change: dict[str, Any], match: str) -> None:
    model = threshold()
    with pytest.raises(InputError, match=match):
        explain(cohort, model, **change)
    assert model.calls == 0


def test_command_line(in_tiny_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "toy", tmp_path / "out"
    toy_cohort(folder, patients=5)
    base = ["explain", "shift", "--cohort", str(folder), "--out", str(out)]
    arguments = ["--source", "centre=01", "--source-rater", "1", "--target", "centre=03", "--target-rater", "2"]
    assert run_cli([*base, *arguments, "--permutations", "99", "--repeats", "1", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["metrics"]["source_cases"] == 5
    assert (out / "tables" / "shares.csv").is_file()
    assert "Shift attribution" in (out / "report.html").read_text(encoding="utf-8")
    for wrong, says in (
        ([*arguments[:-1], "9"], "raters are 1, 2, consensus"),
        ([*arguments, "--burden", "mask:2"], "burden cannot be read from rater '2'"),
        ([*arguments, "--metric", "kappa"], "kappa"),
        (arguments[:4], "target"),
        (["--source", "centre=01", "--source", "sex=F", *arguments[2:]], "5 are the least"),
    ):
        assert run_cli([*base, *wrong]) == 2
        assert says in capsys.readouterr().err
