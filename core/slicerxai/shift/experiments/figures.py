"""Pictures of an experiment: the matrices of the paper's Fig. 2, shares with intervals, estimate against truth."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from slicerxai.shift.experiments.summary import Row
from slicerxai.shift.options import MetricName

DPI: Final = 110
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
"""Okabe and Ito's, one for each analysis."""
MARKS: Final = "osv^P"
NAMES: Final = {
    "population": "population  P(S)",
    "acquisition": "acquisition  P(X|S)",
    "annotation": "annotation  P(Y|X,A)",
    "unresolved": "unresolved",
    "drop": "whole drop",
}
METRIC_NAMES: Final[dict[MetricName, str]] = {
    "dice": "Dice (points)",
    "f1": "lesion-wise F1 (points)",
    "precision": "lesion-wise precision (points)",
    "recall": "lesion-wise recall (points)",
    "volume_error_ml": "volume error (ml)",
    "surface_distance_mm": "surface distance (mm)",
}


def matrices(rows: Sequence[Row], parts: Sequence[str] = ("acquisition", "annotation", "drop")) -> bytes:
    """Fig. 2: one matrix for each part of the drop, PNG.

    A row is the rater that was learned, a column the rater that was tested against. A cell shows the part, its interval
    and, in the last line, the performance against the column's rater; the diagonal the performance alone.

    Args:
        rows: of one analysis and metric.
    """
    names = list(dict.fromkeys([row.row for row in rows] + [row.column for row in rows]))
    shares = {name: _grid(rows, name, names, "value") for name in parts}
    largest = max(1e-9, *(float(np.nanmax(np.abs(grid))) for grid in shares.values()))
    side = 1.6 + 0.88 * len(names)
    figure = Figure((side * len(parts) + 0.6, side + 0.75), layout="constrained")
    axes = figure.subplots(1, len(parts), squeeze=False)[0]
    performance = _performance(rows, names)
    colours = mpl.colormaps["RdBu_r"].with_extremes(bad="#e6e6e6")
    scale = Normalize(-largest, largest)
    for axis, name in zip(axes, parts, strict=True):
        low, high = (_grid(rows, name, names, end) for end in ("low", "high"))
        axis.imshow(np.ma.masked_invalid(shares[name]), cmap=colours, norm=scale)
        for r, c in np.ndindex(len(names), len(names)):
            _cell(axis, c, r, (shares[name][r, c], low[r, c], high[r, c]), performance[r, c], largest)
        axis.set_xticks(range(len(names)), names)
        axis.set_yticks(range(len(names)), names)
        axis.set_xlabel("tested against rater")
        axis.set_ylabel("trained on rater")
        axis.set_title(NAMES[name], fontsize=12)
        axis.tick_params(length=0)
    bar = figure.colorbar(ScalarMappable(scale, colours), ax=list(axes), shrink=0.8, pad=0.01)
    bar.set_label("performance lost, " + METRIC_NAMES[rows[0].metric].replace(" (", ", ").rstrip(")"))
    return _png(figure)


