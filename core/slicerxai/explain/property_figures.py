"""Curves of predictions along properties, and the properties by their effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch

from slicerxai.explain.contract import Figure
from slicerxai.explain.numbers import number
from slicerxai.explain.plotting import COLOURS, DPI, SOFT, TEXT, png
from slicerxai.explain.property_case import PropertyCase
from slicerxai.explain.property_strip import strip_figure
from slicerxai.explain.property_words import DEPENDS, NO_CHANGE, NOT_RESOLVED, output_title, plain, range_words, verdict
from slicerxai.interventions.effect import Flip
from slicerxai.interventions.measure import Measured

MOST_OUTPUTS: Final = 6
"""Outputs of a classifier with more labels are shown where they change most."""
COLUMNS: Final = 3
LINE, FLIP, GRID, GREY = COLOURS[0], COLOURS[5], "#e4e7ec", "#b9c0ca"


def figures(case: PropertyCase) -> dict[str, Figure]:
    """Ranking of several properties, a curve of each, and the images of a single one."""
    found = {"ranking": ranking_figure(case)} if len(case.measured) > 1 else {}
    found |= {f"curve_{one.property.name}": curve_figure(case, one) for one in case.measured}
    return found | ({"strip": strip_figure(case)} if case.steps else {})


def curve_figure(case: PropertyCase, one: Measured) -> Figure:
    """Every output along one property; thresholds, flips and the unchanged image marked."""
    shown = shown_outputs(case, one)
    alone = len(case.measured) == 1
    columns = min(COLUMNS if alone else MOST_OUTPUTS, len(shown))
    rows = -(-len(shown) // columns)
    size = (max(4.8, 3.5 * columns), 2.75 * rows) if alone else (max(4.8, 2.5 * columns), 2.2 * rows)
    canvas = Canvas(figsize=size, dpi=DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots(rows, columns, squeeze=False).ravel()
    for place, column in zip(axes, shown, strict=False):
        _curve(place, one, column)
    for place in axes[len(shown) :]:
        place.axis("off")
    words = f"Predictions along “{one.property.title}”. Dashed: threshold; orange: where the decision turns"
    words += "; grey: the unchanged image." if one.neutral is not None else "."
    return Figure(png(canvas), words)


def shown_outputs(case: PropertyCase, one: Measured) -> list[int]:
    """The ranked output, then those that change most, in the order of the outputs."""
    order = sorted(range(len(case.outputs)), key=lambda n: (n != case.output, -float(one.effect.over_range[n])))
    return [case.output, *sorted(set(order[:MOST_OUTPUTS]) - {case.output})]


def _curve(axes: Axes, one: Measured, column: int) -> None:
    output, curve = one.outputs[column], one.predictions[:, column]
    if one.neutral is not None:
        axes.axvline(one.neutral, color=SOFT, linewidth=1, linestyle=(0, (1, 2)))
    axes.plot(one.values, curve, color=LINE, linewidth=1.8, marker="o", markersize=3.6)
    if output.threshold is not None:
        axes.axhline(output.threshold, color=SOFT, linewidth=1, linestyle="--")
    flips = one.effect.flips[column]
    low, high = _limits(curve, output.threshold, output.units)
    axes.set_ylim(low, high)
    for flip in flips:
        axes.axvline(flip.value, color=FLIP, linewidth=1.4)
    _label_flips(axes, flips, one)
    axes.set_title(output_title(output), fontsize=10, color=TEXT, loc="left")
    axes.set_xlabel(axis_name(one), fontsize=9, color=TEXT)
    axes.tick_params(labelsize=8.5, colors=TEXT)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _limits(curve: np.ndarray, threshold: float | None, units: str) -> tuple[float, float]:
    values = [*curve, *([] if threshold is None else [threshold])]
    low, high = float(min(values)), float(max(values))
    if units == "probability":
        room = max(0.06 * (high - low), 0.02)
        return max(-0.03, low - room), min(1.03, high + room)
    room = 0.08 * (high - low) or 0.1 * max(abs(high), 1)
    return low - room, high + room


def _label_flips(axes: Axes, flips: Sequence[Flip], one: Measured) -> None:
    middle = (one.values[0] + one.values[-1]) / 2
    for flip in flips[:4]:
        right = flip.value > middle
        axes.annotate(
            number(float(flip.value), 3),
            (flip.value, 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if right else 3, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="bottom",
            fontsize=8.5,
            color=FLIP,
        )


def axis_name(one: Measured) -> str:
    """Title of a property with its units."""
    return one.property.title + (f" ({one.property.units})" if one.property.units else "")


def ranking_figure(case: PropertyCase) -> Figure:
    """Bars of E|∇| × range of the ranked output, coloured by the verdict."""
    p = case.p_controls()
    adjusted = case.adjusted(p)
    words = [
        verdict(case, one, case.output, float(p[n, case.output]), float(adjusted[n, case.output]))
        for n, one in enumerate(case.measured)
    ]
    colours = [_tone(word) for word in words]
    lengths = [float(one.effect.over_range[case.output]) for one in case.measured]
    canvas = Canvas(figsize=(8.4, 1.3 + 0.36 * len(lengths)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    places = np.arange(len(lengths))[::-1]
    axes.barh(places, lengths, color=colours, height=0.68)
    axes.set_yticks(
        places, [f"{one.property.title}, {range_words(one)}" for one in case.measured], fontsize=9, color=TEXT
    )
    for place, length, one, tested in zip(places, lengths, case.measured, p[:, case.output], strict=True):
        flips = len(one.effect.flips[case.output])
        text = number(length, 3) + ("" if np.isnan(tested) else f"   p = {number(float(tested), 2)}")
        text += "" if not flips else f"   {flips} flip{'s' if flips > 1 else ''}"
        axes.annotate(text, (length, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_xlim(0, max([*lengths, 1e-9]) * 1.32)
    axes.set_xlabel(f"E|∇| × range of {output_title(case.ranked)}", fontsize=9.5, color=TEXT)
    axes.tick_params(axis="x", labelsize=8.5, colors=TEXT)
    axes.spines[["top", "right"]].set_visible(False)
    handles = [
        Patch(color=colour, label=label)
        for label, colour in (
            ("depends", COLOURS[0]),
            ("no more than other changes of its size", COLOURS[4]),
            ("not resolved", GREY),
        )
        if colour in colours
    ]
    if handles:
        axes.legend(handles=handles, fontsize=8.5, frameon=False, loc="lower right")
    caption = (
        f"How far {plain(case.ranked.name)} moves over the range of each property (E|∇| times the range), "
        "with p of the test against control paths before adjustment."
    )
    return Figure(png(canvas), caption)


def _tone(words: str) -> str:
    if words == DEPENDS:
        return COLOURS[0]
    if words == NO_CHANGE:
        return GRID
    return GREY if words.startswith(NOT_RESOLVED) else COLOURS[4]
