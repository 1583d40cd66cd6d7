"""The images along one property, side by side in the slice that shows most."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.explain.colours import png
from slicerxai.explain.contract import Explanation, Figure, Overlay
from slicerxai.explain.numbers import number
from slicerxai.explain.property_case import PropertyCase, Step
from slicerxai.explain.property_words import output_title, valued
from slicerxai.explain.slices import Outline, Scene, Slice, canonical, font, pick, render_panel, scenes

BACKGROUND, TEXT, SOFT, LINE = "#101317", "#e8ebef", "#a9b3bf", "#35d0ff"
MOST: Final = 6
PANEL: Final = 230
GAP, HEAD, FOOT = 8, 26, 44


def strip_figure(case: PropertyCase) -> Figure:
    """Up to six steps, the unchanged image among them, with outlines of what is predicted."""
    one = case.measured[0]
    neutral = None if one.neutral is None else int(np.flatnonzero(one.values == one.neutral)[0])
    chosen = chosen_steps(len(one.values), neutral)
    scene, at = _guide(case, chosen)
    panels = [_panel(case, scene, at, case.steps[step]) for step in chosen]
    width = max(panel.width for panel in panels)
    height = max(panel.height for panel in panels)
    canvas = Image.new("RGB", ((width + GAP) * len(panels) + GAP, HEAD + height + FOOT), BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    for place, (step, panel) in enumerate(zip(chosen, panels, strict=True)):
        left = GAP + place * (width + GAP)
        head = valued(one, float(one.values[step])) + (" (unchanged)" if step == neutral else "")
        draw.text((left + width / 2, HEAD / 2), head, fill=TEXT, font=font(13, bold=step == neutral), anchor="mm")
        canvas.paste(panel, (left, HEAD))
        value = number(float(one.predictions[step, case.output]), 3)
        foot = output_title(case.ranked)
        draw.text((left + width / 2, HEAD + height + 13), foot, fill=SOFT, font=font(11), anchor="mm")
        draw.text((left + width / 2, HEAD + height + 31), value, fill=TEXT, font=font(13), anchor="mm")
    outlined = any(step.prediction is not None for step in case.steps)
    caption = f"{case.channels[0]} along “{one.property.title}”, {at.plane} slice at {at.place}"
    return Figure(png(canvas), caption + ("; outlined: what the model predicts." if outlined else "."))


def chosen_steps(count: int, neutral: int | None) -> list[int]:
    """Evenly spread steps with both ends and the unchanged one."""
    steps = {int(step) for step in np.rint(np.linspace(0, count - 1, min(MOST, count)))}
    if neutral is not None and neutral not in steps:
        inner = sorted(steps - {0, count - 1}, key=lambda step: abs(step - neutral))
        steps = (steps - set(inner[:1])) | {neutral}
    return sorted(steps)


def _guide(case: PropertyCase, chosen: list[int]) -> tuple[Scene, Slice]:
    """The unchanged image, and the slice with most predicted lesions, else with most change."""
    first = case.channels[0]
    image = case.images[first]
    shown = {first: Overlay(image, "image", "intensity", "")}
    found = np.zeros(image.shape, dtype=np.float32)
    for step in chosen:
        prediction = case.steps[step].prediction
        if prediction is not None and prediction.shape == image.shape:
            found += np.asarray(prediction.array) != 0
    if not found.any():
        for step in chosen:
            changed = case.steps[step].images[first]
            if changed.shape == image.shape:
                found += np.abs(np.asarray(changed.array, np.float32) - np.asarray(image.array, np.float32))
    shown["map"] = Overlay(image.with_array(found), "saliency", "", "")
    (scene,) = scenes(Explanation("", {}, "", overlays=shown))
    return scene, pick(scene, "axial", 1)[0]


def _panel(case: PropertyCase, guide: Scene, at: Slice, step: Step) -> Image.Image:
    first = case.channels[0]
    reference = case.images[first]
    if reference.shape[2] == 1 and {"RED", "GREEN", "BLUE"} <= set(case.channels):
        return _colour(case, step)
    image = canonical(resample_like(step.images[first], reference))
    outlines: tuple[Outline, ...] = ()
    if step.prediction is not None:
        mask = canonical(resample_like(step.prediction, reference, order=0)).array != 0
        outlines = (Outline("prediction", np.asarray(mask), LINE),)
    scene = Scene(
        name=guide.name,
        image=Volume(np.asarray(image.array, dtype=np.float32), guide.image.affine),
        window=guide.window,
        outlines=outlines,
        heat=None,
        box=guide.box,
        oblique=guide.oblique,
    )
    return render_panel(scene, at, outlines=bool(outlines), heat=False, longest=PANEL, marks=False).convert("RGB")


def _colour(case: PropertyCase, step: Step) -> Image.Image:
    """A photograph, as it is stored: first axis down, second to the right."""
    stack = np.stack([np.asarray(step.images[name].array, np.float32)[..., 0] for name in ("RED", "GREEN", "BLUE")], -1)
    most = max(float(np.asarray(case.images[name].array).max()) for name in ("RED", "GREEN", "BLUE"))
    pixels = np.clip(stack * (255 / max(most, 1e-6)), 0, 255).astype(np.uint8)
    height, width = pixels.shape[:2]
    scale = PANEL / max(height, width)
    return Image.fromarray(pixels, "RGB").resize((round(width * scale), round(height * scale)))
