"""`qt` and `ctk` follow PythonQt's rules, so that what runs here runs in Slicer."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("slicer_app")


def test_properties_are_values_and_calling_one_fails() -> None:
    import qt

    button = qt.QPushButton("go")
    button.toolTip = "because"
    assert (button.text, button.enabled, button.toolTip) == ("go", True, "because")
    with pytest.raises(TypeError, match="not callable"):
        button.text()
    with pytest.raises(TypeError, match="not callable"):
        button.enabled()


def test_name_is_object_name() -> None:
    import qt

    label = qt.QLabel()
    label.name = "verdict"
    assert label.objectName == "verdict"
    assert label.className() == "QLabel"


@pytest.mark.parametrize(
    ("name", "value"), [("text", 3), ("text", None), ("checked", "yes"), ("checked", 1), ("maximumWidth", 2.5)]
)
def test_wrong_type_is_refused(name: str, value: Any) -> None:
    import qt

    with pytest.raises(AttributeError, match="does not accept"):
        setattr(qt.QCheckBox(), name, value)


@pytest.mark.parametrize("name", ["colour", "setText", "clicked", "_hidden"])
def test_unknown_attributes_methods_and_signals_cannot_be_set(name: str) -> None:
    import qt

    with pytest.raises(AttributeError):
        setattr(qt.QPushButton(), name, 1)


def test_read_only_property_cannot_be_set() -> None:
    import qt

    with pytest.raises(AttributeError, match="not writable"):
        qt.QTimer().active = True


def test_unknown_attribute_cannot_be_read() -> None:
    import qt

    with pytest.raises(AttributeError):
        _ = qt.QPushButton().caption


def test_python_subclass_has_own_attributes_and_properties() -> None:
    import qt

    class Panel(qt.QWidget):
        def __init__(self) -> None:
            super().__init__()
            self.answer = 42
            self.enabled = False

    panel = Panel()
    assert (panel.answer, panel.isEnabled()) == (42, False)


def test_no_pyside_signals_or_slots_in_qt() -> None:
    import qt

    for name in ("Signal", "Slot", "Property"):
        assert not hasattr(qt, name)


def test_connect_with_signature_passes_as_many_arguments() -> None:
    import qt

    got: list[Any] = []
    button = qt.QPushButton()
    button.checkable = True
    button.connect("clicked()", lambda extra="default": got.append(extra))
    button.connect("toggled(bool)", got.append)
    button.click()
    assert got in ([True, "default"], ["default", True])


def test_connect_to_a_signal_that_does_not_exist_fails() -> None:
    import qt

    with pytest.raises(ValueError, match="does not exist"):
        qt.QPushButton().connect("pressedTwice()", print)


def test_disconnect_with_signature() -> None:
    import qt

    got: list[int] = []

    def slot() -> None:
        got.append(1)

    button = qt.QPushButton()
    button.connect("clicked()", slot)
    button.click()
    button.disconnect("clicked()", slot)
    button.click()
    assert got == [1]


def test_spacing_of_a_layout_is_asked_by_qt_too() -> None:
    import qt

    widget, layout = qt.QWidget(), qt.QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.spacing = 40
    widget.setLayout(layout)
    for _ in range(2):
        part = qt.QWidget()
        part.setFixedHeight(10)
        layout.addWidget(part)
    assert layout.spacing() == 40
    assert widget.sizeHint().height() == 60


def test_single_shot_is_function_of_the_class_and_property_of_the_timer() -> None:
    import qt
    from slicer_double.helpers import wait_until

    got: list[int] = []
    qt.QTimer.singleShot(0, lambda: got.append(1))
    timer = qt.QTimer()
    assert timer.singleShot is False
    timer.singleShot = True
    timer.connect("timeout()", lambda: got.append(2))
    timer.start(0)
    wait_until(lambda: len(got) == 2)
    assert not timer.active


@pytest.mark.parametrize("name", ["ctkSliderWidget", "ctkDoubleSlider"])
def test_sliders(name: str) -> None:
    import ctk

    slider = getattr(ctk, name)()
    got: list[float] = []
    slider.maximum = 1.0
    slider.singleStep = 0.01
    if name == "ctkSliderWidget":
        slider.decimals = 3
    slider.connect("valueChanged(double)", got.append)
    slider.value = 0.375
    slider.value = 0.375
    slider.value = 7.0
    assert got == [0.375, 1.0]
    assert slider.value == 1.0
    with pytest.raises(AttributeError):
        slider.maximun = 3


def test_range_widget_keeps_its_ends_in_order() -> None:
    import ctk

    widget = ctk.ctkRangeWidget()
    got: list[tuple[float, float]] = []
    widget.connect("valuesChanged(double,double)", lambda low, high: got.append((low, high)))
    widget.maximumValue = 20.0
    widget.minimumValue = 30.0
    assert (widget.minimumValue, widget.maximumValue) == (30.0, 30.0)
    assert got[-1] == (30.0, 30.0)


def test_collapsible_button_hides_its_contents_but_not_what_was_hidden_before() -> None:
    import ctk
    import qt
    from slicer_double.helpers import click

    section = ctk.ctkCollapsibleButton()
    section.text = "Server"
    layout = qt.QVBoxLayout(section)
    shown, hidden = qt.QLabel("a"), qt.QLabel("b")
    layout.addWidget(shown)
    layout.addWidget(hidden)
    hidden.hide()
    section.show()
    click(section)
    assert section.collapsed
    assert not shown.visible
    click(section)
    assert (shown.visible, hidden.visible) == (True, False)


def test_collapsible_button_folded_before_it_was_ever_seen() -> None:
    import ctk
    import qt

    section = ctk.ctkCollapsibleButton()
    layout = qt.QVBoxLayout(section)
    inside = qt.QLabel("a")
    layout.addWidget(inside)
    section.collapsed = True
    section.show()
    assert not inside.visible
    section.collapsed = False
    assert inside.visible


def test_click_is_refused_on_what_nobody_can_click() -> None:
    import qt
    from slicer_double.helpers import click

    button = qt.QPushButton()
    with pytest.raises(AssertionError, match="not visible"):
        click(button)
    button.show()
    button.enabled = False
    with pytest.raises(AssertionError, match="disabled"):
        click(button)


def test_table_cell_click_typing_and_choice() -> None:
    import qt
    from slicer_double.helpers import choose, click_item, type_text

    window = qt.QWidget()
    layout = qt.QVBoxLayout(window)
    table, line, combo = qt.QTableWidget(30, 2), qt.QLineEdit(), qt.QComboBox()
    for widget in (table, line, combo):
        layout.addWidget(widget)
    combo.addItems(["one", "two"])
    cells: list[tuple[int, int]] = []
    table.connect("cellClicked(int,int)", lambda row, column: cells.append((row, column)))
    window.show()
    click_item(table, 25, 1)
    line.text = "old"
    type_text(line, "http://localhost")
    choose(combo, "two")
    assert (cells, line.text, combo.currentIndex) == ([(25, 1)], "http://localhost", 1)


def test_panel_picture(slicer_app: Any) -> None:
    import ctk
    import qt
    from slicer_double.helpers import compare_tolerant, grab

    section = ctk.ctkCollapsibleButton("Section")
    form = qt.QFormLayout(section)
    slider = ctk.ctkSliderWidget()
    slider.value = 40.0
    form.addRow("Threshold", slider)
    form.addRow(qt.QPushButton("Run"))
    section.resize(320, 120)
    section.show()
    slicer_app.processEvents()
    compare_tolerant(grab(section), "double_panel", fraction=0.1)
