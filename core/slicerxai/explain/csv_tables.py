"""Tables of an explanation as CSV files, for spreadsheets; `explanation.json` stays what is read back."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from slicerxai.explain.contract import Table


def csv_text(table: Table) -> str:
    """The columns' names, then the rows; nothing is an empty cell, truth is "true" or "false" (RFC 4180)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(table.columns)
    writer.writerows([[str(cell).lower() if isinstance(cell, bool) else cell for cell in row] for row in table.rows])
    return buffer.getvalue()


def write_tables(tables: Mapping[str, Table], folder: Path) -> None:
    """Write NAME.csv of every table into a folder, made when it is absent; UTF-8 with a byte-order mark, which
    spreadsheets need to see that it is UTF-8.
    """
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        (folder / f"{name}.csv").write_bytes(csv_text(table).encode("utf-8-sig"))
