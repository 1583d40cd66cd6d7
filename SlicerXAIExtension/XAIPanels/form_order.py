"""The order in which the Tab key goes through a form whose controls are made later than those around it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import qt


def put_between(before: Any, root: Any, after: Any) -> None:
    """Let Tab go from `before` through what lies in `root`, as it is seen from top to bottom, to `after`."""
    chain = [before, *_focusable(root), after]
    for first, second in zip(chain, chain[1:]):
        qt.QWidget.setTabOrder(first, second)


def _focusable(widget: Any) -> Iterator[Any]:
    """The widget or what lies in it, as far as Tab goes there."""
    if widget.focusPolicy & qt.Qt.TabFocus and widget.focusProxy() is None:
        yield widget
    if widget.layout() is not None:
        yield from _in_layout(widget.layout())


def _in_layout(layout: Any) -> Iterator[Any]:
    for place in range(layout.count()):
        item = layout.itemAt(place)
        if item.widget() is not None:
            yield from _focusable(item.widget())
        elif item.layout() is not None:
            yield from _in_layout(item.layout())
