"""Property gradients over the cases of a cohort, on a segmenter that calls lesion what is bright."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from slicerxai.cli.main import run as run_cli
from slicerxai.data.cohort import Cohort
from slicerxai.errors import InputError
from slicerxai.explain import property_cohort_checks as checks
from slicerxai.explain.contract import Explanation
from slicerxai.explain.report import render
from slicerxai.explain.run import parse_parameters, run_cohort
from slicerxai.interventions.cohort_summary import Reading, Summary, summarise
from slicerxai.models.fast import FastConfig, FastSegmenter
from slicerxai.models.protocols import ModelInfo
from tests.support.toy_shift import toy_cohort

QUICK: dict[str, Any] = {"count": 4, "steps": 5, "controls": 3, "control_steps": 3, "bootstraps": 200}


class Bright(nn.Module):
    """Logit of lesion from the normalised intensity alone."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(images), 6 * (images - 2.5)], dim=1)


@pytest.fixture(scope="module")
def model() -> FastSegmenter:
    config = FastConfig(spacing=2.0, patch_size=(16, 16, 16), features=(4, 8))
    info = ModelInfo("bright", "fast", ("FLAIR",), ("background", "lesion"), "digest", {})
    return FastSegmenter(info, Bright(), config, torch.device("cpu"))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return toy_cohort(tmp_path_factory.mktemp("cohort") / "toy", patients=3)


def explain(cohort: Cohort, model: FastSegmenter, **parameters: Any) -> Explanation:
    return run_cohort("properties", parse_parameters("properties", QUICK | parameters), model, cohort)


@pytest.fixture(scope="module")
def explained(cohort: Cohort, model: FastSegmenter) -> Explanation:
    return explain(cohort, model, properties=["gain", "noise", "contrast"], rater="consensus")


def column(explanation: Explanation, table: str, name: str, **where: Any) -> list[Any]:
    found = explanation.tables[table]
    at = {key: found.columns.index(key) for key in (name, *where)}
    return [row[at[name]] for row in found.rows if all(row[at[key]] == value for key, value in where.items())]


def test_the_property_that_moves_the_tone_curve_leads_and_the_gain_is_quiet(explained: Explanation) -> None:
    volume = {"output": "lesion_volume_ml"}
    assert column(explained, "ranking", "property", **volume)[0] == "contrast"
    assert column(explained, "ranking", "rank", **volume) == [1, 2, 3]
    assert column(explained, "ranking", "verdict", property="gain") == [checks.NO_CHANGE] * 5
    assert column(explained, "ranking", "p_controls", property="gain") == [None] * 5
    assert column(explained, "ranking", "change", property="contrast", **volume)[0] > 0
    quiet = next(check for check in explained.checks if check.name == "control is quiet")
    assert quiet.verdict == "reliable"
    assert quiet.value == pytest.approx(0, abs=1e-3)


def test_ranking_is_the_mean_over_the_patients_table(explained: Explanation) -> None:
    for name in ("contrast", "noise"):
        for output in ("lesion_volume_ml", "dice"):
            cases = column(explained, "patients", "effect", property=name, output=output)
            assert len(cases) == 4
            mean = column(explained, "ranking", "effect", property=name, output=output)[0]
            assert mean == pytest.approx(np.mean(cases), rel=1e-4)
    low, high = (column(explained, "ranking", key, output="dice") for key in ("effect_low", "effect_high"))
    effect = column(explained, "ranking", "effect", output="dice")
    assert all(a <= b <= c for a, b, c in zip(low, effect, high, strict=True))
    assert sum(column(explained, "ranking", "probability_first", output="dice")) == pytest.approx(1)
    assert explained.metrics["effect"] == pytest.approx(column(explained, "ranking", "effect")[0], rel=1e-4)


def test_curves_start_from_the_unchanged_image(explained: Explanation) -> None:
    share = column(explained, "curves", "share_of_range", property="noise")
    mean = column(explained, "curves", "mean_change", property="noise")
    assert (share[0], share[-1]) == (0, 1)
    assert mean[0] == pytest.approx(0, abs=1e-9)
    contrast = dict(
        zip(
            column(explained, "curves", "value", property="contrast"),
            column(explained, "curves", "mean_change", property="contrast"),
            strict=True,
        )
    )
    assert contrast[1.0] == pytest.approx(0, abs=1e-9)
    assert contrast[0.6] < 0 < contrast[1.6]


