"""The picture of a growth: seconds and memory against size, both on logarithmic axes, with the fitted powers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator, StrMethodFormatter

from benchmarks.side_by_side import exponent

MEASURES = ("CPU seconds", "peak MiB")
INK, FITTED = "#1f4e79", "#c55a11"
MOST_TICKS = 7
LARGE = 1e5
"""Sizes from here on are written as powers of ten."""


@dataclass(frozen=True)
class Group:
    """What grew in one unit.

    Attributes:
        sizes: smallest first. measures: values of each measure.
        exponents: of those measures that were fitted. last: the same between the two largest sizes alone.
    """

    unit: str
    sizes: list[float]
    measures: dict[str, list[float]]
    exponents: dict[str, float]
    last: dict[str, float]


def groups(result: dict[str, Any]) -> list[Group]:
    """The growths that a result holds: rows whose first column, the unit, has the same name."""
    by_unit: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        by_unit.setdefault(next(iter(row)), []).append(row)
    found = []
    for unit, rows in by_unit.items():
        sizes = [float(row[unit]) for row in rows]
        measures = {measure: [float(row[measure]) for row in rows] for measure in MEASURES}
        fitted = {"CPU seconds": "exponent of seconds", "peak MiB": "exponent of memory"}
        fits = {measure for measure, column in fitted.items() if column in rows[0]}
        exponents = {measure: exponent(sizes, measures[measure]) for measure in fits}
        last = {measure: exponent(sizes[-2:], measures[measure][-2:]) for measure in fits}
        found.append(Group(unit, sizes, measures, exponents, last))
    return found


def draw(result: dict[str, Any]) -> bytes:
    """PNG with a row for each group, seconds on the left and memory on the right."""
    found = groups(result)
    figure = Figure(figsize=(8, 2.8 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), len(MEASURES), squeeze=False)
    for group, line in zip(found, panels, strict=True):
        for measure, axes in zip(MEASURES, line, strict=True):
            _draw(axes, group, measure)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()


def _draw(axes: Axes, group: Group, measure: str) -> None:
    """Points, the fitted power through their middle, and at least a decade of values, in which noise looks small."""
    sizes, values = np.array(group.sizes), np.array(group.measures[measure])
    axes.set(xscale="log", yscale="log" if values.min() > 0 else "linear", xlabel=group.unit, ylabel=measure)
    axes.plot(sizes, values, "o-", color=INK)
    if measure in group.exponents:
        power = group.exponents[measure]
        middle = np.log(values).mean() - power * np.log(sizes).mean()
        axes.plot(sizes, np.exp(middle) * sizes**power, "--", color=FITTED)
        axes.set_title(f"exponent {power:.2f}, last step {group.last[measure]:.2f}", fontsize=10, color=FITTED)
    if values.min() > 0:
        centre = np.sqrt(values.min() * values.max())
        axes.set_ylim(min(values.min() / 1.3, centre / 10**0.5), max(values.max() * 1.3, centre * 10**0.5))
        axes.yaxis.set_minor_formatter(NullFormatter())
    if sizes.max() < LARGE and len(sizes) <= MOST_TICKS:
        axes.set_xticks(sizes)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True, which="major", alpha=0.3)