def shares(rows: Sequence[Row], parts: Sequence[str]) -> bytes:
    """Every part of every pair with its interval, one panel a part, one colour an analysis; the truth beside it. PNG.

    Args:
        rows: of one metric.
    """
    pairs = list(dict.fromkeys(row.pair for row in rows))
    kinds = list(dict.fromkeys(row.analysis for row in rows))
    figure = Figure((2.0 + 2.9 * len(parts), 1.8 + 0.55 * len(pairs)), layout="constrained")
    axes = figure.subplots(1, len(parts), sharey=True, sharex=True, squeeze=False)[0]
    for axis, name in zip(axes, parts, strict=True):
        for number, kind in enumerate(kinds):
            offset = 0.5 * ((number + 0.5) / len(kinds) - 0.5)
            for row in rows:
                if (row.part, row.analysis) == (name, kind):
                    _interval(axis, row, pairs.index(row.pair) + offset, number)
        known = {row.pair: row.truth for row in rows if row.part == name and row.truth is not None}
        axis.plot(list(known.values()), [pairs.index(pair) for pair in known], "kD", markersize=6, zorder=4)
        axis.axvline(0, color="#888888", linewidth=0.8, zorder=0)
        axis.set_title(NAMES[name], fontsize=11)
        axis.grid(axis="x", color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    axes[0].set_yticks(range(len(pairs)), [pair.replace("-", " ") for pair in pairs])
    axes[0].set_ylim(len(pairs) - 0.5, -0.5)
    figure.supxlabel(f"performance lost: {METRIC_NAMES[rows[0].metric]}", fontsize=11)
    _legend(figure, kinds, truth=any(row.truth is not None for row in rows))
    return _png(figure)


def against_truth(rows: Sequence[Row], part: str) -> bytes:
    """Estimate of one part against its truth, one point a pair with its interval. PNG.

    Args:
        rows: of one metric.
    """
    kinds = list(dict.fromkeys(row.analysis for row in rows))
    known = [(row, row.truth) for row in rows if row.part == part and row.truth is not None]
    figure = Figure((6.2, 5.6), layout="constrained")
    axis = figure.subplots()
    for row, truth in known:
        number = kinds.index(row.analysis)
        axis.errorbar(
            truth,
            row.value,
            [[max(0.0, row.value - row.low)], [max(0.0, row.high - row.value)]],
            fmt=MARKS[number],
            color=COLOURS[number],
            markersize=5,
            elinewidth=0.8,
            alpha=0.75,
        )
    ends = [min(truth for _, truth in known), max(truth for _, truth in known)]
    axis.plot(ends, ends, color="black", linewidth=1, zorder=0)
    axis.axhline(0, color="#888888", linewidth=0.8, zorder=0)
    axis.set_xlabel(f"true share of {part}: {METRIC_NAMES[rows[0].metric]}")
    axis.set_ylabel(f"estimated share of {part}")
    axis.grid(color="#e4e4e4", linewidth=0.6)
    _legend(figure, kinds, truth=False)
    return _png(figure)


def _interval(axis: Any, row: Row, height: float, number: int) -> None:
    axis.plot([row.low, row.high], [height, height], color=COLOURS[number], linewidth=1.6)
    axis.plot(row.value, height, MARKS[number], color=COLOURS[number], markersize=5)


def _legend(figure: Figure, kinds: Sequence[str], *, truth: bool) -> None:
    handles = [
        Line2D([], [], color=COLOURS[number], marker=MARKS[number], label=kind) for number, kind in enumerate(kinds)
    ]
    if truth:
        handles.append(Line2D([], [], color="black", marker="D", linestyle="", label="truth"))
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False)


def _cell(axis: Any, x: int, y: int, part: tuple[float, float, float], performance: float, largest: float) -> None:
    value, low, high = part
    dark = np.isfinite(value) and abs(value) > 0.6 * largest
    colour = "white" if dark else "black"
    if np.isfinite(value):
        axis.text(x, y - 0.2, f"{value:+z.1f}", ha="center", va="center", color=colour, fontsize=11, weight="bold")
        axis.text(x, y + 0.08, f"[{low:z.0f}, {high:z.0f}]", ha="center", va="center", color=colour, fontsize=8)
    if np.isfinite(performance):
        height = y + 0.33 if np.isfinite(value) else y
        axis.text(x, height, f"{performance:.1f}", ha="center", va="center", color=colour, fontsize=8, style="italic")


def _grid(rows: Sequence[Row], part: str, names: Sequence[str], attribute: str) -> NDArray[np.float64]:
    grid = np.full((len(names), len(names)), np.nan)
    for row in rows:
        if row.part == part:
            grid[names.index(row.row), names.index(row.column)] = getattr(row, attribute)
    return grid


def _performance(rows: Sequence[Row], names: Sequence[str]) -> NDArray[np.float64]:
    """Against the column's rater; on the diagonal against the rater that was learned."""
    grid = _grid(rows, "drop", names, "target_mean")
    own = _grid(rows, "drop", names, "source_mean")
    for n in range(len(names)):
        known = own[n][np.isfinite(own[n])]
        grid[n, n] = known[0] if len(known) else np.nan
    return grid


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    return buffer.getvalue()
