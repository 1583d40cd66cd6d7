"""Pictures of property gradients of a cohort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from slicerxai.explain.contract import Figure
from slicerxai.explain.numbers import number
from slicerxai.explain.plotting import COLOURS, DPI, SOFT, TEXT, png
from slicerxai.explain.property_cohort_checks import DEPENDS, verdict
from slicerxai.explain.property_cohort_tables import aligned
from slicerxai.interventions.cohort_summary import Reading, Summary
from slicerxai.interventions.outcomes import Output
from slicerxai.interventions.property_info import PROPERTIES

QUIET: Final = "#9aa1ab"
ACROSS: Final = 4
"""Curves beside each other."""


def ranking_figure(found: Sequence[Reading], summary: Summary, output: Output, delta: float) -> Figure:
    """Mean effect of every property with its interval, and every case as a dot."""
    order = summary.order
    canvas = Canvas(figsize=(9.2, 1.3 + 0.46 * len(order)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    reach = max(1e-12, *(one.effect for one in found))
    for place, index in enumerate(order):
        y = len(order) - 1 - place
        name = summary.properties[index]
        said = verdict(summary, index, delta)
        colour = COLOURS[0] if said == DEPENDS else QUIET
        effects = [one.effect for one in found if one.property == name]
        low, high = summary.ranking.interval[index]
        axes.barh(y, summary.ranking.mean[index], height=0.58, color=colour, alpha=0.85, linewidth=0)
        axes.scatter(effects, np.full(len(effects), y), s=14, facecolors="white", edgecolors=TEXT, linewidths=0.8)
        axes.plot([low, high], [y, y], color=TEXT, linewidth=2, solid_capstyle="butt")
        chance = f"first {100 * summary.ranking.first[index]:.0f} %"
        adjusted = summary.p_controls_adjusted[index]
        p = "" if np.isnan(adjusted) else f"   p {number(float(adjusted), 2)}"
        axes.text(1.03 * reach, y, chance + p, va="center", fontsize=9.5, color=TEXT if said == DEPENDS else SOFT)
    axes.set_xlim(-0.02 * reach, 1.32 * reach)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.set_yticks(range(len(order)), [PROPERTIES[summary.properties[n]].title for n in reversed(order)])
    axes.set_xlabel(f"effect on {_shown(output)}", color=TEXT)
    axes.tick_params(labelsize=10.5, colors=TEXT)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    caption = (
        "Mean effect over the cases (expected |gradient| times the range) with its bootstrap interval; circles: cases. "
        "Blue: the output depends on the property more than on arbitrary changes of the same size. first: how often "
        "the property leads when other cases like these are drawn; p: against controls, adjusted."
    )
    return Figure(png(canvas), caption)


def curves_figure(found: Sequence[Reading], summary: Summary, output: Output) -> Figure:
    """Change of the output along every property: the cases thin, their mean bold."""
    order = summary.order
    rows = -(-len(order) // ACROSS)
    canvas = Canvas(figsize=(11.0, 0.5 + 2.15 * rows), dpi=DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    grid = canvas.subplots(rows, ACROSS, sharey=True, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(order):
            axes.set_axis_off()
            continue
        name = summary.properties[order[place]]
        group = [one for one in found if one.property == name]
        for one in group:
            axes.plot(one.values, one.predictions - one.unchanged, color="#b9bec6", linewidth=0.9)
        share, curves = aligned(group)
        low, high = (np.mean([one.values[end] for one in group]) for end in (0, -1))
        axes.plot(low + share * (high - low), curves.mean(0), color=COLOURS[0], linewidth=2.2)
        axes.axhline(0, color=TEXT, linewidth=0.7)
        info = PROPERTIES[name]
        axes.set_title(info.title, loc="left", fontsize=10.5, color=TEXT)
        axes.set_xlabel(info.units, fontsize=9, color=SOFT, loc="right")
        axes.tick_params(labelsize=9, colors=TEXT)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    canvas.supylabel(f"change of {_shown(output)}", fontsize=10.5, color=TEXT)
    caption = f"Change of {output.name} from the unchanged image along each property; thin: cases, bold: their mean."
    return Figure(png(canvas), caption)


def _shown(output: Output) -> str:
    return f"{output.name} ({output.units})" if output.units and output.units != output.name else output.name
