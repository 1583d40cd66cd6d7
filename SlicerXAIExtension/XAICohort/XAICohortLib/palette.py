"""Colours of raters and of votes. No Qt and no MRML.

The raters' were found by a search over a grid of sRGB for eight colours that are bright and saturated enough to be seen
over a grey image, and are farthest apart (CIE 1976 ΔE at least 32) for readers with normal sight and with full protan-,
deuter- and tritanopia (simulated after Machado, Oliveira and Fernandes, IEEE TVCG 15:1291, 2009).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from XAIPanels.colours import rgb

RATERS = ("#ffbb77", "#7799ff", "#ff0077", "#55ffff", "#557700", "#bb0099", "#7733ff")
CONSENSUS = "#ffff33"
TRUTH = "#ffffff"
VOTES = ("#451077", "#721f81", "#9f2f7f", "#cd4071", "#f1605d", "#fd9567", "#fec98d")
"""From few to many: a part of magma, which is ordered by its lightness for everybody, and has no yellow."""

NO_DICE, FULL_DICE = (255, 255, 255), (79, 134, 185)
"""Background of a Dice of 0 and of 1; black numbers are readable on both."""


def rater_colours(raters: Sequence[str]) -> dict[str, str]:
    """A colour for each rater; numbered ones always have the same."""
    others = [name for name in raters if name not in ("consensus", "truth") and not _numbered(name)]
    colours = {name: RATERS[int(name) - 1] for name in raters if _numbered(name)}
    free = [colour for colour in RATERS if colour not in colours.values()] or list(RATERS)
    colours.update({name: free[number % len(free)] for number, name in enumerate(others)})
    return {**colours, "consensus": CONSENSUS, "truth": TRUTH}


def vote_colours(count: int) -> list[tuple[float, float, float]]:
    """Red, green and blue in [0, 1] for 1 … `count` votes."""
    stops = np.array([rgb(colour) for colour in VOTES])
    places = np.linspace(0, len(VOTES) - 1, count) if count > 1 else np.array([len(VOTES) - 1.0])
    mixed = [np.interp(places, np.arange(len(VOTES)), stops[:, channel]).tolist() for channel in range(3)]
    return [(red, green, blue) for red, green, blue in zip(*mixed)]


def dice_colour(value: float | None) -> tuple[int, int, int]:
    """Red, green and blue in 0 … 255, darker for more overlap; grey for a rater and himself."""
    if value is None:
        return 225, 225, 225
    red, green, blue = (round(low + value * (high - low)) for low, high in zip(NO_DICE, FULL_DICE))
    return red, green, blue


def hexadecimal(colour: Sequence[float]) -> str:
    """Such as "#35d0ff", of numbers in [0, 1]."""
    return "#" + "".join(f"{round(255 * value):02x}" for value in colour)


def _numbered(name: str) -> bool:
    return name.isdigit() and 1 <= int(name) <= len(RATERS)
