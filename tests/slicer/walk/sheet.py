"""The picture of a step: the panel and the views as in Slicer's window, or a page in the web browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from PIL import Image
from slicer_double.helpers import render_all

from tests.slicer.pictures import BAR, picture, whole_panel, with_bars

from .desk import Step

LOW, HIGH = 760, 1200
"""Height of the window, pixels: that of the panel within these."""
PAGE = 1280, 1500
"""Width and height of what is seen of a page."""
GREYS, COLOURS, COLOURFUL, ALIKE = 80, 176, 12, 8
"""Of a picture's palette; a pixel is coloured when its channels differ by more than the third, colours are alike within
the fourth."""


def take(step: Step, path: Path) -> None:
    """Write what is seen after a step as PNG; views that show no image are left out."""
    if step.page is not None:
        photograph(step.page, path)
    elif not shows_an_image():
        Image.fromarray(whole_panel(step.user)).save(path)
    else:
        app = step.user.app
        described = app.layoutManager().grid()
        fill_window(app, int(np.clip(whole_panel(step.user).shape[0], LOW, HIGH)))
        picture(step.user, path, with_bars(app) if described else render_all(app))
    in_few_colours(Image.open(path).convert("RGB")).save(path, optimize=True)


def shows_an_image() -> bool:
    """Whether any slice view has one."""
    return any(view.GetBackgroundVolumeID() for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"))


def fill_window(app: Any, side: int) -> None:
    """Let the views fill a square of so many pixels; what was seen in the shorter direction of a view is seen still."""
    manager = app.layoutManager()
    rows = manager.grid()
    shapes = {name: (side // len(row), side // len(rows) - BAR) for row in rows for name in row}
    for name in manager.sliceViewNames():
        width, height = shapes.get(name, (side // 2, side // 2))
        widget = manager.sliceWidget(name)
        node = widget.mrmlSliceNode()
        seen = min(node.GetFieldOfView()[:2])
        widget.sliceView().renderWindow().SetSize(width, height)
        node.SetDimensions(width, height, 1)
        scale = seen / min(width, height)
        node.SetFieldOfView(scale * width, scale * height, node.GetFieldOfView()[2])
    manager.threeDWidget(0).threeDView().renderWindow().SetSize(side // 2, side // 2)


def photograph(page: Path, path: Path) -> None:
    """The upper part of an HTML page in Chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert program, "chromium is needed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": PAGE[0], "height": PAGE[1]})
        tab.goto(page.as_uri())
        tab.screenshot(path=path)
        browser.close()


def in_few_colours(image: Image.Image) -> Image.Image:
    """With a palette of greys and of the most frequent colours as they are: swatches and outlines keep theirs."""
    found, counts = np.unique(np.asarray(image).reshape(-1, 3), axis=0, return_counts=True)
    coloured = np.ptp(found, axis=1) > COLOURFUL
    found, counts = found[coloured], counts[coloured]
    order = np.argsort(-counts, kind="stable")
    alike, first, of_bin = np.unique(found[order] // ALIKE, axis=0, return_index=True, return_inverse=True)
    shares = np.bincount(of_bin.reshape(-1), counts[order], len(alike))
    chosen = found[order][first[np.argsort(-shares, kind="stable")[:COLOURS]]]
    greys = np.repeat(np.linspace(0, 255, GREYS).round().astype(np.uint8)[:, None], 3, axis=1)
    few = Image.new("P", (1, 1))
    few.putpalette(np.concatenate([greys, chosen]).tobytes())
    return image.quantize(palette=few, dither=Image.Dither.NONE)
