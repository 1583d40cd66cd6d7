"""Coloured patches beside a skin lesion, as the stickers of a clinic that only benign lesions carry.

The patch of one realisation keeps its colour, place and form while its diameter grows: that is the gradual
intervention of Penzel and Denzler's experiment on the ISIC archive (after Rieger et al., ICML 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.floating]

COLOURS: Final[dict[str, tuple[float, float, float]]] = {
    "blue": (0.20, 0.35, 0.75),
    "green": (0.25, 0.55, 0.35),
    "yellow": (0.90, 0.80, 0.25),
    "orange": (0.90, 0.50, 0.20),
    "red": (0.80, 0.20, 0.25),
    "violet": (0.50, 0.30, 0.65),
}
"""Colours of stickers, red, green and blue in [0, 1]."""
CANDIDATES: Final = 24
"""Places that are tried; the one farthest from the lesion is taken."""
REACH: Final = (0.05, 0.2)
"""How far from the image's border, as share of its width, the centre of a patch lies."""


@dataclass(frozen=True)
class Patch:
    """One realisation of the intervention.

    Attributes:
        centre: row and column as shares of height and width.
        colour: red, green, blue in [0, 1].
        aspect: length along `angle` over length across it; the area is that of a disc of the same diameter.
        angle: of the long axis, radians. shade: change of brightness from one edge to the other, as share.
    """

    centre: tuple[float, float]
    colour: tuple[float, float, float]
    aspect: float = 1.0
    angle: float = 0.0
    shade: float = 0.0


def draw_patch(
    image: Image,
    centre: tuple[float, float],
    diameter: float,
    colour: tuple[float, float, float],
    *,
    aspect: float = 1.0,
    angle: float = 0.0,
    shade: float = 0.0,
) -> NDArray[np.float32]:
    """An image with an opaque patch on it; diameter 0 gives the image's own values.

    Args:
        image: (3, H, W) in [0, 1]. diameter: as share of the width, from 0 to 1. The rest: see `Patch`.

    Returns:
        (3, H, W) float32, a new array. An edge of one pixel is blended, so that the result is continuous in the
        diameter.

    Raises:
        ValueError: another shape of image, or a diameter outside [0, 1].
    """
    if image.ndim != 3 or image.shape[0] != 3:
        msg = f"a patch is drawn on an image (3, H, W), got {image.shape}"
        raise ValueError(msg)
    patch = Patch(centre, colour, aspect, angle, shade)
    opacity, along = _drawn(image.shape[1:], patch, diameter)
    paint = np.clip(np.array(colour)[:, None, None] * (1 + shade * along), 0, 1)
    return (image + opacity * (paint - image)).astype(np.float32)


def with_patch(image: Image, patch: Patch, diameter: float) -> NDArray[np.float32]:
    """`draw_patch` of a realisation."""
    return draw_patch(
        image,
        patch.centre,
        diameter,
        patch.colour,
        aspect=patch.aspect,
        angle=patch.angle,
        shade=patch.shade,
    )


def patch_opacity(shape: tuple[int, ...], patch: Patch, diameter: float) -> NDArray[np.float64]:
    """Where the patch lies, (H, W): 1 inside, 0 outside, between them at its edge. Raises as `draw_patch`."""
    return _drawn(shape, patch, diameter)[0]


def _drawn(shape: tuple[int, ...], patch: Patch, diameter: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Opacity (H, W) and the place along the patch's axis (H, W), -1 to 1 inside."""
    if not 0 <= diameter <= 1:
        msg = f"diameter {diameter:g} of a patch; 0 to 1 times the image's width is accepted"
        raise ValueError(msg)
    height, width = shape
    row = (np.arange(height) + 0.5)[:, None] - patch.centre[0] * height
    column = (np.arange(width) + 0.5)[None] - patch.centre[1] * width
    stretch, radius = np.sqrt(patch.aspect), diameter * width / 2
    along = (np.sin(patch.angle) * row + np.cos(patch.angle) * column) / stretch
    across = (np.cos(patch.angle) * row - np.sin(patch.angle) * column) * stretch
    distance = np.hypot(along, across)
    opacity = np.clip(radius + 0.5 - distance, 0, 1) * min(2 * radius, 1.0)
    return opacity, np.clip(along / max(radius, 0.5), -1, 1)


def random_patch(
    generator: np.random.Generator,
    lesion: NDArray[np.bool_] | None = None,
    colours: tuple[str, ...] = tuple(COLOURS),
) -> Patch:
    """A realisation: one of the colours, slightly varied, at the border of the image, away from the lesion.

    Args:
        lesion: (H, W); the place farthest from it among random ones is taken. None: a corner.
        colours: keys of `COLOURS`.
    """
    places = _places(generator)
    if lesion is None or not lesion.any():
        place = places[np.abs(places - 0.5).sum(1).argmax()]
    else:
        distance = ndimage.distance_transform_edt(~lesion)
        pixel = np.minimum((places * lesion.shape).astype(int), np.array(lesion.shape) - 1)
        place = places[np.argmax(distance[pixel[:, 0], pixel[:, 1]])]
    base = np.array(COLOURS[colours[int(generator.integers(len(colours)))]])
    red, green, blue = np.clip(base + generator.normal(0, 0.05, 3), 0, 1).tolist()
    return Patch(
        (float(place[0]), float(place[1])),
        (red, green, blue),
        aspect=float(generator.uniform(1, 1.4)),
        angle=float(generator.uniform(0, np.pi)),
        shade=float(generator.uniform(0, 0.25)),
    )


def _places(generator: np.random.Generator) -> NDArray[np.float64]:
    """Places (CANDIDATES, 2) along the four borders, as shares of the height and the width."""
    depth = generator.uniform(*REACH, CANDIDATES)
    along = generator.uniform(0, 1, CANDIDATES)
    side = generator.integers(0, 4, CANDIDATES)
    far = np.where(side % 2 == 0, depth, 1 - depth)
    return np.where((side < 2)[:, None], np.stack([far, along], 1), np.stack([along, far], 1))
