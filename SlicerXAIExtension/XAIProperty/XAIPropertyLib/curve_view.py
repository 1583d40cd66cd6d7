"""The curve as a widget: hovering shows numbers, clicking and dragging moves along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from . import curve as picture
from .tables import Curve

HINT = _("Hover to read the numbers; click or drag to move along the curve.")


class CurveView(qt.QLabel):
    """Shows one curve.

    Args:
        moved: called with the number of a step that was clicked or dragged to.
    """

    def __init__(self, moved: Callable[[int], None]) -> None:
        qt.QLabel.__init__(self)
        self._moved = moved
        self._plot: picture.Plot | None = None
        self._step = 0
        self._hover: int | None = None
        self.setMouseTracking(True)
        self.setFixedSize(picture.WIDTH, picture.HEIGHT)
        self.setToolTip(HINT)

    def show_curve(self, curve: Curve, step: int) -> None:
        """Draw a curve with the slider at a step."""
        if self._plot is None or self._plot.curve != curve:
            self._plot, self._hover = picture.Plot(curve), None
        self._step = step
        self._draw()

    def png(self, scale: int) -> bytes:
        """The curve as it is, larger; nothing while there is none."""
        if self._plot is None:
            return b""
        content = qt.QByteArray()
        buffer = qt.QBuffer(content)
        buffer.open(qt.QIODevice.WriteOnly)
        picture.draw(self._plot.curve, self._step, None, scale).save(buffer, "PNG")
        buffer.close()
        return bytes(content.data())

    def mouseMoveEvent(self, event: Any) -> None:
        """Qt calls it."""
        step = self._step_of(event)
        if step is None:
            return
        if event.buttons() & qt.Qt.LeftButton and step != self._step:
            self._moved(step)
        if step != self._hover:
            self._hover = step
            self._draw()

    def mousePressEvent(self, event: Any) -> None:
        """Qt calls it."""
        step = self._step_of(event)
        if step is not None and event.button() == qt.Qt.LeftButton:
            self._moved(step)

    def leaveEvent(self, _event: Any) -> None:
        """Qt calls it."""
        self._hover = None
        self._draw()

    def _step_of(self, event: Any) -> int | None:
        place = event.position() if hasattr(event, "position") else event.pos()
        return None if self._plot is None else self._plot.step(float(place.x()))

    def _draw(self) -> None:
        if self._plot is not None:
            self.setPixmap(picture.draw(self._plot.curve, self._step, self._hover))
