"""One picture of an explanation, for a README or a message: three planes with outlines and map, or a figure."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from slicerxai.explain.colours import Heat, colour_bar, png
from slicerxai.explain.contract import Explanation, Verdict
from slicerxai.explain.numbers import number
from slicerxai.explain.slices import PLANES, Scene, font, pick, render_panel, scenes, shown_name

BACKGROUND, TEXT, SOFT = "#101317", "#e8ebef", "#a9b3bf"
TONES: dict[Verdict, tuple[str, str]] = {
    "reliable": ("#3fc79a", "✓ Reliable"),
    "caution": ("#f2b134", "! Caution"),
    "unreliable": ("#ff8a5c", "✕ Unreliable"),
}
GAP, HEAD, FOOT = 10, 64, 62
LINE, METRICS = 26, 12
"""Height of a line of measurements, and how many are shown."""


def overview(explanation: Explanation, longest: int = 400) -> bytes:
    """PNG: columns axial, coronal, sagittal; rows outline and map; with verdict and colour scale.

    Args:
        longest: pixels along the longer side of the largest plane.

    Without an image it is the first figure, without one the measurements.
    """
    shown = scenes(explanation)[:1]
    grid = _grid(shown[0], longest) if shown else [[_instead_of_slices(explanation, 3 * longest)]]
    widths = [max(column) for column in zip(*([panel.width for panel in row] for row in grid), strict=True)]
    heights = [max(panel.height for panel in row) for row in grid]
    width = max(sum(widths) + GAP * (len(widths) + 1), 760)
    foot = FOOT if shown else 0
    canvas = Image.new("RGB", (width, HEAD + sum(heights) + GAP * len(heights) + foot), BACKGROUND)
    _draw_head(canvas, explanation)
    top = HEAD
    for row, height in zip(grid, heights, strict=True):
        left = (width - sum(widths) - GAP * (len(widths) - 1)) // 2
        for panel, column in zip(row, widths, strict=True):
            frame = Image.new("RGB", (column, height))
            frame.paste(panel, ((column - panel.width) // 2, (height - panel.height) // 2))
            canvas.paste(frame, (left, top))
            left += column + GAP
        top += height + GAP
    if shown:
        _draw_foot(canvas, shown[0], top)
    return png(canvas)


def _grid(scene: Scene, longest: int) -> list[list[Image.Image]]:
    slices = [pick(scene, plane, 1)[0] for plane in PLANES]
    rows = [(bool(scene.outlines), False)] + [(bool(scene.outlines), True)] * (scene.heat is not None)
    return [
        [render_panel(scene, at, outlines=outlines, heat=heat, longest=longest) for at in slices]
        for outlines, heat in rows
    ]


def _instead_of_slices(explanation: Explanation, widest: int) -> Image.Image:
    if explanation.figures:
        figure = Image.open(io.BytesIO(next(iter(explanation.figures.values())).png)).convert("RGBA")
        figure.thumbnail((widest, widest))
        panel = Image.new("RGB", figure.size, "white")
        panel.paste(figure, mask=figure.getchannel("A"))
        return panel
    lines = [(shown_name(name), number(value)) for name, value in explanation.metrics.items()][:METRICS]
    panel = Image.new("RGB", (760 - 2 * GAP, LINE * len(lines) + GAP), BACKGROUND)
    draw = ImageDraw.Draw(panel)
    for index, (name, value) in enumerate(lines):
        draw.text((GAP, LINE * index), name, fill=SOFT, font=font(15))
        draw.text((panel.width - GAP, LINE * index), value, fill=TEXT, font=font(15, bold=True), anchor="ra")
    return panel


def _draw_head(canvas: Image.Image, explanation: Explanation) -> None:
    draw = ImageDraw.Draw(canvas)
    tone, words = TONES[explanation.verdict]
    badge = font(18, bold=True)
    left = canvas.width - GAP - draw.textlength(words, font=badge) - 28
    draw.rounded_rectangle((left, 14, canvas.width - GAP, 50), radius=8, fill=tone)
    draw.text((left + 14, 32), words, fill=BACKGROUND, font=badge, anchor="lm")
    name = f"{explanation.method} · {explanation.image_id}"
    while draw.textlength(name, font=font(18, bold=True)) > left - 3 * GAP:
        name = name.rstrip("…")[:-1] + "…"
    draw.text((GAP, 32), name, fill=TEXT, font=font(18, bold=True), anchor="lm")


def _draw_foot(canvas: Image.Image, scene: Scene, top: int) -> None:
    draw = ImageDraw.Draw(canvas)
    if scene.heat is not None:
        _draw_bar(canvas, scene.heat, top)
    lines = ["Radiological convention: the patient's right is on the left"]
    lines += [", ".join(f"outline: {outline.name}" for outline in scene.outlines[:2])] * bool(scene.outlines)
    for index, line in enumerate(lines):
        draw.text((canvas.width - GAP, top + 4 + 18 * index), line, fill=SOFT, font=font(12), anchor="ra")


def _draw_bar(canvas: Image.Image, heat: Heat, top: int) -> None:
    draw = ImageDraw.Draw(canvas)
    bar = Image.open(io.BytesIO(colour_bar(heat, width=260)))
    canvas.paste(bar, (GAP, top + 4))
    draw.text((GAP, top + 22), number(heat.low, 3), fill=TEXT, font=font(12))
    if heat.diverging:
        draw.text((GAP + 130, top + 22), "0", fill=TEXT, font=font(12), anchor="ma")
    draw.text((GAP + 260, top + 22), number(heat.high, 3), fill=TEXT, font=font(12), anchor="ra")
    draw.text((GAP + 270, top + 4), f"{heat.name} ({heat.units})", fill=TEXT, font=font(12))
