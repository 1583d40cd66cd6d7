"""How far colours are apart for readers with and without a colour vision deficiency."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Colour = NDArray[np.float64]

VISIONS: dict[str, Colour] = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""On linear sRGB, severity 1: Machado, Oliveira and Fernandes 2009, IEEE TVCG 15(6), 1291-1298."""
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> Colour:
    """Linear sRGB in [0, 1] of a colour such as "#35d0ff"."""
    values = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colour: str, vision: str = "usual") -> Colour:
    """CIELAB (D65) of a colour as it is seen."""
    seen = np.clip(VISIONS[vision] @ linear(colour), 0, 1)
    scaled = _TO_XYZ @ seen / (_TO_XYZ @ np.ones(3))
    f = np.where(scaled > (6 / 29) ** 3, np.cbrt(scaled), scaled / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, vision: str = "usual") -> float:
    """CIE76 ΔE; about 2 is just noticeable side by side."""
    return float(np.linalg.norm(lab(one, vision) - lab(other, vision)))


def closest(colours: Iterable[str]) -> tuple[float, str, str, str]:
    """The smallest distance of any pair for any reader: ΔE, vision and both colours."""
    pairs = combinations(dict.fromkeys(colours), 2)
    return min((distance(one, other, vision), vision, one, other) for one, other in pairs for vision in VISIONS)


def luminance(colour: str) -> float:
    """Relative luminance as in WCAG 2."""
    return float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
