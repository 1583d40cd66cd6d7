"""Controls whose values hold values of their own: groups, alternatives, lists and values by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.schema import Field
from XAILib.schema_values import Faults, alternative, start

from .form_editor import Changed, Editor
from .form_rows import FaultLabel, Make, Rows, below
from .form_words import fault_text


class GroupEditor(Editor):
    """Named values."""

    def __init__(self, field: Field, changed: Changed, make: Make) -> None:
        super().__init__(field, changed)
        self.rows = Rows(field.fields, make, self.edited)
        self.widget = self.rows.widget
        self.finish("")
        self.show(start(field))

    @property
    def value(self) -> Any:
        return self.rows.request()

    def show(self, value: Any) -> None:
        self.rows.show(value)

    def faults(self) -> Faults:
        return self.rows.faults()

    def show_faults(self, faults: Faults) -> Faults:
        return self.rows.show_faults(faults)

    def close(self) -> None:
        self.rows.close()


class EitherEditor(Editor):
    """One of several kinds of values: the kind is chosen first. A control is made when its kind is chosen."""

    def __init__(self, field: Field, changed: Changed, make: Make) -> None:
        super().__init__(field, changed)
        self._make = make
        self._made: dict[int, Editor] = {}
        self.widget = qt.QWidget()
        self._layout = qt.QVBoxLayout(self.widget)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self.combo = qt.QComboBox()
        self.combo.addItems([one.title for one in field.fields])
        for place, one in enumerate(field.fields):
            self.combo.setItemData(place, one.help, qt.Qt.ToolTipRole)
        self.combo.toolTip = _("Which kind of value it is.")
        self.combo.accessibleName = _("Kind of {title}").format(title=field.title)
        self._layout.addWidget(self.combo)
        self.widget.setFocusProxy(self.combo)
        self.finish("")
        self.show(start(field))
        self.combo.connect("currentIndexChanged(int)", self._chosen)

    @property
    def chosen(self) -> Editor:
        """The control of the kind that is chosen."""
        return self._editor(max(self.combo.currentIndex, 0))

    @property
    def value(self) -> Any:
        return self.chosen.value

    def show(self, value: Any) -> None:
        place = alternative(self.field, value)
        self.combo.blockSignals(True)
        self.combo.currentIndex = place
        self.combo.blockSignals(False)
        self._editor(place).show(value)
        self._show_chosen()

    def faults(self) -> Faults:
        return self.chosen.faults()

    def show_faults(self, faults: Faults) -> Faults:
        return self.chosen.show_faults(faults)

    def close(self) -> None:
        for editor in self._made.values():
            editor.close()

    def _chosen(self, *_place: Any) -> None:
        self._show_chosen()
        self.edited()

    def _show_chosen(self) -> None:
        shown = self.chosen
        for editor in self._made.values():
            editor.widget.visible = editor is shown

    def _editor(self, place: int) -> Editor:
        if place not in self._made:
            self._made[place] = self._make(self.field.fields[place], self.edited)
            self._layout.addWidget(self._made[place].widget)
        return self._made[place]


class ListEditor(Editor):
    """Values one below the other; of a map each has a name before it."""

    def __init__(self, field: Field, changed: Changed, make: Make) -> None:
        super().__init__(field, changed)
        self._make = make
        self._named = field.kind == "map"
        self._items: list[_Item] = []
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self._place = qt.QVBoxLayout()
        layout.addLayout(self._place)
        self.add_button = qt.QPushButton(_("Add"))
        self.add_button.toolTip = _("Add one more to “{title}”.").format(title=field.title)
        self.add_button.accessibleName = _("Add to {title}").format(title=field.title)
        self.add_button.connect("clicked()", self._add_one)
        layout.addWidget(self.add_button)
        self.finish("")
        self.show(start(field))

    @property
    def value(self) -> Any:
        if self._named:
            return {item.name: item.editor.value for item in self._items}
        return [item.editor.value for item in self._items]

    def show(self, value: Any) -> None:
        for item in list(self._items):
            self._drop(item)
        pairs = value.items() if isinstance(value, Mapping) else [("", one) for one in value]
        for name, one in pairs:
            self._add(str(name)).editor.show(one)

    def faults(self) -> Faults:
        found = super().faults()
        for place, item in enumerate(self._items):  # of what cannot be read as a value, such as JSON
            path = item.name if self._named else str(place)
            found.update({".".join(filter(None, (path, inner))): say for inner, say in item.editor.faults().items()})
        names = [item.name for item in self._items]
        if self._named and "" in names:
            found[""] = _("Each value needs a name.")
        elif self._named and len(set(names)) < len(names):
            found[""] = _("Two values have the same name.")
        return found

    def show_faults(self, faults: Faults) -> Faults:
        left = dict(faults)
        for place, item in enumerate(self._items):
            path = item.name if self._named else str(place)
            own = below(path, left) if path else {}
            item.say(item.editor.show_faults(own))
            for inner in own:
                left.pop(".".join(filter(None, (path, inner))), None)
        return left

    def close(self) -> None:
        for item in self._items:
            item.editor.close()

    def _add_one(self) -> None:
        item = self._add("")
        item.focus()
        self.edited()

    def _add(self, name: str) -> _Item:
        item = _Item(self.field, name if self._named else None, self._make, self.edited, self._remove)
        self._items.append(item)
        self._place.addWidget(item.widget)
        return item

    def _remove(self, item: _Item) -> None:
        self._drop(item)
        self.edited()

    def _drop(self, item: _Item) -> None:
        self._items.remove(item)
        item.editor.close()
        self._place.removeWidget(item.widget)
        item.widget.visible = False
        item.widget.deleteLater()


class _Item:
    """One value of a list, with a button that removes it.

    Args:
        name: what stands before it; None where it has no name.
    """

    def __init__(self, field: Field, name: str | None, make: Make, changed: Changed, remove: Any) -> None:
        part = field.item or Field("", "", "json")
        self.editor = make(part, changed)
        self.widget = qt.QWidget()
        layout = qt.QVBoxLayout(self.widget)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        line = qt.QHBoxLayout()
        layout.addLayout(line)
        self._name = None if name is None else qt.QLineEdit(name)
        if self._name is not None:
            self._name.placeholderText = _("name")
            self._name.toolTip = _("The name that the value below belongs to.")
            self._name.accessibleName = _("Name in {title}").format(title=field.title)
            self._name.connect("textChanged(QString)", lambda _text: changed())
            line.addWidget(self._name, 1)
            layout.addWidget(self.editor.widget)
        else:
            line.addWidget(self.editor.widget, 1)
        self.remove_button = qt.QPushButton(_("Remove"))
        self.remove_button.toolTip = _("Remove this one from “{title}”.").format(title=field.title)
        self.remove_button.accessibleName = _("Remove from {title}").format(title=field.title)
        self.remove_button.connect("clicked()", lambda: remove(self))
        line.addWidget(self.remove_button, 0, qt.Qt.AlignTop)
        if not part.title:
            self.editor.widget.accessibleName = field.title
        self._fault = FaultLabel()
        layout.addWidget(self._fault.widget)

    @property
    def name(self) -> str:
        return "" if self._name is None else str(self._name.text).strip()

    def focus(self) -> None:
        """Go on typing here."""
        (self._name or self.editor.widget).setFocus()

    def say(self, faults: Faults) -> None:
        """What is wrong with it."""
        self._fault.say("\n".join(fault_text(path, words) for path, words in faults.items()))
