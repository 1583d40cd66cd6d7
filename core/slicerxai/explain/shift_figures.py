"""Pictures of a shift attribution, in colours that colour-blind eyes tell apart (Okabe and Ito 2008)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from slicerxai.explain.contract import Figure, Table
from slicerxai.explain.plotting import COLOURS, DPI, SOFT, TEXT, png
from slicerxai.explain.shift_words import MEANING

REMAINDER, WHOLE = "#b9bec6", "#7d8590"
DIVERGING: Final = LinearSegmentedColormap.from_list("drop", ["#0072b2", "#f4f5f7", "#d55e00"])
ESTABLISHED: Final = ("shifted", "measured")


def shares_figure(shares: Table, title: str, unit: str, compared: str) -> Figure:
    """Bars of the shares with their intervals, from the table of shares.

    Args:
        title: performance of either environment. compared: which they are, for the caption.
    """
    names, states = [str(row[0]) for row in shares.rows], [row[4] for row in shares.rows]
    numbers = np.array([[_float(cell) for cell in row[1:4]] for row in shares.rows])
    left, right = min(0.0, float(numbers.min())), max(0.0, float(numbers.max()))
    span = max(right - left, 1e-6)
    canvas, axes = _canvas(9.2, 1.5 + 0.72 * len(names))
    axes.set_xlim(left - 0.05 * span, right + 0.42 * span)
    for place, (name, state, (value, low, high)) in enumerate(zip(names, states, numbers, strict=True)):
        y = len(names) - 1 - place
        colour = {"unresolved": REMAINDER, "whole drop": WHOLE}.get(name, COLOURS[place % len(COLOURS)])
        sure = state is None or state in ESTABLISHED
        style: dict[str, Any] = {"color": colour} if sure else {"fc": "white", "ec": colour, "hatch": "///"}
        axes.barh(y, value, height=0.56, linewidth=1.4, **style)
        axes.plot([low, high], [y, y], color=TEXT, linewidth=1.8, solid_capstyle="butt")
        for end in (low, high):
            axes.plot([end, end], [y - 0.13, y + 0.13], color=TEXT, linewidth=1.8)
        beside = right + 0.06 * span
        axes.text(beside, y + 0.12, f"{_signed(value)}  ({_signed(low)} to {_signed(high)})", va="center", color=TEXT)
        axes.text(beside, y - 0.24, str(state or ""), va="center", color=SOFT, fontsize=9.5)
    axes.axhline(1.5, color="#c9cdd3", linewidth=1)
    axes.axvline(0, color=TEXT, linewidth=1)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_yticks(range(len(names)), [_label(name) for name in reversed(names)])
    axes.set_xlabel(f"{unit} lost at the target (left of 0: gained)", color=TEXT)
    axes.set_title(title, loc="left", fontsize=12.5, color=TEXT, pad=12)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    caption = (
        f"{compared} Share of each mechanism in the drop, with its interval. Hatched: a shift of this mechanism is not "
        "established. Unresolved: what the data tie to no mechanism."
    )
    return Figure(png(canvas), caption)


def raters_figure(tables: dict[str, Table], unit: str) -> Figure:
    """Heat map of the drop that a change of rater costs."""
    names = tables["raters"].columns[1:]
    values, low, high = (
        np.array([[_float(cell) for cell in row[1:]] for row in tables[key].rows])
        for key in ("raters", "raters_low", "raters_high")
    )
    size = len(names)
    canvas, axes = _canvas(2.6 + 0.86 * size, 1.9 + 0.7 * size)
    limit = max(float(np.nanmax(np.abs(values))), 1e-6)
    axes.imshow(values, cmap=DIVERGING, vmin=-limit, vmax=limit, aspect="auto")
    for i in range(size):
        for j in range(size):
            _cell(axes, i, j, values, (low, high), limit)
    axes.set_xticks(range(size), names)
    axes.set_yticks(range(size), names)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("masks of rater (target)", color=TEXT, labelpad=8)
    axes.set_ylabel("masks of rater (source)", color=TEXT)
    for side in axes.spines.values():
        side.set_visible(False)
    caption = (
        f"What a change of rater alone costs, {unit}: the same images and predictions, from the row's to the column's "
        "masks. Orange loses, blue gains; bold where the interval, below, leaves out zero."
    )
    return Figure(png(canvas), caption)


def cases_figure(cases: Table) -> Figure:
    """Every case of either environment, and where it would be against the other environment's rater."""
    canvas, axes = _canvas(7.6, 4.9)
    rng = np.random.default_rng(0)
    paired = False
    for place, (name, colour) in enumerate((("source", COLOURS[0]), ("target", COLOURS[5]))):
        rows = [row for row in cases.rows if row[0] == name]
        values = np.array([_float(row[3]) for row in rows])
        other = np.array([_float(row[4]) for row in rows])
        x = place + rng.uniform(-0.14, 0.14, len(rows))
        known = np.isfinite(other)
        paired = paired or bool(known.any())
        axes.plot(np.stack([x, x + 0.3])[:, known], np.stack([values, other])[:, known], color="#c4c9d0", linewidth=0.8)
        axes.scatter((x + 0.3)[known], other[known], s=22, facecolors="white", edgecolors=colour, linewidths=1.2)
        axes.scatter(x, values, s=34, color=colour, alpha=0.85, linewidths=0)
        axes.plot([place - 0.26, place + 0.2], [values.mean()] * 2, color=TEXT, linewidth=2.2)
        axes.text(
            place - 0.28, values.mean(), f"{values.mean():.1f}", ha="right", va="center", fontweight="bold", color=TEXT
        )
    counts = [sum(row[0] == name for row in cases.rows) for name in ("source", "target")]
    raters = [next(str(row[2]) for row in cases.rows if row[0] == name) for name in ("source", "target")]
    labels = [f"{n}\nrater {r}, n = {c}" for n, r, c in zip(("source", "target"), raters, counts, strict=True)]
    axes.set_xticks([0, 1], labels)
    axes.set_xlim(-0.6, 1.6)
    axes.set_ylabel(cases.columns[3], color=TEXT)
    axes.grid(axis="y", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    caption = "The model on every case; the line is the mean."
    if paired:
        caption += " Open circles: the same prediction against the other environment's rater."
    return Figure(png(canvas), caption)


def _canvas(width: float, height: float) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    axes.tick_params(labelsize=11.5, colors=TEXT)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.xaxis.label.set_fontsize(11.5)
    axes.yaxis.label.set_fontsize(11.5)
    return canvas, axes


def _cell(
    axes: Axes, i: int, j: int, values: NDArray[np.float64], ends: tuple[NDArray[np.float64], ...], limit: float
) -> None:
    if i == j:
        axes.text(j, i, "0", ha="center", va="center", color=SOFT)
        return
    if np.isnan(values[i, j]):
        axes.text(j, i, "–", ha="center", va="center", color=SOFT)
        return
    low, high = ends[0][i, j], ends[1][i, j]
    ink = "white" if abs(values[i, j]) > 0.62 * limit else TEXT
    clear = low > 0 or high < 0
    axes.text(
        j,
        i - 0.1,
        _signed(values[i, j]),
        ha="center",
        va="center",
        color=ink,
        fontweight="bold" if clear else "normal",
    )
    axes.text(j, i + 0.24, f"{_signed(low)} to {_signed(high)}", ha="center", va="center", color=ink, fontsize=7)


def _signed(value: float) -> str:
    """With its sign, one decimal, and never a negative nothing."""
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "−")


def _label(name: str) -> str:
    return f"{name}\n{MEANING[name]}" if name in MEANING else name


def _float(cell: object) -> float:
    return float(cell) if isinstance(cell, int | float) else np.nan
