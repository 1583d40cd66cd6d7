"""Suspicion as a bar, and a flag, small enough for a table's row."""

from __future__ import annotations

from typing import Any

import qt
from XAIPanels.bars import HEIGHT, WIDTH, icon
from XAIPanels.bars import bar as filled

__all__ = ["HEIGHT", "WIDTH", "bar", "flag", "share"]

LOW, MIDDLE, HIGH = "#9a9a9a", "#e8a33c", "#d64545"
"""Of suspicions below a third, from a third and from two thirds of the full bar on."""
FLAG = "#d64545"


def bar(percent: int) -> Any:
    """An icon of a bar that is filled to so many per cent."""
    return filled(percent / 100, LOW if percent < 33 else MIDDLE if percent < 67 else HIGH)


def share(value: float | None, full: float) -> Any:
    """The bar of a value out of `full`; an empty icon without a value."""
    return qt.QIcon() if value is None else bar(round(100 * min(max(value / full, 0.0), 1.0)))


def flag(raised: bool) -> Any:
    """A red flag, or as much empty room."""
    picture = qt.QPixmap(HEIGHT, HEIGHT)
    picture.fill(qt.QColor(0, 0, 0, 0))
    if raised:
        painter = qt.QPainter()
        painter.begin(picture)
        painter.fillRect(2, 1, 2, HEIGHT - 1, qt.QColor(FLAG))
        painter.fillRect(4, 1, 7, 5, qt.QColor(FLAG))
        painter.end()
    return icon(picture)
