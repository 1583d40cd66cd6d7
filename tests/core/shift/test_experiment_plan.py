"""What an experiment plans: who is trained on, who is tested, which pairs; and what it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.errors import InputError
from slicerxai.shift.experiments.parameters import CentresParameters, RatersParameters
from slicerxai.shift.experiments.plan import make_plan, split, subject

FILE = Path("none.nii.gz")


def case(name, centre, raters=("1", "2", "consensus", "truth"), **about):
    return Case(name, {"FLAIR": FILE}, dict.fromkeys(raters, FILE), {"centre": centre, **about})


def cohort(**patients):
    cases = [case(f"{centre}_{n}", centre) for centre, count in patients.items() for n in range(count)]
    return Cohort("made", tuple(cases))


MSSEG = cohort(**{"01": 15, "03": 8, "07": 15, "08": 15})


def test_across_raters_every_ordered_pair_and_nobody_both_trained_and_tested():
    wide = Cohort("wide", tuple(case(c.id, c.metadata["centre"], [*map(str, range(1, 8)), "truth"]) for c in MSSEG))
    plan = make_plan(wide, RatersParameters(train_share=0.4), ("FLAIR",))
    assert plan.raters == tuple("1234567")
    assert [pair.name for pair in plan.pairs] == [f"{i}-{j}" for i in plan.raters for j in plan.raters if i != j]
    assert all(pair.model == f"rater-{pair.row}" and pair.source.rater == pair.row for pair in plan.pairs)
    assert all(pair.target.rater == pair.column and not pair.target.where for pair in plan.pairs)
    assert {model.cases for model in plan.models} == {plan.models[0].cases}
    assert len(plan.models[0].cases) == 6 + 3 + 6 + 6
    assert set(plan.models[0].cases) | set(plan.test) == {one.id for one in wide}
    assert not set(plan.models[0].cases) & set(plan.test)
    assert make_plan(wide, RatersParameters(train_share=0.4), ("FLAIR",)) == plan
    assert make_plan(wide, RatersParameters(train_share=0.4, split_seed=1), ("FLAIR",)).test != plan.test


def test_across_centres_the_target_is_never_trained_on_and_one_model_is_enough():
    plan = make_plan(MSSEG, CentresParameters(), ("FLAIR",))
    assert [model.name for model in plan.models] == ["centres-01-07-08"]
    assert plan.models[0].rater == "consensus"
    assert {name[:2] for name in plan.models[0].cases} == {"01", "07", "08"}
    assert len(plan.models[0].cases) == 18
    assert [name for name in plan.test if name.startswith("03")] == [f"03_{n}" for n in range(8)]
    assert len(plan.test) == 53 - 18
    assert [(pair.name, pair.source.rater, pair.target.rater) for pair in plan.pairs] == [
        ("rater-1", "1", "1"),
        ("rater-2", "2", "2"),
    ]
    test = Cohort("test", tuple(MSSEG[name] for name in plan.test))
    assert len(test.select(plan.pairs[0].source)) == 27
    assert len(test.select(plan.pairs[0].target)) == 8


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["01", "03"])), min_size=1), st.floats(0.05, 0.95)
)
def test_no_subject_is_divided(visits, share):
    cases = [case(str(n), centre, subject=name) for n, (name, centre) in enumerate(visits)]
    for only in (None, ("01",)):
        training, test = split(cases, "centre", share, 3, only)
        assert not {subject(one) for one in training} & {subject(one) for one in test}
        assert only is None or {one.metadata["centre"] for one in training} <= set(only)
        assert only is not None or len(training) + len(test) == len(cases)


def test_cases_that_lack_something_are_left_out_and_named():
    cases = list(MSSEG.cases)
    cases[0] = replace(cases[0], masks={"1": FILE})
    cases[1] = replace(cases[1], images={"T1": FILE})
    plan = make_plan(Cohort("made", tuple(cases)), RatersParameters(), ("FLAIR",))
    assert plan.left_out == ("01_0", "01_1")
    assert not {"01_0", "01_1"} & {*plan.test, *plan.models[0].cases}
    loaded = [replace(one, metadata={**one.metadata, "load": 3.0}) for one in MSSEG.cases]
    loaded[5] = replace(loaded[5], metadata={**loaded[5].metadata, "load": "many"})
    plan = make_plan(Cohort("made", tuple(loaded)), RatersParameters(burden="metadata:load"), ("FLAIR",))
    assert plan.left_out == ("01_5",)


@pytest.mark.parametrize(
    ("patients", "parameters", "match"),
    [
        (
            MSSEG,
            RatersParameters(raters=("1", "9")),
            "no case of cohort 'made' has rater '9'; raters are 1, 2, consensus",
        ),
        (MSSEG, RatersParameters(raters=("1",)), "needs two or more; cohort 'made' has 1"),
        (MSSEG, RatersParameters(raters=("1", "1")), "rater 1 is named twice"),
        (MSSEG, RatersParameters(burden="mask:8"), "has rater '8'"),
        (MSSEG, RatersParameters(burden="mask:1"), "burden 'mask:1' is a mask of a rater who is compared"),
        (MSSEG, RatersParameters(burden="metadata:load"), "has a number as metadata 'load'"),
        (MSSEG, CentresParameters(train_rater="8"), "has rater '8'"),
        (cohort(**{"01": 30}), CentresParameters(), "no case of centre '07'; it has 01"),
        (cohort(**{"01": 30}), CentresParameters(source=("01",), target=("01",)), "cannot be source and target"),
        (MSSEG, CentresParameters(key="site"), "no case of site '01'; it has no such key"),
        (
            cohort(**{"01": 6}),
            RatersParameters(),
            "too few subjects .* 2 to train on and 4 to test on; needed are 1 and 5",
        ),
        (cohort(**{"01": 30, "03": 4}), CentresParameters(source=("01",)), "centre 03 .target..*4 to test on"),
        (cohort(**{"01": 30, "03": 9}), RatersParameters(raters=("1", "2"), key="nothing"), None),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_there_is(patients, parameters, match):
    if match is None:
        assert make_plan(patients, parameters, ("FLAIR",)).test
        return
    with pytest.raises(InputError, match=match):
        make_plan(patients, parameters, ("FLAIR",))


def test_models_must_see_lesions_bright_and_paired_needs_two_raters():
    with pytest.raises(InputError, match="models of T1 cannot be compared; one modality must be of FLAIR, T2, PD"):
        make_plan(MSSEG, RatersParameters(), ("T1",))
    with pytest.raises(ValidationError, match="both sides have the same"):
        CentresParameters(analyses=("paired",))


def test_repeated_ids_are_refused():
    twice = Cohort("made", MSSEG.cases + MSSEG.cases[:1])
    with pytest.raises(InputError, match="same id"):
        make_plan(twice, RatersParameters(), ("FLAIR",))
