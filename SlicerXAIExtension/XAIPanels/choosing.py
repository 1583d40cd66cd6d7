"""Combo boxes that are filled anew, and controls that say why they cannot be used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def offer(combo: Any, names: Iterable[str], wanted: Any, data: Iterable[Any] | None = None) -> None:
    """Replace the entries without a signal; `wanted`, an entry's data or else its name, is chosen where it is offered.

    Args:
        data: what each entry stands for; by default its name.
    """
    names = list(names)
    values = names if data is None else list(data)
    combo.blockSignals(True)
    combo.clear()
    for name, value in zip(names, values):
        combo.addItem(name, value)
    combo.currentIndex = values.index(wanted) if wanted in values else (0 if names else -1)
    combo.blockSignals(False)


def offer_nodes(combo: Any, nodes: list[Any], shown: Any) -> None:
    """Replace the entries by the nodes' names without a signal; the shown one is chosen, else the last."""
    combo.blockSignals(True)
    combo.clear()
    combo.addItems([node.GetName() for node in nodes])
    combo.currentIndex = next((index for index, node in enumerate(nodes) if node is shown), len(nodes) - 1)
    combo.blockSignals(False)


def chosen(combo: Any) -> Any:
    """What the current entry stands for; None without one."""
    return combo.itemData(combo.currentIndex) if combo.currentIndex >= 0 else None


def enable(widget: Any, reason: str, hint: str) -> None:
    """Switch a control on, or off with the reason as its tooltip."""
    widget.enabled = not reason
    widget.toolTip = reason or with_keys(widget, hint)


def with_keys(widget: Any, hint: str) -> str:
    """A tooltip with the keys that do the same as a button; other controls have none."""
    keys = widget.shortcut.toString() if hasattr(widget, "shortcut") else ""
    return f"{hint} ({keys})" if keys else hint
