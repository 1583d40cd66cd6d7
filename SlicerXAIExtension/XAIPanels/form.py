"""A form of fields that came from a schema: all that a method can be asked, checked while it is typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _
from XAILib.schema import Field
from XAILib.schema_values import Faults, request, started

from .form_editor import Changed, Editor
from .form_nested import EitherEditor, GroupEditor, ListEditor
from .form_numbers import NumberEditor, PointEditor, PointPicker, WholeEditor, fits_spin_box
from .form_order import put_between
from .form_rows import FaultLabel, Rows
from .form_texts import (
    ChoiceEditor,
    ChoicesEditor,
    JsonEditor,
    LinesEditor,
    NumbersEditor,
    TextEditor,
    TickEditor,
)
from .form_words import fault_text

SIMPLE: Mapping[str, type[Any]] = {
    "boolean": TickEditor,
    "number": NumberEditor,
    "text": TextEditor,
    "choice": ChoiceEditor,
    "choices": ChoicesEditor,
    "numbers": NumbersEditor,
    "texts": LinesEditor,
    "json": JsonEditor,
}
NESTED: Mapping[str, type[Any]] = {
    "group": GroupEditor,
    "either": EitherEditor,
    "list": ListEditor,
    "map": ListEditor,
}


class Form:
    """All fields; advanced ones are folded.

    Args:
        changed: called whenever somebody has changed a value.
        picker: lets points be picked in the views; without one they are typed.

    Attributes:
        root: the widget to put into a panel.
    """

    def __init__(self, fields: Sequence[Field], changed: Changed, picker: PointPicker | None = None) -> None:
        self.fields = tuple(fields)
        self._on_changed = changed
        self._picker = picker
        self._before_reset: Any = None
        self._refused: Faults = {}
        self._neighbours: tuple[Any, Any] | None = None
        self.root = qt.QWidget()
        layout = qt.QVBoxLayout(self.root)
        layout.setContentsMargins(0, 0, 0, 0)
        self.usual = Rows([field for field in self.fields if not field.advanced], self._make, self._changed)
        self.advanced = Rows([field for field in self.fields if field.advanced], self._make, self._changed)
        layout.addWidget(self.usual.widget)
        layout.addWidget(self._folded())
        self._fault = FaultLabel()
        layout.addWidget(self._fault.widget)
        layout.addLayout(self._buttons())
        self._say()

    @property
    def request(self) -> Any:
        """What is sent: what has to be said, and what differs from its default."""
        return request(self.fields, self.values)

    @property
    def values(self) -> dict[str, Any]:
        """By name, defaults included."""
        return {**self.usual.values, **self.advanced.values}

    def show(self, values: Mapping[str, Any]) -> None:
        """Show values that the fields accept; a name that is missing gets its default."""
        self._before_reset = None
        self._refused = {}
        self._fill(values)

    def faults(self) -> Faults:
        """What is wrong, by path; empty when the form can be sent."""
        return {**self.usual.faults(), **self.advanced.faults()}

    @property
    def reason(self) -> str:
        """Why the form cannot be sent, in words; empty when it can."""
        return next((self.words(path, said) for path, said in self.faults().items()), "")

    def words(self, path: str, said: str) -> str:
        """A fault with the title of the field that it is in."""
        name = path.split(".", 1)[0]
        return fault_text(next((field.title for field in self.fields if field.name == name), ""), said)

    def refuse(self, faults: Faults) -> None:
        """Say what a server has found wrong, until something is changed."""
        self._refused = dict(faults)
        self._say()

    def reset(self) -> None:
        """All fields get their defaults; `undo_reset` brings back what was there."""
        before = self.values
        self._refused = {}
        self._fill({})
        self._before_reset = before
        self._say()
        self._on_changed()

    def undo_reset(self) -> None:
        """What was there before the reset; nothing after something was changed."""
        before, self._before_reset = self._before_reset, None
        if before is not None:
            self._fill(before)
            self._on_changed()

    def tab_between(self, before: Any, after: Any) -> None:
        """Let the Tab key go from one widget of the panel through the form to another one, from now on."""
        self._neighbours = (before, after)
        put_between(before, self.root, after)

    def close(self) -> None:
        """Stop picking; the form cannot be used afterwards."""
        self.usual.close()
        self.advanced.close()

    def _make(self, field: Field, changed: Changed) -> Editor:
        made: Editor
        if field.kind in NESTED:
            made = NESTED[field.kind](field, changed, self._make)
        elif field.kind == "point":
            made = PointEditor(field, changed, self._picker)
        elif field.kind == "integer":
            made = WholeEditor(field, changed) if fits_spin_box(field) else NumbersEditor(field, changed)
        else:
            made = SIMPLE[field.kind](field, changed)
        return made

    def _fill(self, values: Mapping[str, Any]) -> None:
        self.usual.show(values)
        self.advanced.show(values)
        self._say()

    def _changed(self) -> None:
        self._before_reset = None
        self._refused = {}
        self._say()
        if self._neighbours is not None:  # controls may have come
            put_between(self._neighbours[0], self.root, self._neighbours[1])
        self._on_changed()

    def _say(self) -> None:
        """Faults at their places, how many advanced fields differ, and which buttons do something."""
        found = {**self.faults(), **self._refused}
        left = self.advanced.show_faults(self.usual.show_faults(found))
        self._fault.say("\n".join(left.values()))
        if any(path.split(".", 1)[0] in self.advanced.names for path in found):
            self.folded.collapsed = False
        changed = len(request(self.advanced.fields, self.advanced.values)) if self.advanced.fields else 0
        title = _("Advanced ({count} changed)").format(count=changed) if changed else _("Advanced")
        self.folded.text = title
        self.folded.accessibleName = title
        self.reset_button.enabled = self.request != request(self.fields, started(self.fields))
        self.undo_button.visible = self._before_reset is not None

    def _folded(self) -> Any:
        self.folded = ctk.ctkCollapsibleButton()
        self.folded.text = _("Advanced")
        self.folded.toolTip = _("What few people need to change.")
        inner = qt.QVBoxLayout(self.folded)
        inner.addWidget(self.advanced.widget)
        self.folded.collapsed = True
        self.folded.visible = bool(self.advanced.rows)
        return self.folded

    def _buttons(self) -> Any:
        line = qt.QHBoxLayout()
        self.reset_button = _button(_("Reset to defaults"), _("Every parameter as the method has it."), self.reset)
        self.undo_button = _button(_("Undo reset"), _("Bring back what was there before."), self.undo_reset)
        line.addWidget(self.reset_button)
        line.addWidget(self.undo_button)
        line.addStretch(1)
        return line


def _button(text: str, hint: str, pressed: Callable[[], None]) -> Any:
    button = qt.QPushButton(text)
    button.toolTip = hint
    button.accessibleName = text
    button.connect("clicked()", pressed)
    return button
