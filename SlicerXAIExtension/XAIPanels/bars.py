"""Shares as bars, small enough for a table's row."""

from __future__ import annotations

from typing import Any

import qt

WIDTH, HEIGHT = 44, 12
EMPTY = "#d8d8d8"
"""Of the part that is not filled."""


def bar(share: float, colour: str) -> Any:
    """An icon of a bar that is filled to a share in [0, 1]."""
    picture = qt.QPixmap(WIDTH, HEIGHT)
    picture.fill(qt.QColor(EMPTY))
    painter = qt.QPainter()
    painter.begin(picture)
    painter.fillRect(0, 0, round(WIDTH * share), HEIGHT, qt.QColor(colour))
    painter.end()
    return icon(picture)


def icon(picture: Any) -> Any:
    """An icon that keeps its colours in a chosen row."""
    made = qt.QIcon(picture)
    made.addPixmap(picture, qt.QIcon.Selected)
    return made
