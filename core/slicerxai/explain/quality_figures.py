"""Picture of how different the maps of the classes are (Shu et al. 2024, INFORMER, figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from numpy.typing import NDArray

from slicerxai.explain.contract import Figure
from slicerxai.explain.plotting import COLOURS, DPI, SOFT, TEXT, png
from slicerxai.monitoring.case_reading import ClassOutcome

Array = NDArray[np.float64]

PRESENT, FLAGGED, ABSENT, EDGE = COLOURS[0], COLOURS[5], "#eef0f3", "#8a919b"
NODE: Final = 0.17
"""Radius of a node on the unit circle of classes."""
NUMBERED: Final = 6
"""With more classes than these, only edges between similar maps are drawn thick and have their number."""
SIMILAR: Final = 0.5
"""Cosine distance up to which two maps are called similar."""


def graph_figure(outcomes: Sequence[ClassOutcome], distances: Array) -> Figure:
    """Classes on a circle; edges are cosine distances between their maps, the thicker the more alike.

    Args:
        outcomes: one of each class. distances: (L, L), in [0, 2].
    """
    count = len(outcomes)
    few = count <= NUMBERED
    canvas = Canvas(figsize=(7.6, 6.4), dpi=DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.add_subplot()
    angles = np.pi / 2 - 2 * np.pi * np.arange(count) / count
    places = np.stack([np.cos(angles), np.sin(angles)], 1)
    node = NODE if few else NODE / 2.5
    for i in range(count):
        for j in range(i):
            _edge(axes, places[i], places[j], float(distances[i, j]), few=few)
    for place, outcome in zip(places, outcomes, strict=True):
        _node(axes, place, outcome, node, few=few)
    _legend(axes, outcomes)
    axes.set_xlim(-1.8, 1.8)
    axes.set_ylim(-1.5, 1.4)
    axes.set_aspect("equal")
    axes.axis("off")
    caption = (
        "Each class is a node with its probability; the number on an edge is the cosine distance between the maps of "
        "two classes, and the thicker the edge, the more alike they are. d is the sum of a class's distances: low "
        "means that its map resembles those of the others."
    )
    if count > NUMBERED:
        caption += f" Of {count} classes, only edges with a distance up to {SIMILAR:g} have their number."
    return Figure(png(canvas), caption)


def _edge(axes: Axes, one: Array, other: Array, distance: float, *, few: bool) -> None:
    alike = max(0.0, 1.0 - distance)
    similar = distance <= SIMILAR
    if not few and not similar:
        axes.plot(*np.stack([one, other], 1), color=EDGE, linewidth=0.5, alpha=0.35, zorder=1)
        return
    colour = FLAGGED if similar else EDGE
    axes.plot(*np.stack([one, other], 1), color=colour, linewidth=0.8 + 8 * alike, alpha=0.75, zorder=1)
    # beside the middle, so that the numbers of edges that cross there stay apart
    middle = one + (0.5 if few and _adjacent(one, other) else 0.36) * (other - one)
    axes.text(
        middle[0],
        middle[1],
        f"{distance:.2f}",
        ha="center",
        va="center",
        fontsize=11 if few else 8.5,
        color=TEXT,
        zorder=2,
        bbox={"boxstyle": "round,pad=0.18", "facecolor": "white", "edgecolor": "none", "alpha": 0.9},
    )


def _adjacent(one: Array, other: Array) -> bool:
    """Whether the edge passes well beside the centre."""
    return bool(np.linalg.norm((one + other) / 2) > 0.2)


def _node(axes: Axes, place: Array, outcome: ClassOutcome, radius: float, *, few: bool) -> None:
    fill = PRESENT if outcome.predicted else ABSENT
    axes.add_patch(Circle((float(place[0]), float(place[1])), radius, facecolor=fill, edgecolor=SOFT, lw=1, zorder=3))
    if outcome.flagged:
        ring = Circle((float(place[0]), float(place[1])), radius * 1.18, fill=False, edgecolor=FLAGGED, lw=4, zorder=4)
        axes.add_patch(ring)
    if few:
        ink = "white" if outcome.predicted else TEXT
        axes.text(
            place[0], place[1], f"{outcome.probability:.2f}", ha="center", va="center", color=ink, fontsize=13, zorder=5
        )
    outside = place * (1.05 + 1.2 * radius)
    side = {-1: "right", 0: "center", 1: "left"}[int(np.sign(np.round(place[0], 3)))]
    level = {-1: "top", 0: "center", 1: "bottom"}[int(np.sign(np.round(place[1], 3)))]
    lines = wrap(outcome.label, 18) or [""]
    about = [] if few else [f"{outcome.probability:.2f}"]
    if outcome.distinctiveness is not None:
        about.append(f"d = {outcome.distinctiveness:.2f}")
    lines.append(", ".join(about))
    axes.text(
        outside[0], outside[1], "\n".join(lines), ha=side, va=level, color=TEXT, fontsize=11.5 if few else 10, zorder=5
    )


def _legend(axes: Axes, outcomes: Sequence[ClassOutcome]) -> None:
    def dot(colour: str, edge: str, width: float, label: str) -> Line2D:
        return Line2D(
            [], [], marker="o", linestyle="", markersize=12, color=colour, markeredgecolor=edge, mew=width, label=label
        )

    handles = [dot(PRESENT, SOFT, 1, "predicted present"), dot(ABSENT, SOFT, 1, "predicted absent")]
    if any(outcome.flagged for outcome in outcomes):
        handles.append(dot("white", FLAGGED, 3, "flagged"))
    handles.append(Line2D([], [], color=FLAGGED, linewidth=5, alpha=0.75, label=f"similar maps (≤ {SIMILAR:g})"))
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=4, frameon=False, fontsize=10.5)
