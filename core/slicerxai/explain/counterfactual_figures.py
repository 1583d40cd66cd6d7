"""Original, counterfactual and difference side by side, at the slice of the largest change."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from slicerxai.explain.colours import Heat, colour_bar, png
from slicerxai.explain.contract import Explanation, Figure, Overlay
from slicerxai.explain.counterfactual_search import Solution
from slicerxai.explain.counterfactual_tables import Case, overlay_name, overlays
from slicerxai.explain.numbers import number
from slicerxai.explain.slices import AXES, PLANES, Plane, Scene, canonical, font, pick, render_panel, scenes

BACKGROUND, TEXT, SOFT = "#101317", "#e8ebef", "#a9b3bf"
PANEL: Final = 300
GAP, HEAD, FOOT = 10, 34, 58


def figures(case: Case) -> dict[str, Figure]:
    """One for each counterfactual that changes anything."""
    return {
        f"counterfactual_{solution.trial.number}": _figure(case, solution)
        for solution in case.solutions
        if solution.trial.changed_voxels
    }


def _figure(case: Case, solution: Solution) -> Figure:
    channel = max(case.channels, key=lambda name: float(case.size(solution, name).sum()))
    scene, changed = _scenes(case, solution, channel)
    planes = _planes(scene)
    panels = []
    for plane in planes:
        at = pick(scene, plane, 1)[0]
        outlined = bool(scene.outlines)
        row = [
            render_panel(scene, at, outlines=outlined, heat=False, longest=PANEL),
            render_panel(changed, at, outlines=False, heat=False, longest=PANEL),
            render_panel(scene, at, outlines=outlined, heat=True, longest=PANEL),
        ]
        panels.append((f"{plane}, {at.place}", row))
    where = "; ".join(title for title, _ in panels)
    after = solution.after
    verb = "turns" if after.turned else "does not turn"
    caption = (
        f"Counterfactual {solution.trial.number} {verb} {case.subject} ({case.wanted}): probability "
        f"{case.before.probability:.2f} before, {after.probability:.2f} after. {channel} at the largest "
        f"change ({where})."
    )
    return Figure(_drawn(panels, scene.heat, case, channel), caption)


def _scenes(case: Case, solution: Solution, channel: str) -> tuple[Scene, Scene]:
    """The original with the difference as its map, and the counterfactual in the same window."""
    which = None if channel == case.channels[0] else channel
    made = overlays(case)
    difference = made[overlay_name("difference", solution.trial.number, which)]
    shown = {channel: Overlay(case.images[channel], "image", "intensity", ""), "difference": difference}
    shown |= {"expert_mask": made["expert_mask"]} if case.mask is not None else {}
    (scene,) = scenes(Explanation("counterfactual", {}, "", overlays=shown))
    image = canonical(solution.written.images[channel])
    return scene, replace(scene, image=image.with_array(image.array.astype(np.float32)))


def _planes(scene: Scene) -> list[Plane]:
    """The planes in which the image has an extent; one for a single image."""
    flat = [plane for plane in PLANES if scene.image.shape[AXES[plane][0]] == 1]
    return flat[:1] or list(PLANES)


def _drawn(panels: list[tuple[str, list[Image.Image]]], heat: Heat | None, case: Case, channel: str) -> bytes:
    widths = [max(row[column].width for _, row in panels) for column in range(3)]
    heights = [max(panel.height for panel in row) for _, row in panels]
    width = sum(widths) + GAP * 4
    canvas = Image.new("RGB", (width, HEAD + sum(heights) + GAP * len(heights) + FOOT), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    left = GAP
    for title, column in zip(("original", "counterfactual", "difference"), widths, strict=True):
        draw.text((left + column / 2, HEAD / 2), title, fill=TEXT, font=font(15, bold=True), anchor="mm")
        left += column + GAP
    top = HEAD
    for (_, row), height in zip(panels, heights, strict=True):
        left = GAP
        for panel, column in zip(row, widths, strict=True):
            canvas.paste(panel, (left + (column - panel.width) // 2, top + (height - panel.height) // 2))
            left += column + GAP
        top += height + GAP
    if heat is not None:
        bar = Image.open(io.BytesIO(colour_bar(heat, width=220)))
        canvas.paste(bar, (GAP, top + 4))
        for place, value, anchor in ((0, heat.low, "la"), (110, 0.0, "ma"), (220, heat.high, "ra")):
            draw.text((GAP + place, top + 22), number(value, 3), fill=TEXT, font=font(12), anchor=anchor)
        draw.text((GAP + 232, top + 3), f"change of {channel}: darker (blue), brighter (red)", fill=TEXT, font=font(12))
    lines = ["R and L are the patient's: the right is on the left"] + ["outline: the expert's mask"] * (
        case.mask is not None
    )
    for index, line in enumerate(lines):
        draw.text((canvas.width - GAP, top + 20 + 17 * index), line, fill=SOFT, font=font(12), anchor="ra")
    return png(canvas)
