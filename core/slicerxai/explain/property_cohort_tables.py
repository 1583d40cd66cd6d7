"""The numbers of property gradients of a cohort as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from slicerxai.explain.contract import Table
from slicerxai.explain.property_cohort_checks import verdict
from slicerxai.interventions.cohort_summary import Reading, Summary
from slicerxai.interventions.outcomes import Output
from slicerxai.interventions.property_info import PROPERTIES

Array = NDArray[np.float64]
Cell = str | int | float | bool | None
SHARES = 21
"""Places along the range at which mean curves are given."""
RANKING = (
    "property", "title", "output", "output_units", "cases", "rank", "effect", "effect_low", "effect_high",
    "probability_first", "rank_low", "rank_high", "share_first", "change", "change_low", "change_high", "flipped",
    "p_sign", "p_sign_adjusted", "p_controls", "p_controls_adjusted", "verdict",
)  # fmt: skip
PATIENTS = (
    "case", "property", "low", "high", "output", "unchanged", "effect", "change", "flips", "first_flip",
    "controls", "exceedances",
)  # fmt: skip


def ranking(summaries: Mapping[str, Summary], outputs: Sequence[Output], ranked: Output, delta: float) -> Table:
    """One row for each property and output; properties in the order of the ranked output, which comes first."""
    order = [summaries[ranked.name].properties[index] for index in summaries[ranked.name].order]
    shown = [ranked, *(output for output in outputs if output.name != ranked.name)]
    rows = [
        _row(summaries[output.name], summaries[output.name].properties.index(name), output, delta)
        for name in order
        for output in shown
    ]
    title = (
        "Properties by mean effect over the cases (E|∇| times the range, in output units), with bootstrap intervals "
        "over the cases"
    )
    return Table(title=title, columns=list(RANKING), rows=rows)


def _row(found: Summary, index: int, output: Output, delta: float) -> list[Cell]:
    place, tested = found.ranking, found.controls[index]
    name = found.properties[index]
    numbers: list[float | None] = [
        place.rank[index],
        place.mean[index],
        *place.interval[index],
        place.first[index],
        *place.rank_interval[index],
        place.first_share[index],
        found.change[index],
        *found.change_interval[index],
        found.flipped[index] if output.threshold is not None else None,
        found.p_sign[index],
        found.p_sign_adjusted[index],
        None if tested is None else tested.p,
        found.p_controls_adjusted[index],
    ]
    words = [name, PROPERTIES[name].title, output.name, output.units]
    return [*words, int(found.cases[index]), *map(_cell, numbers), verdict(found, index, delta)]


def patients(by: Mapping[str, Sequence[Reading]], outputs: Sequence[Output]) -> Table:
    """One row for each case, property and output."""
    rows: list[list[Cell]] = []
    for group in zip(*(by[output.name] for output in outputs), strict=True):
        for output, one in zip(outputs, group, strict=True):
            low, high = _cell(one.values[0]), _cell(one.values[-1])
            known = output.threshold is not None
            rows.append(
                [
                    one.case,
                    one.property,
                    low,
                    high,
                    output.name,
                    *map(_cell, (one.unchanged, one.effect, one.change)),
                    len(one.flips) if known else None,
                    _cell(one.flips[0]) if one.flips else None,
                    one.controls,
                    one.exceedances if one.controls else None,
                ]
            )
    return Table(title="Every case", columns=list(PATIENTS), rows=rows)


def mean_curves(found: Sequence[Reading], summary: Summary, output: Output) -> Table:
    """Change of the ranked output from the unchanged image, mean over the cases, along each property's range."""
    rows: list[list[Cell]] = []
    for index in summary.order:
        name = summary.properties[index]
        group = [one for one in found if one.property == name]
        share, curves = aligned(group)
        low, high = (float(np.mean([one.values[end] for one in group])) for end in (0, -1))
        for n, place in enumerate(share):
            value = low + place * (high - low)
            rows.append(
                [name, *map(_cell, (place, value, curves[:, n].mean(), curves[:, n].min(), curves[:, n].max()))]
            )
    what = f" ({output.units})" if output.units else ""
    title = f"Mean change of {output.name}{what} along each property; value: mean over the cases"
    columns = ["property", "share_of_range", "value", "mean_change", "smallest_change", "largest_change"]
    return Table(title=title, columns=columns, rows=rows)


def aligned(group: Sequence[Reading]) -> tuple[Array, Array]:
    """Shares of the range (S,), and change from the unchanged image at each, interpolated linearly, (cases, S)."""
    share = np.linspace(0, 1, SHARES)
    curves = [
        np.interp(share, (one.values - one.values[0]) / (one.values[-1] - one.values[0]), one.predictions)
        - one.unchanged
        for one in group
    ]
    return share, np.array(curves)


def outputs(by: Mapping[str, Sequence[Reading]], known: Sequence[Output]) -> Table:
    """What is read from the predictions, and its mean over the unchanged cases."""
    rows: list[list[Cell]] = []
    for output in known:
        unchanged = {one.case: one.unchanged for one in by[output.name]}
        rows.append([output.name, output.units, output.threshold, _cell(float(np.mean(list(unchanged.values()))))])
    return Table(title="Outputs", columns=["output", "units", "threshold", "unchanged_mean"], rows=rows)


def unusable(found: Sequence[tuple[str, str, str]]) -> Table:
    """Properties that could not be changed, with the cases of each reason."""
    cases: dict[tuple[str, str], list[str]] = {}
    for case, name, reason in found:
        cases.setdefault((name, reason), []).append(case)
    rows: list[list[Cell]] = [[name, reason, len(of), ", ".join(of)] for (name, reason), of in cases.items()]
    return Table(title="Could not be changed", columns=["property", "reason", "cases", "which"], rows=rows)


def _cell(value: float | None) -> float | None:
    """To six significant digits; None where undefined."""
    return None if value is None or np.isnan(value) else float(f"{float(value):.6g}")
