"""A CSV file that names the files of each case."""

from __future__ import annotations

from pathlib import Path

from slicerxai.data.case import Case
from slicerxai.data.io import suffix_of
from slicerxai.data.readers.naming import MODALITIES, Prefer, metadata, numeric_columns, read_table
from slicerxai.errors import InputError, shortened

DESCRIPTION = "a CSV file (or a folder with one) with columns case_id, FLAIR, T1 …, mask or mask_RATER …, metadata …"

_LONGEST = 1000
"""Characters of a path."""


def recognises(path: Path) -> bool:
    """A CSV file, or a folder with exactly one that has the column case_id."""
    return path.suffix.lower() == ".csv" if path.is_file() else len(_tables(path)) == 1


def read(path: Path, prefer: Prefer) -> list[Case]:
    """One case a row. A modality is a column that is named as one, or whose values all are image files; `mask` is rater
    "consensus", `mask_NAME` rater NAME; every other column is metadata.

    Raises:
        InputError: not a table, no column case_id, a row without an id, or a path that leaves the table's folder.
    """
    table = path if path.is_file() else _tables(path)[0]
    rows = read_table(table)
    columns = {name for row in rows for name in row}
    if "case_id" not in columns:
        msg = f"{table}: needs a column case_id, found {shortened(sorted(columns)) if columns else 'no rows'}"
        raise InputError(msg)
    raters = {name: _rater(name) for name in columns if name == "mask" or name.startswith("mask_")}
    modalities = {name: MODALITIES.get(name.upper(), name.upper()) for name in columns if _is_modality(name, rows)}
    for key in set(raters):
        modalities.pop(key, None)
    numeric = numeric_columns(rows)
    return [_case(table, row, modalities, raters, numeric) for row in rows]


def _case(
    table: Path, row: dict[str, str], modalities: dict[str, str], raters: dict[str, str], numeric: set[str]
) -> Case:
    if "case_id" not in row:
        msg = f"{table}: a row has no case_id: {shortened(row)}"
        raise InputError(msg)
    name = row["case_id"]
    return Case(
        id=name,
        images={key: _confined(table, name, row[column]) for column, key in modalities.items() if column in row},
        masks={key: _confined(table, name, row[column]) for column, key in raters.items() if column in row},
        metadata=metadata(row, numeric, without=["case_id", *modalities, *raters]),
    )


def _rater(column: str) -> str:
    return column.removeprefix("mask").removeprefix("_") or "consensus"


def _is_modality(column: str, rows: list[dict[str, str]]) -> bool:
    values = [row[column] for row in rows if column in row]
    return column.upper() in MODALITIES or all(suffix_of(Path(value)) for value in values)


def _confined(table: Path, case: str, value: str) -> Path:
    if len(value) > _LONGEST or not value.isprintable():
        msg = f"{table}, case {shortened(case)}: {shortened(value)} is no path of a file"
        raise InputError(msg)
    folder = table.parent.resolve()
    path = table.parent / value
    if not path.resolve().is_relative_to(folder):
        where = f"{table}, case {shortened(case)}: {shortened(value)}"
        msg = f"{where} lies outside the table's folder; give a path relative to {folder}"
        raise InputError(msg)
    return path


def _tables(folder: Path) -> list[Path]:
    """CSV files directly in a folder whose header has the column case_id."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            if "case_id" in [name.strip() for name in file.readline().split(",")]:
                found.append(path)
    return found
