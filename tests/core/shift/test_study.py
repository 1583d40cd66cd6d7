from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slicerxai.data.cohort import Cohort, Environment, OneOf
from slicerxai.errors import Cancelled, InputError
from slicerxai.shift.evaluate import Burden, evaluate_cohort
from slicerxai.shift.options import Options
from slicerxai.shift.study import StudySettings, study
from tests.support.toy_shift import environment, threshold, toy_cohort

QUICK = Options(permutations=99, repeats=1)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return toy_cohort(tmp_path_factory.mktemp("cohort"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared: predictions of the toy model are made once for all tests."""
    return tmp_path_factory.mktemp("cache")


def test_study_is_an_attribution_of_the_scores(cohort: Cohort, cache: Path) -> None:
    model = threshold()
    seen: list[float] = []
    source, target = environment("01", "1"), environment("03", "2")
    found = study(
        model,
        cohort,
        source,
        target,
        StudySettings(burden=Burden("metadata", "burden")),
        QUICK,
        cache,
        lambda fraction, message: seen.append(fraction),
    )
    scores = [evaluate_cohort(model, cohort, e, cache) for e in (source, target)]
    assert model.calls == len(cohort)
    assert seen == sorted(seen)
    assert seen[-1] == 1
    means = [np.mean([score.metrics["dice"] for score in side]) for side in scores]
    assert found.attribution.drop == pytest.approx(means[0] - means[1])
    assert found.attribution.names == ("population", "acquisition", "annotation")
    assert set(found.by_rater) == {"1", "2", "consensus"}
    expected = [score.metrics["dice"] for side in scores for score in side]
    own = np.concatenate([found.by_rater["1"][:8], found.by_rater["2"][8:]])
    np.testing.assert_allclose(own, expected)
    assert found.exchange == "paired"
    assert found.swapped is not None
    np.testing.assert_allclose(found.swapped.source, found.by_rater["2"][:8])
    np.testing.assert_allclose(found.swapped.target, found.by_rater["1"][8:])
    assert [score.case for score in found.target_scores] == [case.id for case in cohort.cases[8:]]
    study(model, cohort, source, target, StudySettings(), QUICK, cache)
    assert model.calls == len(cohort)


def test_another_rater_on_the_same_images_leaves_the_acquisition_alone(cohort: Cohort, cache: Path) -> None:
    """The whole drop is the annotation's when only the rater differs."""
    one, other = Environment(rater="1"), Environment(rater="2")
    found = study(threshold(), cohort, one, other, StudySettings(), QUICK, cache)
    phi = dict(zip(found.attribution.names, found.attribution.phi, strict=True))
    assert phi["acquisition"] == pytest.approx(0, abs=1e-12)
    assert phi["population"] == pytest.approx(0, abs=1e-12)
    assert phi["annotation"] == pytest.approx(found.attribution.drop)
    assert abs(found.attribution.drop) > 0.05
    assert found.attribution.interval[2, 0] > 0 or found.attribution.interval[2, 1] < 0


def test_the_same_rater_is_not_exchanged_and_harmonising_runs_the_model_again(cohort: Cohort, tmp_path: Path) -> None:
    model = threshold()
    source, target = environment("01"), environment("03")
    found = study(model, cohort, source, target, StudySettings(), QUICK, tmp_path)
    assert found.exchange == "none"
    assert found.swapped is None
    assert model.calls == 16
    found = study(model, cohort, source, target, StudySettings(exchange="harmonised"), QUICK, tmp_path)
    assert model.calls == 32
    assert found.exchange == "harmonised"
    assert found.swapped is not None
    assert found.swapped.mechanism == "acquisition"
    assert not np.allclose(found.swapped.source, found.pair.source.metric)
    again = study(model, cohort, source, target, StudySettings(exchange="harmonised"), QUICK, tmp_path)
    assert model.calls == 32
    np.testing.assert_array_equal(again.attribution.phi, found.attribution.phi)


def test_errors_are_better_when_smaller(cohort: Cohort, cache: Path) -> None:
    found = study(
        threshold(),
        cohort,
        environment("01", "1"),
        environment("01", "2"),
        StudySettings("volume_error_ml"),
        QUICK,
        cache,
    )
    assert (found.pair.metric <= 0).all()
    errors = [
        np.mean([s.metrics["volume_error_ml"] for s in side]) for side in (found.source_scores, found.target_scores)
    ]
    assert found.attribution.drop == pytest.approx(errors[1] - errors[0])


def test_unknown_patients_leave_the_population_out_and_partly_known_features_are_named(
    cohort: Cohort, cache: Path
) -> None:
    def without(*keys: str, cases: slice = slice(None)) -> Cohort:
        changed = list(cohort.cases)
        for n in range(len(changed))[cases]:
            about = {key: value for key, value in changed[n].metadata.items() if key not in keys}
            changed[n] = replace(changed[n], metadata=about)
        return Cohort("toy", tuple(changed))

    source, target = environment("01"), environment("03")
    found = study(threshold(), without("age", "sex"), source, target, StudySettings(), QUICK, cache)
    assert found.attribution.names == ("acquisition", "annotation")
    assert found.omitted == ()
    found = study(threshold(), without("age", cases=slice(3)), source, target, StudySettings(), QUICK, cache)
    assert found.attribution.names == ("population", "acquisition", "annotation")
    assert found.pair.source.variables["S"].shape == (8, 1)
    assert found.omitted == ("age",)


@pytest.mark.parametrize(
    ("source", "target", "settings", "match"),
    [
        (environment("01", "1"), environment("03", "9"), StudySettings(), "has rater '9'; raters are 1, 2, consensus"),
        (environment("01", "1"), environment("07", "1"), StudySettings(), "selects no case"),
        (
            Environment(where={"centre": OneOf(values=("01",)), "sex": OneOf(values=("F",))}),
            environment("03"),
            StudySettings(),
            "source .* has 4 subjects; 5 are the least",
        ),
        (environment("01", "1"), environment("03", "2"), StudySettings(burden=Burden("mask", "2")), "burden cannot be"),
        (
            environment("01"),
            environment("03"),
            StudySettings(burden=Burden("metadata", "load")),
            "number as metadata 'load'",
        ),
        (environment("01"), environment("03"), StudySettings(exchange="paired"), "both environments take the masks"),
        (environment("01"), environment("03"), StudySettings("kappa"), "unknown metric 'kappa'"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_refused_before_the_network_runs(
    cohort: Cohort, tmp_path: Path, source: Environment, target: Environment, settings: StudySettings, match: str
) -> None:
    model = threshold()
    with pytest.raises(InputError, match=match):
        study(model, cohort, source, target, settings, QUICK, tmp_path)
    assert model.calls == 0


def test_a_pair_needs_both_raters_on_every_case(cohort: Cohort, cache: Path) -> None:
    first = replace(cohort.cases[0], masks={"1": cohort.cases[0].masks["1"]})
    partly = Cohort("toy", (first, *cohort.cases[1:]))
    source, target = environment("01", "1"), environment("03", "2")
    with pytest.raises(InputError, match=r"1 of 8 cases of the source lack one of rater '2', such as 'c01p0'"):
        study(threshold(), partly, source, target, StudySettings(exchange="paired"), QUICK, cache)
    found = study(threshold(), partly, source, target, StudySettings(), QUICK, cache)
    assert found.exchange == "none"
    assert set(found.by_rater) == {"1"}
    with pytest.raises(InputError, match="estimator 'plain' cannot use exchange 'paired'"):
        study(
            threshold(),
            cohort,
            source,
            target,
            StudySettings(exchange="paired"),
            replace(QUICK, estimator="plain"),
            cache,
        )


def test_a_metric_without_meaning_leaves_cases_out(cohort: Cohort, tmp_path: Path) -> None:
    from slicerxai.data.io import write_volume

    empty = tmp_path / "empty.nii.gz"
    mask = cohort.cases[0].mask("1")
    write_volume(empty, mask.with_array(0 * mask.array))
    some = [replace(case, masks=case.masks | {"1": empty}) for case in cohort.cases[:2]]
    source, target = environment("01", "1"), environment("03", "1")
    partly = Cohort("toy", (*some, *cohort.cases[2:]))
    found = study(threshold(), partly, source, target, StudySettings("recall"), QUICK, tmp_path / "cache")
    assert found.excluded == ("source/c01p0", "source/c01p1")
    assert len(found.pair.source) == len(found.source_scores) == 6
    assert len(found.by_rater["1"]) == 14
    many = [replace(case, masks=case.masks | {"1": empty}) for case in cohort.cases[:4]]
    with pytest.raises(
        InputError, match=r"'recall' has no meaning for 4 cases of the source.* 4 subjects are left, and 5"
    ):
        study(
            threshold(),
            Cohort("toy", (*many, *cohort.cases[4:])),
            source,
            target,
            StudySettings("recall"),
            QUICK,
            tmp_path / "cache",
        )


def test_cancelling_stops(cohort: Cohort, tmp_path: Path) -> None:
    def stop(fraction: float, message: str) -> None:
        if "target: case 2" in message:
            raise Cancelled

    model = threshold()
    with pytest.raises(Cancelled):
        study(model, cohort, environment("01"), environment("03"), StudySettings(), QUICK, tmp_path, stop)
    assert model.calls == 9
