"""Cases name what they lack; environments select and say why they cannot."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort, Environment
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError, NotFoundError


def case(name: str, raters: tuple[str, ...] = ("1", "consensus"), **metadata: str | float) -> Case:
    masks = {rater: Path(f"{name}_{rater}.nii.gz") for rater in raters}
    return Case(name, {"FLAIR": Path(f"{name}.nii.gz")}, masks, metadata)


COHORT = Cohort(
    "demo",
    (
        case("a", centre="01", age=30.0),
        case("b", centre="01", age=50.0, raters=("1",)),
        case("c", centre="07", age=40.0),
        case("d", centre="08"),
    ),
)


def test_case_reads_its_files_and_names_what_is_missing(tmp_path: Path) -> None:
    volume = Volume(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4))
    write_volume(tmp_path / "f.nii.gz", volume)
    one = Case("x", {"FLAIR": tmp_path / "f.nii.gz"}, {"3": tmp_path / "gone.nii.gz"})
    assert np.array_equal(one.image("FLAIR").array, volume.array)
    with pytest.raises(InputError, match="'x' has no modality 'T2'; it has FLAIR"):
        one.image("T2")
    with pytest.raises(InputError, match="'x' has no rater 'consensus'; it has 3"):
        one.mask("consensus")
    with pytest.raises(InputError, match=r"gone\.nii\.gz"):
        one.mask("3")


def test_cohort_look_up() -> None:
    assert [one.id for one in COHORT] == ["a", "b", "c", "d"]
    assert len(COHORT) == 4
    assert COHORT["c"].metadata["centre"] == "07"
    assert COHORT.modalities == ("FLAIR",)
    assert COHORT.raters == ("1", "consensus")
    with pytest.raises(NotFoundError, match=r"'zz'.*a, b, c, d"):
        COHORT["zz"]
    with pytest.raises(InputError, match="2 cases 'a'"):
        Cohort("twice", (case("a"), case("a")))["a"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["a", "c", "d"]),
        ({"rater": "1"}, ["a", "b", "c", "d"]),
        ({"where": {"centre": {"values": ["01", "08"]}}}, ["a", "d"]),
        ({"where": {"age": {"minimum": 40}}, "rater": "1"}, ["b", "c"]),
        ({"where": {"age": {"maximum": 40}}}, ["a", "c"]),
        ({"where": {"age": {"values": [30, 50]}, "centre": {"values": ["01"]}}, "rater": "1"}, ["a", "b"]),
    ],
)
def test_select(environment: dict, expected: list[str]) -> None:
    parsed = Environment.model_validate(environment)
    assert [one.id for one in COHORT.select(parsed)] == expected
    assert Environment.model_validate_json(parsed.model_dump_json()) == parsed


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"where": {"hospital": {"values": ["x"]}}}, "'hospital'; known are age, centre"),
        ({"rater": "9"}, "'9'; raters are 1, consensus"),
        ({"where": {"centre": {"values": ["99"]}}}, "centre is one of 01, 07, 08"),
        ({"where": {"age": {"minimum": 90}}}, "selects no case"),
        ({"where": {"centre": {"minimum": 1}}}, "selects no case"),
    ],
)
def test_select_says_why_not(environment: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        COHORT.select(Environment.model_validate(environment))


@pytest.mark.parametrize(
    "environment",
    [
        {"where": {"age": {"minimum": 5, "maximum": 4}}},
        {"where": {"age": {}}},
        {"where": {"age": {"values": []}}},
        {"were": {}},
    ],
)
def test_malformed_environments(environment: dict) -> None:
    with pytest.raises(ValidationError):
        Environment.model_validate(environment)
