"""The prediction along a property, drawn at the panel's width: threshold, flips, the image as it is, the slider."""

from __future__ import annotations

from typing import Any

import qt
from XAIPanels.axis import signed, ticks

from .tables import Curve
from .words import amount, output_title

WIDTH, HEIGHT = 390, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 38, 40
"""Margins of the plot."""
PAPER, INK, FAINT, GRID = "#ffffff", "#1e1e1e", "#6e6e6e", "#e4e4e4"
LINE, FLIP, LIMIT, CURSOR = "#2f86f5", "#d64545", "#8a5a00", "#1e1e1e"
DOT, BOLD_DOT = 5, 9
"""Diameters of the steps and of the one at the slider."""


class Plot:
    """Where things lie in the picture, pixels."""

    def __init__(self, curve: Curve) -> None:
        self.curve = curve
        self.low, self.high = curve.values[0], curve.values[-1]
        self.bottom, self.top = limits(curve)

    def across(self, value: float) -> int:
        """Of a value of the property."""
        return round(LEFT + (value - self.low) / ((self.high - self.low) or 1.0) * (WIDTH - LEFT - RIGHT))

    def down(self, prediction: float) -> int:
        """Of a prediction."""
        share = (prediction - self.bottom) / (self.top - self.bottom)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))

    def step(self, across: float) -> int:
        """The step that is nearest to a place in the picture."""
        return min(range(len(self.curve.values)), key=lambda step: abs(self.across(self.curve.values[step]) - across))


def limits(curve: Curve) -> tuple[float, float]:
    """Ends of the axis of the predictions; a threshold that lies far away does not squeeze the curve flat."""
    known = [prediction for prediction in curve.predictions if prediction is not None] or [0.0]
    low, high = min(known), max(known)
    threshold, span = curve.output.threshold, high - low
    if threshold is not None and (low - span <= threshold <= high + span or 0 <= low <= high <= 1):
        low, high = min(low, threshold), max(high, threshold)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 0.5
    return low - margin, high + margin


def draw(curve: Curve, step: int, hover: int | None = None, scale: int = 1) -> Any:
    """A picture of the curve, a `QPixmap`.

    Args:
        step: where the slider is. hover: the step whose numbers are written.
        scale: of the picture; 1 for the panel.
    """
    picture = qt.QPixmap(WIDTH * scale, HEIGHT * scale)
    picture.fill(qt.QColor(PAPER))
    painter = qt.QPainter()
    painter.begin(picture)
    painter.scale(scale, scale)
    painter.setRenderHint(qt.QPainter.Antialiasing, True)
    plot = Plot(curve)
    _axes(painter, plot)
    _marks(painter, plot)
    _line(painter, plot)
    _cursor(painter, plot, step)
    _flips(painter, plot)
    if hover is not None:
        _numbers(painter, plot, hover)
    painter.end()
    return picture


def _axes(painter: Any, plot: Plot) -> None:
    effect, floor = plot.curve.effect, HEIGHT - BOTTOM
    for value in ticks(plot.bottom, plot.top):
        _pen(painter, GRID)
        painter.drawLine(LEFT, plot.down(value), WIDTH - RIGHT, plot.down(value))
        _text(painter, 0, plot.down(value) - 8, LEFT - 6, qt.Qt.AlignRight, signed(value), FAINT)
    for value in ticks(plot.low, plot.high) if plot.high > plot.low else [plot.low]:
        _pen(painter, FAINT)
        painter.drawLine(plot.across(value), floor, plot.across(value), floor + 4)
        _text(painter, plot.across(value) - 25, floor + 4, 50, qt.Qt.AlignHCenter, signed(value), FAINT)
    _pen(painter, FAINT)
    painter.drawLine(LEFT, floor, WIDTH - RIGHT, floor)
    units = f" ({effect.units})" if effect.units else ""
    _text(painter, LEFT, floor + 20, WIDTH - LEFT - RIGHT, qt.Qt.AlignHCenter, f"{effect.title}{units}", INK)
    _text(painter, 6, 2, WIDTH - 12, qt.Qt.AlignLeft, output_title(plot.curve.output), INK)


