"""The tables of a result, typed. Columns are found by their names, because a newer server may add some."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _
from XAIPanels.documents import model_of, rows

SAME = 1e-6
"""Share of a range within which two values of a property are the same."""


@dataclass(frozen=True)
class Effect:
    """What one property does to one output; None where the server did not say.

    Attributes:
        property, title, units: of the property: its key, its name for people, the units of its values.
        low, high: of the way along it. neutral: the value at which the image is as it is.
        per_unit: E|∇F|, in the output's units for each unit of the property.
        over_range: the same times the range, in the output's units: comparable between properties.
        slope: mean gradient with its sign.
        first_flip: value at which the decision turns first.
        p, p_adjusted: against control changes of the same size; adjusted for several properties.
        controls: how many of those were drawn.
        p_order, p_order_adjusted: of the permutation test of the order of the steps.
        verdict: in words.
    """

    property: str
    title: str
    units: str
    low: float | None
    high: float | None
    neutral: float | None
    output: str
    output_units: str
    per_unit: float | None
    over_range: float | None
    slope: float | None
    flips: int
    first_flip: float | None
    p: float | None
    p_adjusted: float | None
    controls: int
    p_order: float | None
    p_order_adjusted: float | None
    verdict: str


@dataclass(frozen=True)
class Output:
    """What a model predicts as one number; `threshold` is where its decision turns, None without one."""

    name: str
    units: str
    threshold: float | None
    unchanged: float | None


@dataclass(frozen=True)
class Flip:
    """Where the decision turns: value of the property, and whether upwards over the threshold."""

    value: float
    upward: bool


@dataclass(frozen=True)
class Curve:
    """One output along one property.

    Attributes:
        values: of the property, ascending; predictions: of the output, as many, None where the server has none.
        neutral: number of the step at which the image is as it is, from 0; None when it is not among them.
    """

    effect: Effect
    output: Output
    values: tuple[float, ...]
    predictions: tuple[float | None, ...]
    flips: tuple[Flip, ...]
    neutral: int | None

    def step_at(self, value: float) -> int:
        """Number of the step that is nearest to a value."""
        return min(range(len(self.values)), key=lambda step: abs(self.values[step] - value))


def effects(document: Mapping[str, Any]) -> list[Effect]:
    """All of them, in the server's order."""
    return [_effect(row) for row in rows(document, "effects")]


def ranked(document: Mapping[str, Any], output: str) -> list[Effect]:
    """Those on one output, the strongest first; what is not known comes last."""
    found = [one for one in effects(document) if one.output == output]
    return sorted(found, key=lambda one: -1.0 if one.over_range is None else one.over_range, reverse=True)


def outputs(document: Mapping[str, Any]) -> list[Output]:
    """Those of the model."""
    return [
        Output(str(row["output"]), _units(row, "units"), _number(row, "threshold"), _number(row, "unchanged"))
        for row in rows(document, "outputs")
    ]


def unusable(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Properties that this scan does not allow, with the reason."""
    return [(str(row["property"]), str(row["reason"])) for row in rows(document, "unusable")]


def curve(document: Mapping[str, Any], property_name: str, output: str) -> Curve | None:
    """One output along one property; None where the result has none."""
    steps = [row for row in rows(document, "curve") if row["property"] == property_name]
    effect = next((one for one in effects(document) if (one.property, one.output) == (property_name, output)), None)
    found = next((one for one in outputs(document) if one.name == output), None)
    if not steps or effect is None or found is None:
        return None
    values = tuple(float(row["value"]) for row in steps)
    flips = [row for row in rows(document, "flips") if (row["property"], row["output"]) == (property_name, output)]
    return Curve(
        effect,
        found,
        values,
        tuple(_number(row, output) for row in steps),
        tuple(Flip(float(row["value"]), row["direction"] == "up") for row in flips),
        _step_of(values, effect.neutral),
    )


def columns(document: Mapping[str, Any], property_name: str) -> tuple[list[str], list[list[Any]]]:
    """The whole curve of a property as a table: names of the columns, and a row for each step."""
    names = [name for name in document.get("tables", {}).get("curve", {}).get("columns", ()) if name != "property"]
    steps = [row for row in rows(document, "curve") if row["property"] == property_name]
    return names, [[row[name] for name in names] for row in steps]


def properties(document: Mapping[str, Any]) -> list[str]:
    """Names of the properties that were measured, in the server's order."""
    return list(dict.fromkeys(one.property for one in effects(document)))


def title_of(document: Mapping[str, Any]) -> str:
    """What was asked, in words."""
    titles = list(dict.fromkeys(one.title for one in effects(document)))
    what = titles[0] if len(titles) == 1 else _("properties ranked")
    model = model_of(document)
    return f"{what} ({model})" if model else what


def _effect(row: Mapping[str, Any]) -> Effect:
    return Effect(
        property=str(row["property"]),
        title=str(row.get("title") or row["property"]),
        units=_units(row, "units"),
        low=_number(row, "low"),
        high=_number(row, "high"),
        neutral=_number(row, "neutral"),
        output=str(row["output"]),
        output_units=_units(row, "output_units"),
        per_unit=_number(row, "mean_abs_gradient"),
        over_range=_number(row, "over_range"),
        slope=_number(row, "mean_gradient"),
        flips=int(row.get("flips") or 0),
        first_flip=_number(row, "first_flip"),
        p=_number(row, "p_controls"),
        p_adjusted=_number(row, "p_controls_adjusted"),
        controls=int(row.get("controls") or 0),
        p_order=_number(row, "p_permutation"),
        p_order_adjusted=_number(row, "p_permutation_adjusted"),
        verdict=str(row.get("verdict") or ""),
    )


def _number(row: Mapping[str, Any], name: str) -> float | None:
    """A finite number of a row; None for anything else."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _units(row: Mapping[str, Any], name: str) -> str:
    """Units to write behind a number; a probability has none."""
    units = str(row.get(name) or "")
    return "" if units == "probability" else units


def _step_of(values: tuple[float, ...], value: float | None) -> int | None:
    if value is None:
        return None
    near = SAME * (values[-1] - values[0] or 1.0)
    return next((step for step, one in enumerate(values) if abs(one - value) <= near), None)
