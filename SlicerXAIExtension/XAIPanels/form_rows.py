"""Rows of a form: a title, or a box to tick where a value may be left open, the control, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import qt
from XAILib.schema import Field
from XAILib.schema_values import Faults, request, start

from .form_editor import Changed, Editor
from .form_words import fault_text, hint
from .words import BAD, coloured

Make = Callable[[Field, Changed], Editor]
"""Makes the control of a field."""

WIDE_KINDS = frozenset({"group", "either", "list", "map", "json", "texts", "choices"})
"""Kinds whose controls stand below their title."""
INDENT = 12
"""Pixels by which what belongs to a title is moved."""


class FaultLabel:
    """Says what is wrong, or is not there."""

    def __init__(self) -> None:
        self.widget = qt.QLabel()
        self.widget.wordWrap = True
        self.widget.visible = False

    def say(self, text: str) -> None:
        """Empty for nothing."""
        self.widget.text = coloured(text, BAD) if text else ""
        self.widget.visible = bool(text)


class Row:
    """One field.

    Attributes:
        widget: title, control and fault, of a wide one; of others control and fault, with `header` beside it.
    """

    def __init__(self, field: Field, make: Make, changed: Changed) -> None:
        self.field = field
        self._make, self._changed = make, changed
        self._editor: Editor | None = None
        self.wide = field.kind in WIDE_KINDS
        self.header = qt.QCheckBox(field.title) if field.optional else qt.QLabel(field.title)
        self.header.toolTip = hint(field)
        self.widget = qt.QWidget()
        self._layout = qt.QVBoxLayout(self.widget)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self._place = qt.QVBoxLayout()
        self._place.setContentsMargins(INDENT if self.wide else 0, 0, 0, 0)
        self._fault = FaultLabel()
        if self.wide:
            self._layout.addWidget(self.header)
        self._layout.addLayout(self._place)
        self._layout.addWidget(self._fault.widget)
        if field.optional:
            self.header.accessibleName = field.title
            self.header.accessibleDescription = field.help
            self.header.connect("toggled(bool)", self._ticked)
        self.show(field.default)

    @property
    def value(self) -> Any:
        """None where it is left open."""
        return None if self._editor is None or not self._open else self._editor.value

    @property
    def editor(self) -> Editor | None:
        """The control; one of a field that is left open may not be made yet."""
        return self._editor

    def show(self, value: Any) -> None:
        """Show a value; None leaves the field open, or shows what there is to begin with."""
        if self.field.optional:
            self.header.blockSignals(True)
            self.header.checked = value is not None
            self.header.blockSignals(False)
        if value is not None or not self.field.optional or not self.wide:
            self._made().show(start(self.field) if value is None else value)
        self._enable()

    def faults(self) -> Faults:
        """By path within the field."""
        return {} if self._editor is None or not self._open else self._editor.faults()

    def show_faults(self, faults: Faults) -> None:
        """Say what is wrong, at the very place where that is possible."""
        left = self._editor.show_faults(faults) if self._editor is not None else faults
        self._fault.say("\n".join(fault_text(path, words) for path, words in left.items()))

    def close(self) -> None:
        """The form goes."""
        if self._editor is not None:
            self._editor.close()

    @property
    def _open(self) -> bool:
        return not self.field.optional or bool(self.header.checked)

    def _ticked(self, ticked: bool) -> None:
        if ticked:
            self._made()
        self._enable()
        self._changed()

    def _made(self) -> Editor:
        if self._editor is None:
            self._editor = self._make(self.field, self._edited)
            self._place.addWidget(self._editor.widget)
            if not self.field.optional:
                self.header.setBuddy(self._editor.widget)
        return self._editor

    def _edited(self) -> None:
        self._changed()

    def _enable(self) -> None:
        if self._editor is not None:
            self._editor.widget.enabled = self._open
            if self.wide:
                self._editor.widget.visible = self._open


class Rows:
    """The rows of some fields; those that accept just one value are not shown."""

    def __init__(self, fields: Iterable[Field], make: Make, changed: Changed) -> None:
        self.fields = tuple(fields)
        self.widget = qt.QWidget()
        layout = qt.QFormLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.fieldGrowthPolicy = qt.QFormLayout.AllNonFixedFieldsGrow
        self.rows = [Row(field, make, changed) for field in self.fields if not field.fixed]
        for row in self.rows:
            if row.wide:
                layout.addRow(row.widget)
            else:
                layout.addRow(row.header, row.widget)

    @property
    def values(self) -> dict[str, Any]:
        """By name, as far as they are not left open."""
        fixed = {field.name: field.choices[0].value for field in self.fields if field.fixed}
        return {**fixed, **{row.field.name: row.value for row in self.rows}}

    def show(self, values: Mapping[str, Any]) -> None:
        """Show values; a name that is missing gets its default."""
        for row in self.rows:
            row.show(values.get(row.field.name, row.field.default))

    def faults(self) -> Faults:
        """By path."""
        found: Faults = {}
        for row in self.rows:
            found.update({".".join(filter(None, (row.field.name, path))): say for path, say in row.faults().items()})
        return found

    def show_faults(self, faults: Faults) -> Faults:
        """Say what is wrong beside each field; gives back what belongs to none of them."""
        left = dict(faults)
        for row in self.rows:
            row.show_faults(below(row.field.name, left))
        return {path: words for path, words in left.items() if path.split(".", 1)[0] not in self.names}

    @property
    def names(self) -> set[str]:
        """Of the fields that are shown."""
        return {row.field.name for row in self.rows}

    def request(self) -> Any:
        """What is sent."""
        return request(self.fields, self.values)

    def close(self) -> None:
        """The form goes."""
        for row in self.rows:
            row.close()


def below(name: str, faults: Faults) -> Faults:
    """The faults of one field, by path within it."""
    if not name:
        return dict(faults)
    start_of = f"{name}."
    inner = {path[len(start_of) :]: words for path, words in faults.items() if path.startswith(start_of)}
    return {**({"": faults[name]} if name in faults else {}), **inner}
