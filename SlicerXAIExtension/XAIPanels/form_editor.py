"""What the controls of a form have in common: each shows the value of one field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from XAILib.schema import Field
from XAILib.schema_values import Faults, check

from .form_words import hint

Changed = Callable[[], None]
"""Called when somebody has changed a value, not when a value is shown."""


class Editor:
    """One control.

    Attributes:
        field: whose value it shows.
        widget: what is put into a form.
    """

    widget: Any

    def __init__(self, field: Field, changed: Changed) -> None:
        self.field = field
        self._changed = changed

    @property
    def value(self) -> Any:
        """As it stands in the JSON of a request."""
        raise NotImplementedError

    def show(self, value: Any) -> None:
        """Show a value that the field accepts."""
        raise NotImplementedError

    def faults(self) -> Faults:
        """What is wrong with the value, by path within it."""
        return check(self.field, self.value)

    def show_faults(self, faults: Faults) -> Faults:
        """Say beside its parts what is wrong with them; gives back what it has no place for."""
        return faults

    def close(self) -> None:
        """The form goes."""

    def finish(self, suffix: str) -> None:
        """Name the widget, for people who see it and for those who hear it."""
        if suffix:
            self.widget.suffix = suffix
        self.widget.toolTip = hint(self.field)
        self.widget.accessibleName = self.field.title
        self.widget.accessibleDescription = self.field.help

    def quietly(self, change: Callable[[], Any]) -> None:
        """Change the widget without a call of `changed`."""
        self.widget.blockSignals(True)
        change()
        self.widget.blockSignals(False)

    def edited(self, *_values: Any) -> None:
        """Somebody has changed the value."""
        self._changed()