def _marks(painter: Any, plot: Plot) -> None:
    """The image as it is, and the threshold of the decision."""
    neutral, threshold = plot.curve.effect.neutral, plot.curve.output.threshold
    if neutral is not None and plot.low <= neutral <= plot.high:
        across = plot.across(neutral)
        _pen(painter, FAINT, 1, qt.Qt.DotLine)
        painter.drawLine(across, TOP - 4, across, HEIGHT - BOTTOM)
        left = min(max(across - 30, LEFT), WIDTH - RIGHT - 60)
        _text(painter, left, TOP - 20, 60, qt.Qt.AlignHCenter, "as it is", FAINT)
    if threshold is not None and plot.bottom <= threshold <= plot.top:
        _pen(painter, LIMIT, 1, qt.Qt.DashLine)
        painter.drawLine(LEFT, plot.down(threshold), WIDTH - RIGHT, plot.down(threshold))
        _text(painter, WIDTH - RIGHT - 60, plot.down(threshold) - 16, 58, qt.Qt.AlignRight, "limit", LIMIT)


def _line(painter: Any, plot: Plot) -> None:
    places = [
        None if prediction is None else (plot.across(value), plot.down(prediction))
        for value, prediction in zip(plot.curve.values, plot.curve.predictions)
    ]
    _pen(painter, LINE, 2)
    for start, end in zip(places, places[1:]):
        if start is not None and end is not None:
            painter.drawLine(*start, *end)
    for place in places:
        if place is not None:
            _dot(painter, *place, DOT, LINE)


def _cursor(painter: Any, plot: Plot, step: int) -> None:
    across, prediction = plot.across(plot.curve.values[step]), plot.curve.predictions[step]
    _pen(painter, CURSOR)
    painter.drawLine(across, TOP - 4, across, HEIGHT - BOTTOM)
    if prediction is not None:
        _dot(painter, across, plot.down(prediction), BOLD_DOT, CURSOR)


def _flips(painter: Any, plot: Plot) -> None:
    threshold = plot.curve.output.threshold
    if threshold is None:
        return
    for flip in plot.curve.flips:
        across, down = plot.across(flip.value), plot.down(threshold)
        _text(painter, across - 10, down - 9, 20, qt.Qt.AlignHCenter, "▲" if flip.upward else "▼", FLIP)


def _numbers(painter: Any, plot: Plot, step: int) -> None:
    """The numbers of a step in a small box beside it."""
    value, prediction = plot.curve.values[step], plot.curve.predictions[step]
    text = f"{amount(value, plot.curve.effect.units)}: {amount(prediction, plot.curve.effect.output_units)}"
    width = 12 + painter.fontMetrics().boundingRect(text).width()
    left = min(max(plot.across(value) + 8, LEFT), WIDTH - RIGHT - width)
    top = TOP + 2 if prediction is None else max(plot.down(prediction) - 26, TOP + 2)
    painter.fillRect(left, top, width, 18, qt.QColor("#fff6d8"))
    _text(painter, left, top + 1, width, qt.Qt.AlignHCenter, text, INK)


def _dot(painter: Any, across: int, down: int, size: int, colour: str) -> None:
    painter.setBrush(qt.QBrush(qt.QColor(colour)))
    painter.setPen(qt.QColor(colour))
    painter.drawEllipse(across - size // 2, down - size // 2, size, size)


def _pen(painter: Any, colour: str, width: int = 1, style: Any = None) -> None:
    pen = qt.QPen(qt.QColor(colour))
    pen.setWidth(width)
    if style is not None:
        pen.setStyle(style)
    painter.setPen(pen)


def _text(painter: Any, left: int, top: int, width: int, side: Any, text: str, colour: str) -> None:
    painter.setPen(qt.QColor(colour))
    painter.drawText(left, top, width, 16, side | qt.Qt.AlignVCenter, text)
