"""Colours as text and as numbers."""

from __future__ import annotations

LESIONS = "#b5ffa6"
EXPLAINED = "#bf4dac"
"""Outlines; they differ from both sides of a map and from each other for colour-blind readers too."""


def rgb(colour: str) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1] of a colour such as "#35d0ff"."""
    red, green, blue = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue
