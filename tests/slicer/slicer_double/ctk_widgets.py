"""The module `ctk`: stand-ins for the CTK widgets that scripted modules use, with the same properties and signals."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from PySide6 import QtCore, QtWidgets

from .pythonqt import register_custom_widget

_STEPS = 10_000


@register_custom_widget
class ctkCollapsibleButton(QtWidgets.QWidget):
    """A header button over its own layout; clicking the header hides or shows the children."""

    contentsCollapsed = QtCore.Signal(bool)
    toggled = QtCore.Signal(bool)
    clicked = QtCore.Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        texts = [a for a in arguments if isinstance(a, str)]
        super().__init__(*[a for a in arguments if isinstance(a, QtWidgets.QWidget)])
        self._header = QtWidgets.QToolButton(self)
        self._header.setObjectName("")
        self._header.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._header.setText(texts[0] if texts else "")
        self._header.setCheckable(True)
        self._header.setChecked(True)
        self._header.setArrowType(QtCore.Qt.ArrowType.DownArrow)
        self._header.toggled.connect(self._show_contents)
        self._header.clicked.connect(self.clicked)
        self.setContentsMargins(0, 28, 0, 0)
        self._hidden: list[QtWidgets.QWidget] = []

    def resizeEvent(self, event: Any) -> None:
        self._header.setGeometry(0, 0, event.size().width(), 26)
        super().resizeEvent(event)

    def minimumSizeHint(self) -> QtCore.QSize:
        return super().minimumSizeHint().expandedTo(QtCore.QSize(60, 28))

    def _show_contents(self, shown: bool) -> None:
        self._header.setArrowType(QtCore.Qt.ArrowType.DownArrow if shown else QtCore.Qt.ArrowType.RightArrow)
        children = [c for c in self.children() if isinstance(c, QtWidgets.QWidget) and c is not self._header]
        if shown:
            for child in self._hidden:
                child.setVisible(True)
            self._hidden = []
        else:
            self._hidden = [child for child in children if not _hidden_on_purpose(child)]
            for child in self._hidden:
                child.setVisible(False)
        self.contentsCollapsed.emit(not shown)
        self.toggled.emit(shown)

    def setCollapsed(self, collapsed: bool) -> None:
        self._header.setChecked(not collapsed)

    def setText(self, text: str) -> None:
        self._header.setText(text)

    def setChecked(self, checked: bool) -> None:
        self._header.setChecked(checked)

    def _unsupported_flat(self, _value: bool) -> None:
        """Looks only: nothing to do offscreen."""

    collapsed = QtCore.Property(bool, lambda self: not self._header.isChecked(), setCollapsed)
    checked = QtCore.Property(bool, lambda self: self._header.isChecked(), setChecked)
    text = QtCore.Property(str, lambda self: self._header.property("text"), setText)
    flat = QtCore.Property(bool, lambda self: False, _unsupported_flat)


def _hidden_on_purpose(widget: QtWidgets.QWidget) -> bool:
    """Whether somebody has hidden it; one that was never shown yet counts as hidden for Qt as well."""
    return widget.isHidden() and widget.testAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide)


@register_custom_widget
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box that hides its children; `collapsed` as in CTK."""

    def setCollapsed(self, collapsed: bool) -> None:
        self._collapsed = collapsed
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not collapsed)

    collapsed = QtCore.Property(bool, lambda self: getattr(self, "_collapsed", False), setCollapsed)


@register_custom_widget
class ctkDoubleSlider(QtWidgets.QWidget):
    """A slider of floats: `value`, `minimum`, `maximum`, `singleStep`; signal `valueChanged(double)`."""

    valueChanged = QtCore.Signal(float)
    sliderPressed = QtCore.Signal()
    sliderReleased = QtCore.Signal()
    sliderMoved = QtCore.Signal(float)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*[a for a in arguments if isinstance(a, QtWidgets.QWidget)])
        orientation = next((a for a in arguments if isinstance(a, QtCore.Qt.Orientation)), None)
        self._minimum, self._maximum, self._value, self._step, self._tracking = 0.0, 99.0, 0.0, 1.0, True
        self._slider = QtWidgets.QSlider(orientation or QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, _STEPS)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self._slider.valueChanged.connect(self._moved)
        self._slider.sliderPressed.connect(self.sliderPressed)
        self._slider.sliderReleased.connect(self.sliderReleased)

    def _moved(self, step: int) -> None:
        self._accept(self._minimum + (self._maximum - self._minimum) * step / _STEPS)

    def _accept(self, value: float) -> None:
        value = min(max(value, self._minimum), self._maximum)
        if value != self._value:
            self._value = value
            self.valueChanged.emit(value)

    def setValue(self, value: float) -> None:
        self._accept(float(value))
        self._draw()

    def setRange(self, minimum: float, maximum: float) -> None:
        self._minimum, self._maximum = float(minimum), float(maximum)
        self._accept(self._value)
        self._draw()

    def setMinimum(self, minimum: float) -> None:
        self.setRange(minimum, max(self._maximum, minimum))

    def setMaximum(self, maximum: float) -> None:
        self.setRange(min(self._minimum, maximum), maximum)

    def setSingleStep(self, step: float) -> None:
        self._step = float(step)

    def setTracking(self, tracking: bool) -> None:
        self._tracking = tracking
        self._slider.setTracking(tracking)

    def setOrientation(self, orientation: QtCore.Qt.Orientation) -> None:
        self._slider.setOrientation(orientation)

    def _draw(self) -> None:
        span = self._maximum - self._minimum
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(round((self._value - self._minimum) / span * _STEPS) if span else 0)
        self._slider.blockSignals(blocked)

    value = QtCore.Property(float, lambda self: self._value, setValue)
    minimum = QtCore.Property(float, lambda self: self._minimum, setMinimum)
    maximum = QtCore.Property(float, lambda self: self._maximum, setMaximum)
    singleStep = QtCore.Property(float, lambda self: self._step, setSingleStep)
    tracking = QtCore.Property(bool, lambda self: self._tracking, setTracking)
    orientation = QtCore.Property(
        QtCore.Qt.Orientation, lambda self: self._slider.property("orientation"), setOrientation
    )


