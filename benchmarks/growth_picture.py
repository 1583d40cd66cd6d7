"""The picture of a growth: seconds and memory against size, both on logarithmic axes, with the fitted powers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from benchmarks.side_by_side import exponent

MEASURES = ("CPU seconds", "peak MiB")
INK, FITTED = "#1f4e79", "#c55a11"


@dataclass(frozen=True)
class Group:
    """What grew in one unit.

    Attributes:
        sizes: smallest first. measures: values of each measure. exponents: of those measures that were fitted.
    """

    unit: str
    sizes: list[float]
    measures: dict[str, list[float]]
    exponents: dict[str, float]


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
        exponents = {m: exponent(sizes, measures[m]) for m, column in fitted.items() if column in rows[0]}
        found.append(Group(unit, sizes, measures, exponents))
    return found


def draw(result: dict[str, Any]) -> bytes:
    """PNG with a row for each group, seconds on the left and memory on the right."""
    found = groups(result)
    figure = Figure(figsize=(8, 2.8 * len(found)), layout="constrained")
    panels = figure.subplots(len(found), len(MEASURES), squeeze=False)
    for group, line in zip(found, panels, strict=True):
        for measure, axes in zip(MEASURES, line, strict=True):
            values = group.measures[measure]
            axes.plot(group.sizes, values, "o-", color=INK)
            if measure in group.exponents:
                power = group.exponents[measure]
                middle = len(values) // 2
                scale = values[middle] / group.sizes[middle] ** power
                axes.plot(group.sizes, [scale * size**power for size in group.sizes], "--", color=FITTED)
                axes.set_title(f"exponent {power:.2f}", fontsize=10, color=FITTED)
            scale_of_values = "log" if min(values) > 0 else "linear"
            axes.set(xscale="log", yscale=scale_of_values, xlabel=group.unit, ylabel=measure)
            axes.grid(visible=True, which="major", alpha=0.3)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return picture.getvalue()
