"""Which slices of an explanation to show, and how: pure functions from volumes to pictures.

Display follows the radiological convention: the patient's right is on the viewer's left, anterior or superior is up,
and on sagittal slices anterior is on the left. Oblique images are shown along the closest anatomical axes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import nibabel as nib
import numpy as np
from nibabel.affines import obliquity
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.filters import threshold_otsu

from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.explain.colours import DIFFERENCE, Heat, coloured, png, rgb, saturation
from slicerxai.explain.contract import Explanation, Overlay

Plane = Literal["axial", "coronal", "sagittal"]
PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
AXES: dict[Plane, tuple[int, int, int]] = {"axial": (2, 0, 1), "coronal": (1, 0, 2), "sagittal": (0, 1, 2)}
"""Canonical (R, A, S) array axis through the slice, from right to left of the picture, and from bottom to top."""
LETTERS: dict[Plane, str] = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
"""What lies at the left, right, top and bottom of the picture."""

OUTLINES = ("#35d0ff", "#ffd23f", "#ff7ad9", "#7dff8a", "#ff9e5e", "#c9b6ff")
MAP_KINDS = ("saliency", "difference")
SUSPICION = "suspicion"
"""Name of the map of how likely a predicted lesion is none; drawn as the maps are."""
STEP = re.compile(r"prediction_\d+")
"""Labelmaps of the steps of a sequence, which are not outlined: they would hide each other."""


@dataclass(frozen=True)
class Outline:
    """One label of a labelmap on the scene's grid."""

    name: str
    mask: NDArray[np.bool_]
    colour: str


@dataclass(frozen=True)
class Scene:
    """What is drawn together, on one grid whose axes run to the right, anterior and superior.

    Attributes:
        image: background; `window` is the pair of intensities drawn black and white.
        box: first and last-plus-one index of the shown part along each axis.
        oblique: largest angle between a voxel axis and its anatomical axis, degrees.
    """

    name: str
    image: Volume
    window: tuple[float, float]
    outlines: tuple[Outline, ...]
    heat: Heat | None
    box: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    oblique: float


@dataclass(frozen=True)
class Slice:
    """A picked slice. `position` is the R, A or S coordinate of its centre in mm."""

    plane: Plane
    index: int
    position: float
    reason: str

    @property
    def place(self) -> str:
        letters = {"axial": "IS", "coronal": "PA", "sagittal": "LR"}[self.plane]
        return f"{letters[self.position >= 0]} {abs(self.position):.0f} mm"


def canonical(volume: Volume) -> Volume:
    """The same voxels with axes reordered and flipped to the closest of R, A, S; nothing is interpolated."""
    orientation = nib.io_orientation(volume.affine)
    array = nib.apply_orientation(volume.array, orientation)
    return Volume(array, volume.affine @ nib.orientations.inv_ornt_aff(orientation, volume.shape))


def section(array: NDArray[Any], plane: Plane, index: int) -> NDArray[Any]:
    """The 2D picture (rows from top, columns from left) of a canonical array, shape (I, J, K)."""
    through, _, _ = AXES[plane]
    picture: NDArray[Any] = array.take(index, axis=through)[::-1, ::-1].T
    return picture


def scenes(explanation: Explanation) -> list[Scene]:
    """One scene per saliency, difference or suspicion map, or a single one without a map; none where there is no image.

    The background of a map is the image whose name occurs in the map's name, else the first one. Labelmaps and maps on
    another grid are resampled onto the image's.
    """
    images = {name: o for name, o in explanation.overlays.items() if o.kind == "image"}
    maps = {name: o for name, o in explanation.overlays.items() if o.kind in MAP_KINDS or name == SUSPICION}
    labelmaps = {
        name: o for name, o in explanation.overlays.items() if o.kind == "labelmap" and not STEP.fullmatch(name)
    }
    if not images:
        return []
    if not maps:
        return [_scene(next(iter(images)), images, labelmaps, None)]
    return [
        _scene(next((image for image in images if image in name), next(iter(images))), images, labelmaps, (name, o))
        for name, o in maps.items()
    ]


def _scene(
    name: str, images: dict[str, Overlay], labelmaps: dict[str, Overlay], heat_overlay: tuple[str, Overlay] | None
) -> Scene:
    image = images[name].volume
    array = canonical(image).array.astype(np.float32, copy=False)
    reference = Volume(array, canonical(image).affine)
    outlines: list[Outline] = []
    for label_name, overlay in labelmaps.items():
        labels = canonical(resample_like(overlay.volume, image, order=0)).array
        values = [value for value in np.unique(labels) if value != 0]
        for value in values[: len(OUTLINES)]:
            title = shown_name(label_name) + ("" if len(values) == 1 else f" {value:g}")
            outlines.append(Outline(title, labels == value, OUTLINES[len(outlines) % len(OUTLINES)]))
    heat = None if heat_overlay is None else _heat(*heat_overlay, image)
    window = _window(array)
    return Scene(
        name=shown_name(name),
        image=reference,
        window=window,
        outlines=tuple(outlines),
        heat=heat,
        box=_box(reference, window, outlines),
        oblique=float(np.degrees(obliquity(image.affine)).max()),
    )


