"""Suspicion as a bar, and a flag, small enough for a table's row."""

from __future__ import annotations

from typing import Any

import qt

WIDTH, HEIGHT = 44, 12
EMPTY, LOW, MIDDLE, HIGH = "#d8d8d8", "#9a9a9a", "#e8a33c", "#d64545"
"""Of the empty part, and of suspicions from a third and from two thirds of the full bar on."""
FLAG = "#d64545"


def bar(percent: int) -> Any:
    """An icon of a bar that is filled to so many per cent."""
    picture = qt.QPixmap(WIDTH, HEIGHT)
    picture.fill(qt.QColor(EMPTY))
    painter = qt.QPainter()
    painter.begin(picture)
    colour = LOW if percent < 33 else MIDDLE if percent < 67 else HIGH
    painter.fillRect(0, 0, round(WIDTH * percent / 100), HEIGHT, qt.QColor(colour))
    painter.end()
    return _icon(picture)


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
    return _icon(picture)


def _icon(picture: Any) -> Any:
    """An icon that keeps its colours in a chosen row."""
    icon = qt.QIcon(picture)
    icon.addPixmap(picture, qt.QIcon.Selected)
    return icon
