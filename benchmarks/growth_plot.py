"""The picture of a growth: seconds and memory against size, both axes logarithmic, beside linear growth."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.side_by_side import exponent

MEASURES = {"CPU seconds": "#1261d6", "peak MiB": "#cf5f00"}


def plot(result: dict[str, Any], path: Path) -> None:
    """Write the PNG of a result of `growth_*`: a column for each series, a row for each measure.

    Args:
        result: as `run` of the benchmark returns it, or its JSON file.
    """
    series = [list(rows) for _, rows in groupby(result["rows"], key=lambda row: next(iter(row)))]
    fitted = {"CPU seconds": "exponent of seconds", "peak MiB": "exponent of memory"}
    measures = [name for name in MEASURES if any(fitted[name] in rows[-1] for rows in series)]
    figure = Figure(figsize=(4.2 * len(series), 3.1 * len(measures)), layout="constrained", dpi=120)
    axes = figure.subplots(len(measures), len(series), squeeze=False)
    for column, rows in enumerate(series):
        unit = next(iter(rows[0]))
        for line, measure in enumerate(measures):
            _draw(axes[line, column], unit, measure, [row[unit] for row in rows], [row[measure] for row in rows])
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary)
    temporary.replace(path)


def _draw(axes: Axes, unit: str, measure: str, sizes: Sequence[float], values: Sequence[float]) -> None:
    shown = np.maximum(values, 1.0 if measure == "peak MiB" else 1e-3)
    slope = exponent(sizes, shown.tolist())
    middle = np.exp(np.log(shown).mean() - slope * np.log(sizes).mean())
    ends = np.array([min(sizes), max(sizes)], float)
    axes.loglog(sizes, shown, "o", color=MEASURES[measure])
    axes.loglog(ends, middle * ends**slope, color=MEASURES[measure], label=f"exponent {slope:.2f}")
    axes.loglog(ends, shown[-1] * ends / sizes[-1], "--", color="#808080", linewidth=1, label="linear")
    axes.set_xlabel(unit)
    axes.set_ylabel(measure)
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
