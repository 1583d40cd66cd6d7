"""The shares as bars with intervals, drawn at the panel's width; the report has them larger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt
from slicer.i18n import tr as _
from XAIPanels.axis import ticks

from .attribution import UNRESOLVED, WHOLE, Share, signed
from .words import mechanism

WIDTH = 380
ROW, TOP, BOTTOM = 34, 8, 40
LEFT, RIGHT = 92, 272
"""Where the plot begins and ends; names stand left of it, numbers right."""
COST, GAIN, OTHER, TOTAL = "#e87800", "#2f86f5", "#9a9a9a", "#4a4a4a"
PAPER, INK, FAINT = "#ffffff", "#1e1e1e", "#6e6e6e"
NAMES = {UNRESOLVED: _("Unresolved"), WHOLE: _("Whole drop")}


def draw(shares: Sequence[Share], unit: str) -> Any:
    """A picture of the bars, a `QPixmap`; positive values cost performance.

    Args:
        unit: of the values, such as "points".
    """
    picture = qt.QPixmap(WIDTH, TOP + ROW * len(shares) + BOTTOM)
    picture.fill(qt.QColor(PAPER))
    painter = qt.QPainter()
    painter.begin(picture)
    painter.setRenderHint(qt.QPainter.Antialiasing, True)
    low, high = limits(shares)
    scale = (RIGHT - LEFT) / (high - low)

    def place(value: float) -> int:
        return round(LEFT + (min(max(value, low), high) - low) * scale)

    _axis(painter, picture.height(), place, low, high, unit)
    for row, share in enumerate(shares):
        _bar(painter, TOP + row * ROW, place, share)
    painter.end()
    return picture


def limits(shares: Sequence[Share]) -> tuple[float, float]:
    """Ends of the axis: all bars, and intervals as far as they are not longer than three times the longest bar."""
    longest = max([abs(share.value) for share in shares if share.value is not None] or [1.0]) or 1.0
    ends = [end for share in shares for end in (share.value, share.low, share.high) if end is not None]
    low = max(min([0.0, *ends]), -3 * longest)
    high = min(max([0.0, *ends]), 3 * longest)
    margin = 0.04 * (high - low) or 1.0
    return low - margin, high + margin


def words(shares: Sequence[Share], unit: str) -> str:
    """The same as text."""
    lines = []
    for share in shares:
        known = share.low is not None and share.high is not None
        interval = _(" ({low} to {high})").format(low=signed(share.low), high=signed(share.high)) if known else ""
        state = f", {share.state}" if share.state else ""
        lines.append(f"{name_of(share)}: {signed(share.value)} {unit}{interval}{state}")
    return "\n".join(lines)


def name_of(share: Share) -> str:
    """What a bar is called."""
    return NAMES.get(share.name) or mechanism(share.name)


def _axis(painter: Any, height: int, place: Any, low: float, high: float, unit: str) -> None:
    bottom = height - BOTTOM + 2
    for value in ticks(low, high):
        painter.setPen(qt.QColor(INK if value == 0 else "#d9d9d9"))
        painter.drawLine(place(value), TOP, place(value), bottom)
        painter.setPen(qt.QColor(FAINT))
        text = f"{value:g}".replace("-", "−")
        painter.drawText(place(value) - 25, bottom + 1, 50, 16, qt.Qt.AlignCenter, text)
    caption = _("cost in {unit} (positive: worse in the target)").format(unit=unit)
    painter.drawText(LEFT - 60, bottom + 17, RIGHT - LEFT + 120, 18, qt.Qt.AlignCenter, caption)


def _bar(painter: Any, top: int, place: Any, share: Share) -> None:
    _lines(painter, 0, LEFT - 8, top, qt.Qt.AlignRight, name_of(share), share.state)
    if share.value is None:
        _lines(painter, RIGHT + 8, WIDTH - RIGHT - 8, top, qt.Qt.AlignLeft, _("not known"), "")
        return
    colour = {UNRESOLVED: OTHER, WHOLE: TOTAL}.get(share.name, COST if share.value >= 0 else GAIN)
    start, end = sorted((place(0.0), place(share.value)))
    painter.fillRect(start, top + 8, max(end - start, 1), ROW - 16, qt.QColor(colour))
    interval = ""
    if share.low is not None and share.high is not None:
        _whisker(painter, top + ROW // 2, place(share.low), place(share.high))
        interval = _("{low} to {high}").format(low=signed(share.low), high=signed(share.high))
    _lines(painter, RIGHT + 8, WIDTH - RIGHT - 8, top, qt.Qt.AlignLeft, signed(share.value), interval)


def _lines(painter: Any, left: int, width: int, top: int, side: Any, text: str, small: str) -> None:
    """A text, and another one below it in grey where there is one."""
    height = ROW // 2 if small else ROW
    painter.setPen(qt.QColor(INK))
    painter.drawText(left, top, width, height, side | qt.Qt.AlignVCenter, text)
    if small:
        painter.setPen(qt.QColor(FAINT))
        painter.drawText(left, top + height - 2, width, height, side | qt.Qt.AlignVCenter, small)


def _whisker(painter: Any, middle: int, low: int, high: int) -> None:
    painter.setPen(qt.QColor(INK))
    painter.drawLine(low, middle, high, middle)
    for end in (low, high):
        painter.drawLine(end, middle - 4, end, middle + 4)
