"""Controls for everything that is typed or chosen: texts, lists of them, choices, JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.schema import Field
from XAILib.schema_values import Faults, check, start

from .form_editor import Changed, Editor

MOST_LINES = 6
"""Of lists and texts that are seen without scrolling."""
FRAME = 8
"""Pixels of borders."""


class TickEditor(Editor):
    """Yes or no."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget = qt.QCheckBox()
        self.finish("")
        self.show(start(field))
        self.widget.connect("toggled(bool)", self.edited)

    @property
    def value(self) -> bool:
        return bool(self.widget.checked)

    def show(self, value: Any) -> None:
        self.quietly(lambda: self.widget.setChecked(bool(value)))


class ChoiceEditor(Editor):
    """One of the values that the field accepts."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget = qt.QComboBox()
        self.widget.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon
        self.widget.minimumContentsLength = 12
        for place, choice in enumerate(field.choices):
            self.widget.addItem(choice.title)
            self.widget.setItemData(place, choice.help, qt.Qt.ToolTipRole)
        self.finish("")
        self.show(start(field))
        self.widget.connect("currentIndexChanged(int)", self.edited)

    @property
    def value(self) -> Any:
        return self.field.choices[self.widget.currentIndex].value

    def show(self, value: Any) -> None:
        values = [choice.value for choice in self.field.choices]
        self.quietly(lambda: self.widget.setCurrentIndex(values.index(value) if value in values else 0))


class ChoicesEditor(Editor):
    """Some of the values that the field accepts, each with a tick box."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget = qt.QListWidget()
        self._order: list[Any] = []
        for choice in field.choices:
            item = qt.QListWidgetItem(choice.title, self.widget)
            item.setToolTip(choice.help or choice.title)
        self.finish("")
        self.show(start(field))
        rows = min(len(field.choices), MOST_LINES)
        self.widget.setFixedHeight(rows * max(self.widget.sizeHintForRow(0), 16) + FRAME)
        self.widget.connect("itemChanged(QListWidgetItem*)", self._ticked)

    @property
    def value(self) -> list[Any]:
        return list(self._order)

    def show(self, value: Any) -> None:
        self._order = list(value)
        self.widget.blockSignals(True)
        for place, choice in enumerate(self.field.choices):
            ticked = choice.value in self._order
            self.widget.item(place).setCheckState(qt.Qt.Checked if ticked else qt.Qt.Unchecked)
        self.widget.blockSignals(False)

    def _ticked(self, *_item: Any) -> None:
        places = range(len(self.field.choices))
        self._order = [
            self.field.choices[place].value for place in places if self.widget.item(place).checkState() == qt.Qt.Checked
        ]
        self.edited()


class TextEditor(Editor):
    """A line of text."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget = qt.QLineEdit()
        self.finish("")
        self.show(start(field))
        self.widget.connect("textChanged(QString)", self.edited)

    @property
    def value(self) -> str:
        return str(self.widget.text)

    def show(self, value: Any) -> None:
        self.quietly(lambda: self.widget.setText(str(value)))


class NumbersEditor(Editor):
    """Numbers in a line, with commas between them; of a field that is no list, one number."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget = qt.QLineEdit()
        self._single = field.item is None
        self.widget.placeholderText = "" if self._single else _("numbers, with commas between them")
        self.finish("")
        self.show(start(field))
        self.widget.connect("textChanged(QString)", self.edited)

    @property
    def value(self) -> Any:
        found = [_number(text) for text in str(self.widget.text).replace(";", ",").split(",") if text.strip()]
        if not self._single:
            return found
        return found[0] if len(found) == 1 else str(self.widget.text)

    def show(self, value: Any) -> None:
        values = [value] if self._single else value
        self.quietly(lambda: self.widget.setText(", ".join(_written(one) for one in values)))


class LinesEditor(Editor):
    """Texts, one in each line."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget = _text_box(3)
        self.widget.placeholderText = _("one in each line")
        self.finish("")
        self.show(start(field))
        self.widget.connect("textChanged()", self.edited)

    @property
    def value(self) -> list[str]:
        return [line for line in str(self.widget.plainText).splitlines() if line.strip()]

    def show(self, value: Any) -> None:
        self.quietly(lambda: self.widget.setPlainText("\n".join(map(str, value))))


class JsonEditor(Editor):
    """Anything, as JSON."""

    def __init__(self, field: Field, changed: Changed) -> None:
        super().__init__(field, changed)
        self.widget = _text_box(4)
        self.widget.placeholderText = "{ }"
        self.finish("")
        self.show(start(field))
        self.widget.connect("textChanged()", self.edited)

    @property
    def value(self) -> Any:
        try:
            return json.loads(str(self.widget.plainText))
        except (ValueError, RecursionError):
            return None

    def show(self, value: Any) -> None:
        self.quietly(lambda: self.widget.setPlainText(json.dumps(value, indent=1, ensure_ascii=False)))

    def faults(self) -> Faults:
        text = str(self.widget.plainText)
        try:
            return check(self.field, json.loads(text))
        except RecursionError:
            return {"": _("It is nested too deeply.")}
        except ValueError as error:
            return {"": _("This is not JSON: {reason}").format(reason=error)}


def _text_box(lines: int) -> Any:
    box = qt.QPlainTextEdit()
    box.tabChangesFocus = True
    box.setFixedHeight(lines * box.fontMetrics().lineSpacing() + 2 * FRAME)
    return box


def _number(text: str) -> Any:
    """A number; the text itself where it is none, which no field of numbers accepts."""
    try:
        number = float(text)
    except ValueError:
        return text.strip()
    whole = math.isfinite(number) and number == int(number) and not set(text.lower()) & set(".e")
    return int(text) if whole else number


def _written(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)