def test_pictures_and_report(explained: Explanation) -> None:
    for figure in explained.figures.values():
        width, height = Image.open(io.BytesIO(figure.png)).size
        assert width > 800
        assert height > 200
    page = render(explained)
    assert "Properties by mean effect" in page
    assert "control is quiet" in page


def test_cases_are_drawn_by_the_seed_from_those_that_are_complete(cohort: Cohort, model: FastSegmenter) -> None:
    one = {"properties": ["contrast"], "controls": 0, "count": 2}
    first, again, other = (
        set(column(explain(cohort, model, seed=seed, **one), "patients", "case")) for seed in (3, 3, 4)
    )
    assert first == again
    assert len(first) == 2
    bare = Cohort("bare", tuple(replace(case, masks={}) if n else case for n, case in enumerate(cohort)))
    with pytest.raises(InputError, match="1 cases of cohort 'bare' have FLAIR and a mask of '1'"):
        explain(bare, model, rater="1", **one)
    assert first != other


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"properties": ["contrast"], "output": "kappa"}, "outputs are lesion_volume_ml"),
        ({"properties": ["colour_patch"]}, "none of the properties"),
        ({"properties": ["recorded"]}, "one case's own images"),
        ({"properties": ["noise", "noise"]}, "named twice"),
    ],
)
def test_what_cannot_be_done_is_said(
    cohort: Cohort, model: FastSegmenter, parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        explain(cohort, model, **parameters)


def reading(case: int, name: str, effect: float, change: float, exceedances: int, controls: int = 4) -> Reading:
    curve = np.array([0.0, 0.5, 1.0, 1.5, 2.0]) * change / 2
    return Reading(str(case), name, np.linspace(0, 1, 5), curve, 10.0, effect, change, (), exceedances, controls)


def summary(**properties: list[tuple[float, float, int]]) -> Summary:
    rows = [
        reading(case, name, *row) for name, cases in properties.items() for case, row in enumerate(cases)
    ]  # effect, change, exceedances
    return summarise(rows, bootstraps=200)


def test_verdicts_need_more_than_arbitrary_changes_in_common() -> None:
    found = summary(
        contrast=[(3.0, 3.0, 0)] * 4 + [(2.0, 2.0, 1)] * 4,
        noise=[(4.0, -4.0, 2)] * 8,
        gain=[(1e-4, 1e-4, 0)] * 8,
    )
    assert [checks.verdict(found, n, 0.05) for n in range(3)] == [checks.DEPENDS, checks.NO_MORE, checks.NO_CHANGE]
    assert found.order == [1, 0, 2]
    assert found.p_sign.tolist() == pytest.approx([2 / 256, 2 / 256, 2 / 256])
    assert found.p_controls_adjusted[0] == pytest.approx(2 * found.controls[0].p)  # type: ignore[union-attr]
    few = summary(contrast=[(3.0, 3.0, 0)])
    assert checks.verdict(few, 0, 0.05).startswith("not resolved: so few cases and controls cannot bring p below 0.2")


def test_too_few_cases_and_a_loud_control_are_called_out() -> None:
    parameters: Any = parse_parameters("properties", {})
    cases = [(3.0, 3.0, 0)] * 8
    loud = summary(contrast=cases, gain=[(2.0, 2.0, 0)] * 8)
    rows = [reading(n, "contrast", 3.0, 3.0, 0) for n in range(8)]
    by_name = {check.name: check for check in checks.all_checks(rows, loud, [], parameters)}
    assert by_name["control is quiet"].verdict == "unreliable"
    assert by_name["leading property"].value == 1
    assert by_name["p can reach the level"].verdict == "reliable"
    few = checks.all_checks(rows, summary(contrast=[(3.0, 3.0, 0)]), [("1", "noise", "why")], parameters)
    verdicts = {check.name: check.verdict for check in few}
    assert verdicts["p can reach the level"] == "unreliable"
    assert verdicts["all on all cases"] == "caution"


def test_options_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    run_cli(["explain", "properties", "--help"])
    text = capsys.readouterr().out
    assert "--control-steps" in text
    assert "--cohort" in text