def shown_name(name: str) -> str:
    """An overlay's name for people."""
    return name.replace("_", " ")


def _heat(name: str, overlay: Overlay, image: Volume) -> Heat:
    volume = overlay.volume.with_array(overlay.volume.array.astype(np.float32, copy=False))
    array = canonical(resample_like(volume, image)).array.astype(np.float32, copy=False)
    limit = saturation(array)
    if overlay.kind == "difference":
        return Heat(shown_name(name), array, overlay.units, overlay.description, -limit, limit, DIFFERENCE)
    low = -limit if array.min() < -0.01 * array.max() else 0.0
    return Heat(shown_name(name), array, overlay.units, overlay.description, low, limit)


def _window(array: NDArray[np.float32]) -> tuple[float, float]:
    """Black and white: the lowest intensity, and one that a thousandth of what is above it exceeds."""
    lowest = float(array.min())
    above = array[array > lowest]
    if above.size == 0:
        return lowest, lowest + 1.0
    low = lowest if lowest >= 0 else float(np.percentile(above, 0.5))
    return low, max(float(np.percentile(above, 99.9)), low + 1e-6 * max(1.0, abs(low)))


def _box(
    image: Volume, window: tuple[float, float], outlines: Sequence[Outline], margin_mm: float = 6.0
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    sample = np.clip(image.array[::2, ::2, ::2], *window).ravel()
    array = image.array.astype(np.float32, copy=False)
    shown = array > (threshold_otsu(sample) if np.ptp(sample) > 0 else window[0])
    sides: list[tuple[int, int]] = []
    for axis, (size, spacing) in enumerate(zip(image.shape, image.spacing, strict=True)):
        others = tuple({0, 1, 2} - {axis})
        # a hundredth of the slice: specks of noise in the air do not count
        filled = shown.mean(axis=others) > 0.01
        for outline in outlines:
            filled |= outline.mask.any(axis=others)
        hit = np.flatnonzero(filled)
        margin = int(np.ceil(margin_mm / spacing))
        sides.append((max(0, int(hit[0]) - margin), min(size, int(hit[-1]) + 1 + margin)) if hit.size else (0, size))
    return sides[0], sides[1], sides[2]


def pick(scene: Scene, plane: Plane, count: int, gap_mm: float = 12.0) -> list[Slice]:
    """Up to `count` slices at least `gap_mm` apart: in turn where the map is strongest and the outlined area largest.

    The strength of a map in a slice is its sum of squares, which a faint noise everywhere does not dominate. Without
    lesions and map the middle of the shown part is picked.
    """
    through, across, up = AXES[plane]
    spacing = scene.image.spacing
    others = tuple({0, 1, 2} - {through})
    outlined = np.zeros(scene.image.shape, dtype=bool)
    for outline in scene.outlines:
        outlined |= outline.mask
    area = outlined.sum(axis=others) * spacing[across] * spacing[up]
    strength = np.zeros_like(area)
    if scene.heat is not None:
        strength += np.square(scene.heat.array).sum(axis=others, dtype=np.float64)
    picked: list[Slice] = []
    free = np.ones(area.size, dtype=bool)
    for turn in range(count):
        by_area, by_map = np.where(free, area, 0), np.where(free, strength, 0)
        if not by_area.any() and not by_map.any():
            break
        use_map = by_map.any() and (turn % 2 == 0 or not by_area.any())
        scores, everywhere = (by_map, strength) if use_map else (by_area, area)
        index = int(scores.argmax())
        rank = "" if scores[index] == everywhere.max() else "next "
        if use_map and scene.heat is not None:
            reason = f"{rank}strongest {scene.heat.name}"
        else:
            reason = f"{rank}largest outlined area, {area[index]:.0f} mm²"
        picked.append(_slice(scene, plane, index, reason))
        free &= np.abs(np.arange(area.size) - index) * spacing[through] > gap_mm
    first, last = scene.box[through]
    return picked or [_slice(scene, plane, (first + last) // 2, "middle of the image")]


def _slice(scene: Scene, plane: Plane, index: int, reason: str) -> Slice:
    through = AXES[plane][0]
    centre = [(low + high - 1) / 2 for low, high in scene.box]
    centre[through] = index
    return Slice(plane, index, float((scene.image.affine @ [*centre, 1.0])[through]), reason)


def render_png(
    scene: Scene, at: Slice, *, outlines: bool = False, heat: bool = False, longest: int = 420, marks: bool = True
) -> bytes:
    """One panel as PNG, in true proportions (voxels may be anisotropic).

    Args:
        outlines: draw the labels' contours, just outside of them.
        heat: lay the map over the image, more opaque where its magnitude is larger.
        longest: pixels along the longer side of the largest plane; all planes share its scale.
        marks: letters of orientation and a scale bar.
    """
    return png(render_panel(scene, at, outlines=outlines, heat=heat, longest=longest, marks=marks))


def render_panel(
    scene: Scene, at: Slice, *, outlines: bool, heat: bool, longest: int, marks: bool = True
) -> Image.Image:
    """`render_png` before encoding; grey pictures have one channel."""
    scale = longest / max((high - low) * s for (low, high), s in zip(scene.box, scene.image.spacing, strict=True))
    _, across, up = AXES[at.plane]
    width, height = (
        max(1, round((scene.box[axis][1] - scene.box[axis][0]) * scene.image.spacing[axis] * scale))
        for axis in (across, up)
    )
    low, high = scene.window
    grey = (_resized(_cut(scene, scene.image.array, at), width, height) - low) / (high - low)
    pixels = np.repeat(np.clip(grey, 0, 1)[..., None], 3, axis=2)
    if heat and scene.heat is not None:
        colours, alpha = coloured(scene.heat, _resized(_cut(scene, scene.heat.array, at), width, height))
        pixels = pixels * (1 - alpha) + colours * alpha
    for outline in scene.outlines if outlines else ():
        pixels = pixels.astype(np.float64, copy=False)
        _draw_outline(pixels, _cut(scene, outline.mask, at), rgb("#ffffff" if heat else outline.colour))
    picture = Image.fromarray(np.rint(pixels * 255).astype(np.uint8), "RGB")
    if not outlines and not heat:
        picture = picture.convert("L")
    if marks:
        _mark(picture, LETTERS[at.plane], scale, longest)
    return picture


@lru_cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, so that pictures look alike on every machine."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts/ttf" / name), size)


def _cut(scene: Scene, array: NDArray[Any], at: Slice) -> NDArray[Any]:
    sides = [slice(*side) for side in scene.box]
    through = AXES[at.plane][0]
    sides[through] = slice(at.index, at.index + 1)
    return section(array[tuple(sides)], at.plane, 0)


def _resized(picture: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    resized = Image.fromarray(np.ascontiguousarray(picture, dtype=np.float32)).resize(
        (width, height), Image.Resampling.BILINEAR
    )
    return np.asarray(resized)


def _draw_outline(
    pixels: NDArray[np.float64], mask: NDArray[np.bool_], colour: NDArray[np.float64], oversampling: int = 3
) -> None:
    """Draw a smooth line 1.5 pixels wide just outside a mask, with a dark halo, into a picture (rows, columns, 3)."""
    height, width = pixels.shape[:2]
    fine = _resized(mask, width * oversampling, height * oversampling) >= 0.5
    if not fine.any():
        return
    reach = 4  # pixels, more than line and halo together
    hits = (np.flatnonzero(fine.any(axis=axis)) // oversampling for axis in (1, 0))
    rows, columns = (slice(max(0, int(hit[0]) - reach), int(hit[-1]) + reach + 1) for hit in hits)
    near = fine[
        rows.start * oversampling : rows.stop * oversampling, columns.start * oversampling : columns.stop * oversampling
    ]
    distance = ndimage.distance_transform_edt(~near) / oversampling
    steps = range(oversampling)
    parts = [distance[row::oversampling, column::oversampling] for row in steps for column in steps]
    line, halo = (
        (np.sum([(low < part) & (part <= high) for part in parts], axis=0) / len(parts))[..., None]
        for low, high in ((0, 1.5), (1.5, 2.7))
    )
    pixels[rows, columns] = pixels[rows, columns] * (1 - 0.6 * halo) * (1 - line) + colour * line


def _mark(picture: Image.Image, letters: str, scale: float, longest: int) -> None:
    """Letters at the four edges, and a bar of 5 cm (1 cm on small images)."""
    width, height = picture.size
    size = max(12, longest // 25)
    draw = ImageDraw.Draw(picture)
    white, black = (255, 0) if picture.mode == "L" else ("#ffffff", "#000000")
    style: dict[str, Any] = {"fill": white, "stroke_fill": black, "stroke_width": 2, "font": font(size, bold=True)}
    places = ((6, height / 2, "lm"), (width - 6, height / 2, "rm"), (width / 2, 5, "mt"), (width / 2, height - 5, "mb"))
    for letter, (x, y, anchor) in zip(letters, places, strict=True):
        draw.text((x, y), letter, anchor=anchor, **style)
    length_cm = 5 if 50 * scale < 0.4 * longest else 1
    left, y = width - 8 - length_cm * 10 * scale, height - 10
    draw.rectangle((left - 1, y - 2, width - 7, y + 2), fill=black)
    draw.rectangle((left, y - 1, width - 8, y + 1), fill=white)
    draw.text((width - 8, y - 6), f"{length_cm} cm", anchor="rb", **(style | {"font": font(size * 3 // 4)}))
