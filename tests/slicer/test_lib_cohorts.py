"""Environments as the panel understands them select what the server's select."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from XAILib.cohorts import Between, Case, Cohort, Environment, OneOf, cohort_of, cohorts_of, environment_of

from slicerxai.data import case as core_case
from slicerxai.data import cohort as core_cohort
from slicerxai.errors import InputError

TEXTS = st.sampled_from(["01", "07", "north", "3"])
NUMBERS = st.sampled_from([1.5, 3.0, 30.0, 41.0])
ENDS = st.one_of(st.none(), NUMBERS)


@st.composite
def between(draw: Any) -> Between:
    low, high = draw(ENDS), draw(ENDS)
    if low is None and high is None:
        low = 3.0
    return Between(low, high) if low is None or high is None or low <= high else Between(high, low)


CONDITIONS = {
    "centre": st.one_of(st.lists(TEXTS, min_size=1, max_size=3).map(lambda values: OneOf(tuple(values)))),
    "age": st.one_of(st.lists(NUMBERS, min_size=1, max_size=3).map(lambda values: OneOf(tuple(values))), between()),
}
CASES = st.lists(
    st.tuples(
        st.fixed_dictionaries({}, optional={"centre": TEXTS, "age": NUMBERS}),
        st.sets(st.sampled_from(["1", "2"])),
    ),
    min_size=1,
    max_size=8,
)


@given(CASES, st.fixed_dictionaries({}, optional=CONDITIONS), st.sampled_from(["1", "2"]))
def test_the_panel_selects_what_the_server_selects(made: Any, where: Any, rater: str) -> None:
    ours = Cohort("c", tuple(Case(str(n), ("FLAIR",), tuple(raters), about) for n, (about, raters) in enumerate(made)))
    theirs = core_cohort.Cohort(
        "c",
        tuple(
            core_case.Case(str(n), {}, {name: Path("m") for name in raters}, about)
            for n, (about, raters) in enumerate(made)
        ),
    )
    environment = Environment(rater, where)
    parsed = core_cohort.Environment.model_validate(environment.document())
    try:
        expected = [case.id for case in theirs.select(parsed)]
    except InputError:
        expected = []
    assert [case.id for case in ours.selected(environment)] == expected
    assert environment_of(environment.document()) == environment
    assert environment_of(parsed.model_dump(mode="json")) == environment


def cohort(*metadata: dict[str, Any]) -> Cohort:
    return Cohort("c", tuple(Case(str(n), ("FLAIR",), ("1",), about) for n, about in enumerate(metadata)))


def test_keys_that_only_name_the_case_are_not_offered() -> None:
    found = cohort(*({"subject": f"s{n}", "age": 30.0 + n, "site": "a"} for n in range(3)), {"subject": "s3"})
    assert found.keys == ("age", "site")
    assert found.numeric("age")
    assert not found.numeric("site")
    assert found.values("site") == {"a": 3}
    assert list(cohort({"x": "b"}, {"x": 2.0}, {"x": "a"}, {"x": 1.0}).values("x")) == [1.0, 2.0, "a", "b"]


def test_words() -> None:
    where = {"centre": OneOf(("01", 7.0)), "age": Between(30.0, None), "load": Between(None, 2.5), "te": Between(1, 2)}
    assert str(Environment("3", where)) == "centre 01 or 7, age from 30, load up to 2.5, te from 1 to 2; rater 3"
    assert str(Environment("3")) == "all cases; rater 3"


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"rater": 3}, {"rater": "1", "where": []}, {"rater": "1", "where": {"a": {}}},
     {"rater": "1", "where": {"a": {"values": [None]}}}, {"rater": "1", "where": {"a": {"values": [True]}}}],
)  # fmt: skip
def test_what_is_no_environment(document: Any) -> None:
    with pytest.raises(ValueError, match="not an environment"):
        environment_of(document)


@pytest.mark.parametrize(
    "document", [None, [], {}, {"name": "a"}, {"name": "a", "cases": [{}]}, {"name": 1, "cases": []}]
)
def test_what_is_no_cohort(document: Any) -> None:
    with pytest.raises(ValueError, match="not a cohort"):
        cohort_of(document)


@pytest.mark.parametrize("document", [None, {}, {"cohorts": [{}]}, {"cohorts": [{"name": "a", "cases": "x"}]}])
def test_what_is_no_list_of_cohorts(document: Any) -> None:
    with pytest.raises(ValueError, match="not a list"):
        cohorts_of(document)
