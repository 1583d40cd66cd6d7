"""Colour scales of maps over grey images, made for dark backgrounds and for colour-blind eyes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DIVERGING = ("#bfe9ff", "#2fa4ff", "#1261d6", "#4a4a4a", "#cf5f00", "#ff9526", "#ffe2b5")
"""Blue is against and orange for; the grey between is never seen, as zero is transparent."""
DIFFERENCE = ("#63b8ff", "#2380f5", "#1450d0", "#4a4a4a", "#c8141e", "#f52a2a", "#ff6a5c")
"""Blue is darker and red brighter than the original."""
SEQUENTIAL = ("#000004", "#420a68", "#932667", "#dd513a", "#fca50a", "#fcffa4")
"""Matplotlib's perceptually uniform "inferno" at six stops."""
_PNG_LEVEL = 3  # PIL's own level 6 saves a hundredth of the size for almost three times the time


@dataclass(frozen=True)
class Heat:
    """A map on the scene's grid and its colour scale, from `low` to `high` in `units`; `stops` are its colours, by
    default those of relevance.
    """

    name: str
    array: NDArray[np.float32]
    units: str
    description: str
    low: float
    high: float
    stops: tuple[str, ...] | None = None

    @property
    def diverging(self) -> bool:
        return self.low < 0


def saturation(array: NDArray[np.floating[Any]], beyond: float = 0.1) -> float:
    """The magnitude above which lies the share `beyond` of a map's summed |values|; 1 for a map of zeros.

    Unlike a percentile of the voxels it does not depend on how much empty space surrounds the map.
    """
    magnitude = np.abs(array)
    highest = float(magnitude.max())
    if highest == 0:
        return 1.0
    mass, edges = np.histogram(magnitude, bins=4096, range=(0, highest), weights=magnitude)
    above = mass[::-1].cumsum()[::-1]
    return float(edges[np.flatnonzero(above >= beyond * above[0])[-1] + 1])


def rgb(colour: str) -> NDArray[np.float64]:
    """Red, green and blue in [0, 1] of a colour such as "#35d0ff"."""
    return np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])


def coloured(
    heat: Heat, values: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """RGB in [0, 1] and opacity, shapes (..., 3) and (..., 1), of values of a map."""
    chosen = heat.stops or (DIVERGING if heat.diverging else SEQUENTIAL)
    stops = np.array([rgb(colour) for colour in chosen])
    place = np.clip((values - heat.low) / (heat.high - heat.low), 0, 1)
    colours = np.stack([np.interp(place, np.linspace(0, 1, len(stops)), stops[:, c]) for c in range(3)], axis=-1)
    magnitude = np.clip(np.abs(values) / heat.high, 0, 1)[..., None]
    return colours, 0.92 * np.clip((magnitude - 0.03) / 0.97, 0, 1) ** 0.65


def colour_bar(heat: Heat, width: int = 320, height: int = 14) -> bytes:
    """The scale of a map from low to high as PNG, drawn over mid grey as over tissue."""
    colours, alpha = coloured(heat, np.linspace(heat.low, heat.high, width))
    row = colours * alpha + 0.3 * (1 - alpha)
    return png(Image.fromarray(np.rint(np.tile(row, (height, 1, 1)) * 255).astype(np.uint8), "RGB"))


def png(picture: Image.Image) -> bytes:
    """Encode as PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()
