"""The columns of a table widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def set_columns(table: Any, names: Sequence[str], hints: Sequence[str]) -> None:
    """Name the columns of a QTableWidget and say in tooltips what they hold."""
    table.columnCount = len(names)
    table.setHorizontalHeaderLabels(list(names))
    for column, hint in enumerate(hints):
        table.horizontalHeaderItem(column).setToolTip(hint)
