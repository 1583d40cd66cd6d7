"""Widgets as the extension's sections use them: what a section writes is a value of the page's state, and vice versa.

A section enables a button with the reason as its tooltip, fills a list, listens to a click; whether Qt or a browser
draws that is all the same to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

INITIAL: dict[str, Any] = {
    "visible": True,
    "enabled": True,
    "text": "",
    "toolTip": "",
    "checked": False,
    "value": 0.0,
    "items": [],
    "currentIndex": -1,
}
"""Attributes of a widget, under Qt's names; each is a value of the state."""


class Widget:
    """One of them; a section may use every attribute of `INITIAL`."""

    def __init__(self, state: Any, name: str) -> None:
        self.__dict__.update(_state=state, _name=name, _data=[], _slots=defaultdict(list))
        state.update({self.key(attribute): value for attribute, value in INITIAL.items()})

    def __getattr__(self, attribute: str) -> Any:
        if attribute not in INITIAL:
            raise AttributeError(attribute)
        return self._state[self.key(attribute)]

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute not in INITIAL:
            raise AttributeError(attribute)
        self._state[self.key(attribute)] = value

    def key(self, attribute: str) -> str:
        """Name of an attribute in the state, for the page."""
        return f"{self._name}_{attribute}"

    def connect(self, signal: str, function: Callable[..., None]) -> None:
        """Call a function when a user does something, such as "clicked()"; never for what a program writes."""
        self._slots[signal.partition("(")[0]].append(function)

    def blockSignals(self, _block: bool) -> None:  # noqa: N802 - Qt's name
        """What a program writes tells nobody anyway."""

    def click(self) -> None:
        """The user has clicked."""
        if self.enabled and self.visible:
            self._tell("clicked")

    def write(self, text: str | None) -> None:
        """The user has changed the text."""
        self.text = text or ""
        self._tell("textEdited", self.text)

    def check(self, checked: bool) -> None:
        """The user has switched it."""
        self.checked = bool(checked)
        self._tell("toggled", self.checked)

    def move(self, value: float) -> None:
        """The user has moved a slider."""
        self.value = float(value)
        self._tell("valueChanged", self.value)

    def choose(self, index: int) -> None:
        """The user has chosen an entry of a list."""
        self.currentIndex = int(index)
        self._tell("currentIndexChanged", self.currentIndex)

    @property
    def currentText(self) -> str:  # noqa: N802 - Qt's name
        items: list[Any] = self._state[self.key("items")]
        return str(items[self.currentIndex]["title"]) if self.currentIndex >= 0 else ""

    def clear(self) -> None:
        """Take every entry off a list."""
        self._data.clear()
        self._state.update({self.key("items"): [], self.key("currentIndex"): -1})

    def addItem(self, text: str, data: Any = None) -> None:  # noqa: N802 - Qt's name
        """One more entry of a list."""
        self._data.append(data)
        items: list[Any] = list(self._state[self.key("items")])
        self._state[self.key("items")] = [*items, {"title": text, "value": len(items)}]

    def addItems(self, texts: Sequence[str]) -> None:  # noqa: N802 - Qt's name
        """More entries of a list."""
        for text in texts:
            self.addItem(text)

    def itemData(self, index: int) -> Any:  # noqa: N802 - Qt's name
        """What an entry of a list stands for."""
        return self._data[index]

    def _tell(self, signal: str, *values: Any) -> None:
        for function in self._slots[signal]:
            function(*values)


class Widgets:
    """The widgets of a panel by their names; each is made when it is first asked for."""

    def __init__(self, state: Any, prefix: str) -> None:
        self._state = state
        self._prefix = prefix
        self._made: dict[str, Widget] = {}

    def __getattr__(self, name: str) -> Widget:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self._made:
            self._made[name] = Widget(self._state, f"{self._prefix}_{name}")
        return self._made[name]
