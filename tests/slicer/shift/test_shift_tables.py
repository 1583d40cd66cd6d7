"""Tables of a result, bars, matrix and words: what is shown of a result that was made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from made_by_hand import RATERS, document, table
from XAILib.cohorts import Case, Environment, OneOf
from XAIShiftLib import attribution
from XAIShiftLib.attribution import Share


def test_the_hand_made_result_is_one_that_the_client_accepts() -> None:
    import json

    from XAILib.document import checked_document

    assert checked_document(json.dumps(document()).encode()) == document()


def test_shares() -> None:
    shares = attribution.shares_of(document())
    assert [share.name for share in shares] == ["population", "acquisition", "annotation", "unresolved", "whole drop"]
    assert shares[1] == Share("acquisition", 12.3, 6.1, 18.9, "shifted")
    assert shares[3].state == ""
    assert attribution.unit_of(document()) == "points"


def test_columns_are_found_by_their_names() -> None:
    shares = table(["new", "high", "mechanism", "share (mm)", "low"], [["x", 3.0, "scanner", float("nan"), None]])
    made = document(tables={"shares": shares})
    assert attribution.shares_of(made) == (Share("scanner", None, None, 3.0, ""),)
    assert attribution.unit_of(made) == "mm"
    assert attribution.cases_of(made) == ()
    assert attribution.matrix_of(made) is None


def test_cases() -> None:
    rows = attribution.cases_of(document())
    assert len(rows) == 20
    assert rows[1] == attribution.CaseRow("target", "03_01", "5", 41.0, 51.0, 12.5, 9.25)
    assert rows[-1].other is None


def test_matrix() -> None:
    matrix = attribution.matrix_of(document())
    assert matrix is not None
    assert matrix.raters == RATERS
    assert matrix.values[1][4] == 6.0
    assert matrix.values[4][1] == -6.0
    assert matrix.values[0][6] is None
    assert (matrix.low[1][4], matrix.high[1][4]) == (5.0, 7.0)


def test_a_matrix_without_intervals_or_of_other_rows() -> None:
    whole = document()["tables"]
    without = attribution.matrix_of(document(tables={"raters": whole["raters"]}))
    assert without is not None
    assert without.low[0][1] is None
    turned = {**whole["raters"], "rows": whole["raters"]["rows"][::-1]}
    assert attribution.matrix_of(document(tables={"raters": turned})) is None


def test_summary_in_words() -> None:
    assert attribution.summary_of(document(), "Dice") == (
        "Dice: 67.0 in the source (15 cases), 56.5 in the target (5 cases). The drop is +10.5 points "
        "(interval +3.1 to +17.8)."
    )
    better: dict[str, float] = {"source_mean": 50.0, "target_mean": 60.0, "drop": -10.0}
    assert "The drop is −10.0 points, a gain." in attribution.summary_of(document(metrics=better), "Dice")
    assert attribution.summary_of(document(metrics={}), "Dice") == ""


def test_title_and_raters() -> None:
    expected = "phantom: centre 01; rater 3 → centre 03, age from 30; rater 5"
    assert attribution.title_of(document()) == expected
    assert attribution.raters_of(document()) == ("3", "5")
    same = {name: {"rater": "3", "where": {}} for name in ("source", "target")}
    assert attribution.raters_of(document(parameters=same)) == ("3",)
    assert attribution.title_of(document(parameters={})) == "phantom"


@pytest.mark.parametrize(
    ("value", "text"), [(3.24, "+3.2"), (-0.26, "−0.3"), (0.04, "0.0"), (-0.04, "0.0"), (None, "–")]
)
def test_signed(value: float | None, text: str) -> None:
    assert attribution.signed(value) == text


def test_bars_are_drawn_where_their_values_are(slicer_app: Any) -> None:
    from XAIShiftLib import chart

    shares = attribution.shares_of(document())
    image = chart.draw(shares, "points").toImage()
    low, high = chart.limits(shares)
    colours = {"population": chart.COST, "acquisition": chart.COST, "annotation": chart.GAIN, "whole drop": chart.TOTAL}
    for row, share in enumerate(shares):
        if share.name not in colours:
            continue
        middle = chart.LEFT + (share.value / 2 - low) / (high - low) * (chart.RIGHT - chart.LEFT)
        pixel = image.pixelColor(round(middle), chart.TOP + row * chart.ROW + 11)
        assert pixel.name() == colours[share.name], share
    assert low < -8.2
    assert high > 18.9


def test_one_endless_interval_does_not_flatten_the_bars(slicer_app: Any) -> None:
    from XAIShiftLib import chart

    shares = [Share("a", 4.0, -900.0, 900.0, ""), Share("b", None, None, None, ""), Share("c", 0.0, 0.0, 0.0, "")]
    low, high = chart.limits(shares)
    assert -14 < low < -12
    assert 12 < high < 14
    chart.draw(shares, "points")
    chart.draw([], "points")
    assert "B: – points" in chart.words(shares, "points")


@pytest.mark.parametrize("ends", [(-1.0, 35.0), (-0.04, 1.04), (-100.0, 250.0), (-0.003, 0.01), (-1.0, 1.0)])
def test_ticks(slicer_app: Any, ends: tuple[float, float]) -> None:
    from XAIShiftLib import chart

    found = chart.ticks(*ends)
    assert 2 <= len(found) <= 6
    assert 0.0 in found
    assert all(ends[0] <= tick <= ends[1] for tick in found)


def test_matrix_in_colours_and_words(slicer_app: Any) -> None:
    from XAIShiftLib import matrix_table

    matrix = attribution.matrix_of(document())
    assert matrix is not None
    assert matrix_table.tip(matrix, 1, 4, "points") == (
        "From rater 2's to rater 5's masks: costs 6.0 points (interval +5.0 to +7.0)"
    )
    assert "gains 6.0" in matrix_table.tip(matrix, 4, 1, "points")
    assert "not known" in matrix_table.tip(matrix, 0, 6, "points")
    strong, weak, none = (matrix_table.colour(value, 12.0) for value in (12.0, 1.0, 0.0))
    assert strong[2] < weak[2] < none[2] == 255
    assert matrix_table.colour(-12.0, 12.0)[0] < 100
    assert min(strong) >= 0.15 * 255 - 1  # black numbers stay readable


@pytest.mark.parametrize(
    ("value", "text"), [(3.24, "+3.2"), (-9.94, "−9.9"), (12.3, "+12"), (-31.6, "−32"), (None, "–"), (0.01, "0.0")]
)
def test_numbers_of_the_matrix_are_short(slicer_app: Any, value: float | None, text: str) -> None:
    from XAIShiftLib.matrix_table import short

    assert short(value) == text


def test_what_two_selections_have_to_do_with_each_other(slicer_app: Any) -> None:
    from XAIShiftLib.options_section import pair_words

    both, one = (Case(str(n), (), raters, {}) for n, raters in enumerate((("1", "2"), ("1",))))
    first, second = Environment("1"), Environment("2")
    assert pair_words(first, second, ((both,), (both,))) == (
        "Both select the same cases; every case has the masks of both raters, so that what the rater costs can be "
        "observed."
    )
    assert pair_words(first, Environment("1", {"a": OneOf(("b",))}), ((both, one), (one,))) == (
        "1 case is in both; rater 1 drew all masks."
    )
    assert pair_words(first, second, ((one,), (both,))) == ""
    assert pair_words(first, second, ((), (both,))) == ""


def test_burdens_are_never_read_from_a_compared_rater(slicer_app: Any) -> None:
    from XAILib.cohorts import Cohort
    from XAIShiftLib.options_section import burdens

    about = {"age": 30.0, "lesion_load_ml": 3.0, "t2_volume": 1.0, "site": "a"}
    whole = Case("a", (), ("1", "2", "consensus"), about)
    other = Case("b", (), ("1", "2", "3", "consensus"), {key: about[key] for key in ("age", "lesion_load_ml", "site")})
    cohort = Cohort("c", (whole, other))
    assert burdens(cohort, (whole, other), ("1", "2")) == (["lesion_load_ml"], ["consensus"])
    assert burdens(cohort, (whole,), ("1", "1")) == (["lesion_load_ml", "t2_volume"], ["1", "2", "consensus"])
    assert burdens(cohort, (), ("1", "2")) == ([], [])
