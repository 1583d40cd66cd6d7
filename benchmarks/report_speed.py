"""Benchmark `report_speed`: an explanation's page, beside the same slices drawn by matplotlib, a figure for each.

The explanation is of a phantom patient: the scan, the lesions, and a map about them. Matplotlib draws the least that
such a page needs: the pictures of our page, in grey, with map and contours where ours have them, as PNG in base64; no
choice of slices, no tables, no words. The limit is encoding the pixels of our pictures as PNG and base64, nothing else.

Checked first: our page holds as many pictures as matplotlib draws, and the grey slices are the same pictures:
`max_abs_difference` is the largest difference in levels of 255 where both draw a pixel for each voxel.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from benchmarks.side_by_side import agreed, ratios, side_by_side
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.phantom.patient import simulate
from slicerxai.data.volume import Volume
from slicerxai.explain.colours import png
from slicerxai.explain.contract import Check, Explanation, Overlay
from slicerxai.explain.report import render
from slicerxai.explain.slice_tables import data_uri
from slicerxai.explain.slices import PLANES, Scene, Slice, pick, render_panel, scenes, section

LONGEST = 460
"""Pixels along the longer side of the largest plane, as on our page."""
DPI = 100
SLICES = 2
"""Of each plane."""
LEVELS = 2.0
"""Matplotlib rounds down to one of 256 colours, and those down to levels."""
PICTURE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Picture:
    """One of the page's: a slice of a scene, bare, with outlines, or with outlines and map."""

    scene: Scene
    at: Slice
    outlines: bool
    heat: bool

    def cut(self, array: NDArray[Any]) -> NDArray[Any]:
        """The shown part of the slice, as rows of a picture."""
        sides = [slice(low, high) for low, high in self.scene.box]
        through = "sca".index(self.at.plane[0])
        sides[through] = slice(self.at.index, self.at.index + 1)
        return section(array[tuple(sides)], self.at.plane, 0)


def example(spacing: float) -> Explanation:
    """A phantom patient's scan, lesions and a map that is strong about the lesions."""
    patient = simulate(PhantomParameters(patients=1, spacing=spacing, centres=("01",), load_min_ml=8.0), 0)
    lesions, image = patient.masks["consensus"], patient.images["FLAIR"]
    blurred = [gaussian_filter(lesions.array.astype(np.float32), width / spacing) for width in (2, 6)]
    overlays = {
        "FLAIR": Overlay(image, "image", "intensity", "The scan."),
        "lesions": Overlay(lesions, "labelmap", "label", "Lesions."),
        "saliency": Overlay(Volume(blurred[0] - blurred[1], image.affine), "saliency", "logit/mm³", "About lesions."),
    }
    check = Check(name="check", value=0.0, limit=1.0, verdict="reliable", reason="It is an example.")
    return Explanation("saliency", {"seed": 0}, patient.id, overlays, checks=[check])


def pictures(explanation: Explanation) -> list[Picture]:
    """What our page shows."""
    kinds = ((False, False), (True, False), (True, True))
    return [
        Picture(scene, at, *kind)
        for scene in scenes(explanation)
        for plane in PLANES
        for at in pick(scene, plane, SLICES)
        for kind in kinds
    ]


def by_matplotlib(picture: Picture, pixels_per_mm: float) -> bytes:
    """The same as PNG, drawn as one would draw it."""
    scene = picture.scene
    spacing = scene.image.spacing
    image = picture.cut(scene.image.array)
    across, up = (axis for axis in range(3) if axis != "sca".index(picture.at.plane[0]))
    height, width = image.shape[0] * spacing[up] * pixels_per_mm, image.shape[1] * spacing[across] * pixels_per_mm
    figure = Figure((width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    low, high = scene.window
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, aspect="auto")
    if picture.heat and scene.heat is not None:
        heat = picture.cut(scene.heat.array)
        opacity = np.clip(np.abs(heat) / scene.heat.high, 0, 1)
        axes.imshow(heat, cmap="inferno", vmin=scene.heat.low, vmax=scene.heat.high, alpha=opacity, aspect="auto")
    for outline in scene.outlines if picture.outlines else ():
        mask = picture.cut(outline.mask)
        if mask.any():
            axes.contour(mask, levels=[0.5], colors=[outline.colour], linewidths=1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    spacing = 2.0 if quick else 1.0
    explanation = example(spacing)
    wanted = pictures(explanation)
    held = len(list(_pictures_of(render(explanation))))
    scales = held - len(wanted)  # the page has the map's colour scale too
    if scales != 1:
        msg = f"the page holds {held} pictures, expected {len(wanted)} slices and one scale"
        raise RuntimeError(msg)
    furthest = max(_difference(picture, spacing) for picture in wanted if not picture.outlines)
    difference = agreed(furthest, LEVELS, "grey slices, levels of 255")
    panels = [render_panel(p.scene, p.at, outlines=p.outlines, heat=p.heat, longest=LONGEST) for p in wanted]
    longest_mm = max((high - low) * spacing for low, high in wanted[0].scene.box)
    contenders: dict[str, Callable[[], object]] = {
        "slicerxai": lambda: render(explanation),
        "matplotlib": lambda: [base64.b64encode(by_matplotlib(p, LONGEST / longest_mm)) for p in wanted],
        "limit": lambda: [data_uri(png(panel)) for panel in panels],
    }
    times = side_by_side(contenders, turns=3 if quick else 7)
    figures = ratios(times["slicerxai"], times["matplotlib"], times["limit"]) | {
        "max_abs_difference": difference,
        "pictures": len(wanted),
        "page_mb": len(render(explanation)) / 1e6,
    }
    rows = [
        {"who": name, "seconds": t.seconds, "lower quartile": t.low, "upper quartile": t.high, "CPU": t.cpu_seconds}
        for name, t in times.items()
    ]
    notes = [f"Scan of {'×'.join(map(str, explanation.overlays['FLAIR'].volume.shape))} voxels."]
    return {"figures": figures, "rows": rows, "notes": notes}


def _pictures_of(page: str) -> Iterator[bytes]:
    return (base64.b64decode(found[1]) for found in PICTURE.finditer(page))


def _difference(picture: Picture, spacing: float) -> float:
    """Largest difference between the grey pictures of both, a pixel for each voxel, levels of 255."""
    longest = max(high - low for low, high in picture.scene.box)
    ours = render_panel(picture.scene, picture.at, outlines=False, heat=False, longest=longest, marks=False)
    theirs = Image.open(io.BytesIO(by_matplotlib(picture, 1 / spacing))).convert("L")
    return float(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).max())
