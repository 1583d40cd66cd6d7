"""The tables of a result, typed. Columns are found by their names, because a newer server may add some."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _
from XAILib.cohorts import Environment, environment_of

UNRESOLVED, WHOLE = "unresolved", _("whole drop")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Share:
    """One bar: how much performance a mechanism costs, in the result's unit; None where it is not known.

    Attributes:
        name: a mechanism, `UNRESOLVED` or `WHOLE`.
        state: what the evidence says of the mechanism; empty for the others.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    state: str


@dataclass(frozen=True)
class Matrix:
    """What a change from the row's to the column's rater costs on the same images; None where it is not known."""

    raters: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    low: tuple[tuple[float | None, ...], ...]
    high: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class CaseRow:
    """One selected case; `other` is its performance by the other environment's rater, where that is known."""

    environment: str
    case: str
    rater: str
    performance: float | None
    other: float | None
    drawn_ml: float | None
    predicted_ml: float | None


def shares_of(document: Document) -> tuple[Share, ...]:
    """The bars, mechanisms first; empty when the result has none."""
    return tuple(
        Share(
            str(row["mechanism"]),
            _number(_starting(row, "share")),
            _number(row.get("low")),
            _number(row.get("high")),
            str(row.get("state") or ""),
        )
        for row in _rows(document, "shares")
    )


def matrix_of(document: Document) -> Matrix | None:
    """The matrix of raters; None when the result has none."""
    found = [_square(document, name) for name in ("raters", "raters_low", "raters_high")]
    raters, values = found[0]
    if not raters:
        return None
    unknown = tuple((None,) * len(raters) for _unused in raters)
    low, high = (square if names == raters else unknown for names, square in found[1:])
    return Matrix(raters, values, low, high)


def cases_of(document: Document) -> tuple[CaseRow, ...]:
    """The rows of the cases, in the order of the result."""
    columns = document.get("tables", {}).get("cases", {}).get("columns", [])
    by_other = next((name for name in columns if "by the other rater" in name), "")
    about = ("environment", "case", "rater", "drawn (ml)", "predicted (ml)", by_other)
    performance = next((name for name in columns if name not in about), "")
    return tuple(
        CaseRow(
            str(row["environment"]),
            str(row["case"]),
            str(row["rater"]),
            _number(row.get(performance)),
            _number(row.get(by_other)),
            _number(row.get("drawn (ml)")),
            _number(row.get("predicted (ml)")),
        )
        for row in _rows(document, "cases")
    )


def unit_of(document: Document) -> str:
    """Unit of the shares, such as "points"; empty when the table does not say."""
    columns = document.get("tables", {}).get("shares", {}).get("columns", [])
    column = next((str(name) for name in columns if str(name).startswith("share")), "")
    return column.partition("(")[2].rstrip(")")


def actions_of(document: Document) -> list[tuple[str, str]]:
    """What to do, as (mechanism, words)."""
    return [(str(flag["subject"]), str(flag["message"])) for flag in document.get("flags", ())]


def environments_of(document: Document) -> tuple[Environment, Environment]:
    """Source and target. Raises `ValueError` when the result does not say."""
    parameters = document.get("parameters", {})
    return environment_of(parameters.get("source")), environment_of(parameters.get("target"))


def raters_of(document: Document) -> tuple[str, ...]:
    """The rater of the source and, when it is another one, of the target."""
    source, target = environments_of(document)
    return tuple(dict.fromkeys((source.rater, target.rater)))


def metric_of(document: Document) -> str:
    """Name of the metric."""
    return str(document.get("parameters", {}).get("metric", "dice"))


def title_of(document: Document) -> str:
    """What was compared, in words: cohort, source and target."""
    cohort = str(document.get("image_id", ""))
    try:
        source, target = environments_of(document)
    except ValueError:
        return cohort
    return f"{cohort}: {source} → {target}"


def summary_of(document: Document, metric: str) -> str:
    """Performance in both environments and the drop, in words.

    Args:
        metric: its name for people.
    """
    metrics, unit = document.get("metrics", {}), unit_of(document)
    source, target, drop = (_number(metrics.get(name)) for name in ("source_mean", "target_mean", "drop"))
    if source is None or target is None or drop is None:
        return ""
    low, high = _number(metrics.get("drop_low")), _number(metrics.get("drop_high"))
    interval = (
        ""
        if low is None or high is None
        else _(" (interval {low} to {high})").format(low=signed(low), high=signed(high))
    )
    word = "" if drop >= 0 else ", a gain"
    return _(
        "{metric}: {source:.1f} in the source{metrics}, {target:.1f} in the target{metrics2}. The drop is {drop} "
        "{unit}{interval}{word}."
    ).format(
        metric=metric,
        source=source,
        metrics=_count(metrics, "source"),
        target=target,
        metrics2=_count(metrics, "target"),
        drop=signed(drop),
        unit=unit,
        interval=interval,
        word=word,
    )


def _count(metrics: Mapping[str, Any], role: str) -> str:
    number = _number(metrics.get(f"{role}_cases"))
    return "" if number is None else _(" ({number:.0f} cases)").format(number=number)


def signed(value: float | None) -> str:
    """Such as "+3.2" or "−0.4"; "–" where it is not known."""
    if value is None:
        return "–"
    text = f"{abs(value):.1f}"
    if float(text) == 0:
        return "0.0"
    return f"{'+' if value > 0 else '−'}{text}"


def _rows(document: Document, name: str) -> list[dict[str, Any]]:
    table = document.get("tables", {}).get(name)
    return [] if table is None else [dict(zip(table["columns"], row)) for row in table["rows"]]


def _square(document: Document, name: str) -> tuple[tuple[str, ...], tuple[tuple[float | None, ...], ...]]:
    table = document.get("tables", {}).get(name)
    if table is None:
        return (), ()
    raters = tuple(str(column) for column in table["columns"][1:])
    if [str(row[0]) for row in table["rows"]] != list(raters):
        return (), ()
    return raters, tuple(tuple(_number(value) for value in row[1:]) for row in table["rows"])


def _starting(row: Mapping[str, Any], start: str) -> Any:
    return next((value for name, value in row.items() if name.startswith(start)), None)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
