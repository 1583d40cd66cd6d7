"""Controls for numbers: spin boxes, sliders where both limits are near, points that are picked in the views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import ctk
import qt
from slicer.i18n import tr as _
from XAILib.schema import Field, Limits
from XAILib.schema_values import start

from .form_editor import Changed, Editor
from .form_words import decimals

LARGEST = 2**31 - 1
"""Of a spin box of whole numbers."""
WIDE = 1e9
"""Limit of a spin box where the schema has none."""
FEW_STEPS = 20
"""Whole numbers that a slider can tell apart at a glance."""
NARROW = 1.0
"""Largest range of numbers that becomes a slider."""
FINE = 3
"""Digits behind the point that can always be typed."""
FAR = 1e4
"""Limit of coordinates, mm."""
AXES = ("R", "A", "S")
Point = tuple[float, float, float]


class PointPicker(Protocol):
    """Lets the next click in a view give a point."""

    def start(self, picked: Callable[[Point], None], ended: Callable[[], None]) -> None:
        """Wait for a click; `picked` gets R, A, S in mm, `ended` is called when nothing is waited for any more."""

    def stop(self) -> None:
        """Wait no longer."""


def is_slider(field: Field) -> bool:
    """Whether both limits are so near that a slider shows where between them a value lies."""
    low, high = field.limits.minimum, field.limits.maximum
    if low is None or high is None or field.kind not in ("integer", "number"):
        return False
    return high - low <= (FEW_STEPS if field.kind == "integer" else NARROW)


def fits_spin_box(field: Field) -> bool:
    """Whether a spin box can hold every value of a whole number."""
    limits, held = field.limits, field.default
    ends = (limits.minimum or 0, (limits.maximum or 0) - limits.below, held if isinstance(held, (int, float)) else 0)
    return all(-LARGEST <= end <= LARGEST for end in ends)


class WholeEditor(Editor):
    """A whole number."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        low, high = whole_ends(field.limits)
        if is_slider(field):
            self.widget = ctk.ctkSliderWidget()
            self.widget.decimals = 0
            self.widget.singleStep = 1.0
        else:
            self.widget = qt.QSpinBox()
        self.widget.setRange(max(low, -LARGEST), min(high, LARGEST))
        self.finish(_suffix(field))
        self.show(start(field))
        self.widget.connect("valueChanged(double)" if is_slider(field) else "valueChanged(int)", self.edited)

    @property
    def value(self) -> int:
        return round(self.widget.value)

    def show(self, value: Any) -> None:
        self.quietly(lambda: self.widget.setValue(int(value)))


class NumberEditor(Editor):
    """A number; more digits are shown when a value needs them."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget = ctk.ctkSliderWidget() if is_slider(field) else qt.QDoubleSpinBox()
        self._low, self._high = ends(field.limits)
        self._digits = max(FINE, decimals(field.limits.minimum, field.limits.maximum, field.default))
        self._exact: Any = None
        self._fit()
        self.widget.singleStep = self._step()
        self.finish(_suffix(field))
        self.show(start(field))
        self.widget.connect("valueChanged(double)", self._typed)

    @property
    def value(self) -> float:
        return float(self._exact)

    def show(self, value: Any) -> None:
        needed = decimals(float(value))
        if needed > self._digits:
            self._digits = needed
            self._fit()
        self.quietly(lambda: self.widget.setValue(float(value)))
        self._exact = value

    def _typed(self, value: float) -> None:
        self._exact = round(value, self._digits)
        self.edited()

    def _fit(self) -> None:
        """Digits and limits; a limit that is not accepted itself is kept off by the last digit."""
        least = 10.0**-self._digits
        limits = self.field.limits
        self.widget.decimals = self._digits
        low, high = self._low + least * limits.above, self._high - least * limits.below
        self.quietly(lambda: self.widget.setRange(low, high))

    def _step(self) -> float:
        if self.field.limits.step:
            return float(self.field.limits.step)
        span = self._high - self._low
        return 0.01 if span <= NARROW else 0.1 if span <= 10 else 1.0


class PointEditor(Editor):
    """Three coordinates, typed or picked in the views."""

    def __init__(self, field: Field, changed: Changed, picker: PointPicker | None) -> None:
        super().__init__(field, changed)
        self._picker = picker
        self.widget = qt.QWidget()
        layout = qt.QHBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        self.boxes = [self._box(axis) for axis in AXES]
        for box in self.boxes:
            layout.addWidget(box, 1)
        self.pick = qt.QPushButton(_("Pick"))
        self.pick.checkable = True
        self.pick.toolTip = _("Click on a place in a slice view; Escape or a second press ends it.")
        self.pick.accessibleName = _("Pick {title} in the views").format(title=field.title)
        self.pick.visible = picker is not None
        self.pick.connect("toggled(bool)", self._toggled)
        if picker is not None:
            layout.addWidget(self.pick)
        else:
            self.pick.setParent(self.widget)
        self.widget.setFocusProxy(self.boxes[0])
        self.finish("")
        self.show(start(field) or [0.0, 0.0, 0.0])

    @property
    def value(self) -> list[float]:
        return [float(box.value) for box in self.boxes]

    def show(self, value: Any) -> None:
        for box, part in zip(self.boxes, value):
            box.blockSignals(True)
            box.decimals = max(1, decimals(float(part)))
            box.value = float(part)
            box.blockSignals(False)

    def close(self) -> None:
        if self.pick.checked and self._picker is not None:
            self._picker.stop()

    def _box(self, axis: str) -> Any:
        box = qt.QDoubleSpinBox()
        box.setRange(-FAR, FAR)
        box.decimals = 1
        box.prefix = f"{axis} "
        box.toolTip = f"{axis}, mm"
        box.accessibleName = f"{self.field.title} {axis}, mm"
        box.connect("valueChanged(double)", lambda _value: self.edited())
        return box

    def _toggled(self, waiting: bool) -> None:
        if self._picker is None:
            return
        if waiting:
            self._picker.start(self._picked, self._ended)
        else:
            self._picker.stop()

    def _picked(self, point: Point) -> None:
        self._ended()
        self.show([round(part, 3) for part in point])
        self.edited()

    def _ended(self) -> None:
        self.pick.blockSignals(True)
        self.pick.checked = False
        self.pick.blockSignals(False)


def ends(limits: Limits) -> tuple[float, float]:
    """Smallest and largest number."""
    low = -WIDE if limits.minimum is None else float(limits.minimum)
    high = WIDE if limits.maximum is None else float(limits.maximum)
    return min(low, high), max(low, high)


def whole_ends(limits: Limits) -> tuple[int, int]:
    """Smallest and largest whole number that is accepted."""
    low = -LARGEST if limits.minimum is None else int(-(-limits.minimum // 1)) + limits.above
    high = LARGEST if limits.maximum is None else int(limits.maximum // 1) - limits.below
    return low, max(low, high)


def _suffix(field: Field) -> str:
    return f" {field.unit}" if field.unit else ""
