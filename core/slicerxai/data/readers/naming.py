"""How files and table values are named, shared by the layouts."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from slicerxai.data.io import stem_of, suffix_of
from slicerxai.errors import InputError, shortened

Prefer = Literal["preprocessed", "raw"]

MODALITIES: Mapping[str, str] = {
    "FLAIR": "FLAIR",
    "3DFLAIR": "FLAIR",
    "T1": "T1",
    "3DT1": "T1",
    "T2": "T2",
    "PD": "PD",
    "DP": "PD",
    "GADO": "GADO",
    "T1GADO": "GADO",
    "3DT1GADO": "GADO",
}
"""Modality by file name, upper-case; DP is the French densité de protons."""

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_MISSING = {"", "n/a", "na", "nan"}


def image_files(folder: Path) -> dict[str, Path]:
    """Image files directly in a folder by their name without suffix, sorted; hidden files are left out.

    Raises:
        InputError: two files differ in their suffix only, so that it is unclear which one is meant.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if suffix_of(path) and not path.name.startswith("."):
            put(found, stem_of(path), path)
    return found


def put(found: dict[str, Path], key: str, path: Path) -> None:
    """Add a file under its modality or rater. Raises `InputError` when another file has the same."""
    if key in found:
        msg = f"{found[key]} and {path} are both {key!r}; keep one of them"
        raise InputError(msg)
    found[key] = path


def folders(path: Path) -> list[Path]:
    """Visible folders directly in a folder, sorted."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def read_table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """Rows of a UTF-8 table with a header line; surrounding blanks are stripped, absent values are left out.

    Raises:
        InputError: not text, no header, a repeated column, or a row with more values than columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: not a UTF-8 text table ({error})"
        raise InputError(msg) from error
    header = [name.strip() for name in lines[0]] if lines else []
    if not header or len(set(header)) < len(header):
        msg = f"{path}: the first line must name each column once, found {shortened(header)}"
        raise InputError(msg)
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) > len(header):
            msg = f"{path}, line {number}: {len(line)} values for {len(header)} columns"
            raise InputError(msg)
        values = {name: value.strip() for name, value in zip(header, line, strict=False)}
        if any(values.values()):
            rows.append({name: value for name, value in values.items() if value.lower() not in _MISSING})
    return rows


def numeric_columns(rows: Iterable[Mapping[str, str]]) -> set[str]:
    """Columns of numbers only. Codes such as "01" are no numbers, so that a centre keeps its leading zero."""
    numeric: dict[str, bool] = {}
    for row in rows:
        for name, value in row.items():
            numeric[name] = numeric.get(name, True) and _is_number(value)
    return {name for name, holds in numeric.items() if holds}


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None and math.isfinite(float(value))


def metadata(row: Mapping[str, str], numeric: set[str], without: Iterable[str] = ()) -> dict[str, str | float]:
    """A table row as metadata: numbers where the whole column has numbers, else text."""
    skipped = set(without)
    return {name: float(value) if name in numeric else value for name, value in row.items() if name not in skipped}