@register_custom_widget
class ctkSliderWidget(QtWidgets.QWidget):
    """Slider and spin box; the value is rounded to `decimals` as in CTK."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = ctkDoubleSlider(self)
        self._spin = QtWidgets.QDoubleSpinBox(self)
        self._page_step, self._value, self._tracking = 10.0, 0.0, True
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin)
        self._slider.valueChanged.connect(self._spin.setValue)
        self._spin.valueChanged.connect(self._changed)

    def _changed(self, value: float) -> None:
        self._slider.blockSignals(True)
        self._slider.setValue(value)
        self._slider.blockSignals(False)
        self._value = value
        self.valueIsChanging.emit(value)
        self.valueChanged.emit(value)

    def setValue(self, value: float) -> None:
        self._spin.setValue(float(value))

    def setRange(self, minimum: float, maximum: float) -> None:
        self._slider.blockSignals(True)
        self._slider.setRange(minimum, maximum)
        self._slider.blockSignals(False)
        self._spin.setRange(minimum, maximum)

    def setMinimum(self, minimum: float) -> None:
        self.setRange(minimum, max(minimum, self._spin.property("maximum")))

    def setMaximum(self, maximum: float) -> None:
        self.setRange(min(maximum, self._spin.property("minimum")), maximum)

    def setDecimals(self, decimals: int) -> None:
        self._spin.setDecimals(decimals)

    def setSingleStep(self, step: float) -> None:
        self._spin.setSingleStep(step)
        self._slider.setSingleStep(step)

    def setPageStep(self, step: float) -> None:
        self._page_step = float(step)

    def setSuffix(self, suffix: str) -> None:
        self._spin.setSuffix(suffix)

    def setPrefix(self, prefix: str) -> None:
        self._spin.setPrefix(prefix)

    def setTracking(self, tracking: bool) -> None:
        self._tracking = tracking
        self._slider.setTracking(tracking)

    def setSpinBoxVisible(self, visible: bool) -> None:
        self._spin.setVisible(visible)

    value = QtCore.Property(float, lambda self: self._value, setValue)
    minimum = QtCore.Property(float, lambda self: self._spin.property("minimum"), setMinimum)
    maximum = QtCore.Property(float, lambda self: self._spin.property("maximum"), setMaximum)
    decimals = QtCore.Property(int, lambda self: self._spin.property("decimals"), setDecimals)
    singleStep = QtCore.Property(float, lambda self: self._spin.property("singleStep"), setSingleStep)
    pageStep = QtCore.Property(float, lambda self: self._page_step, setPageStep)
    suffix = QtCore.Property(str, lambda self: self._spin.property("suffix"), setSuffix)
    prefix = QtCore.Property(str, lambda self: self._spin.property("prefix"), setPrefix)
    tracking = QtCore.Property(bool, lambda self: self._tracking, setTracking)
    spinBoxVisible = QtCore.Property(bool, lambda self: not self._spin.isHidden(), setSpinBoxVisible)


@register_custom_widget
class ctkRangeWidget(QtWidgets.QWidget):
    """Two values between `minimum` and `maximum`; signals `valuesChanged(double,double)` and one for each end."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._low, self._high = ctkSliderWidget(self), ctkSliderWidget(self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._low)
        layout.addWidget(self._high)
        self.setRange(0.0, 99.0)
        self.setValues(0.0, 99.0)
        self._low.valueChanged.connect(self._low_moved)
        self._high.valueChanged.connect(self._high_moved)

    def _low_moved(self, value: float) -> None:
        if value > self._high.property("value"):
            self._high.setValue(value)
        self.minimumValueChanged.emit(value)
        self.valuesChanged.emit(value, self._high.property("value"))

    def _high_moved(self, value: float) -> None:
        if value < self._low.property("value"):
            self._low.setValue(value)
        self.maximumValueChanged.emit(value)
        self.valuesChanged.emit(self._low.property("value"), value)

    def setRange(self, minimum: float, maximum: float) -> None:
        self._low.setRange(minimum, maximum)
        self._high.setRange(minimum, maximum)

    def setValues(self, low: float, high: float) -> None:
        self._low.setValue(low)
        self._high.setValue(high)

    def setDecimals(self, decimals: int) -> None:
        self._low.setDecimals(decimals)
        self._high.setDecimals(decimals)

    def setSingleStep(self, step: float) -> None:
        self._low.setSingleStep(step)
        self._high.setSingleStep(step)

    minimum = QtCore.Property(
        float, lambda self: self._low.property("minimum"), lambda self, v: self.setRange(v, self.property("maximum"))
    )
    maximum = QtCore.Property(
        float, lambda self: self._high.property("maximum"), lambda self, v: self.setRange(self.property("minimum"), v)
    )
    minimumValue = QtCore.Property(
        float, lambda self: self._low.property("value"), lambda self, v: self._low.setValue(v)
    )
    maximumValue = QtCore.Property(
        float, lambda self: self._high.property("value"), lambda self, v: self._high.setValue(v)
    )
    decimals = QtCore.Property(int, lambda self: self._low.property("decimals"), setDecimals)
    singleStep = QtCore.Property(float, lambda self: self._low.property("singleStep"), setSingleStep)


@register_custom_widget
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box with a text for "nothing chosen"."""

    def setDefaultText(self, text: str) -> None:
        self.setPlaceholderText(text)

    defaultText = QtCore.Property(str, lambda self: self.property("placeholderText"), setDefaultText)


@register_custom_widget
class ctkPathLineEdit(QtWidgets.QLineEdit):
    """A path as text; the browse button is left out."""

    currentPathChanged = QtCore.Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.textChanged.connect(self.currentPathChanged)

    def setCurrentPath(self, path: str) -> None:
        self.setText(path)

    currentPath = QtCore.Property(str, lambda self: self.property("text"), setCurrentPath)


@register_custom_widget
class ctkMessageBox(QtWidgets.QMessageBox):
    """`slicer.util.messageBox` is recorded by the double, so that this only has to exist."""


def make_ctk_module() -> ModuleType:
    """Build `ctk` from the classes above."""
    module = ModuleType("ctk", __doc__)
    for name, value in globals().items():
        if name.startswith("ctk"):
            setattr(module, name, value)
    return module
