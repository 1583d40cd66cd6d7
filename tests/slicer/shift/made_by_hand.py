"""A result of shift attribution made by hand, in the form in which a server sends one. No number in it was computed."""

from __future__ import annotations

import itertools
from typing import Any

RATERS = tuple("1234567")
NAN = {"$float": "nan"}


def document(**changes: Any) -> dict[str, Any]:
    """The JSON of a result: 15 cases of centre 01 by rater 3, 5 of centre 03 by rater 5.

    Args:
        changes: top-level entries to replace.
    """
    shares = [
        ["population", 1.2, -2.1, 4.4, "unchanged", 0.4, 0.5, 0.55],
        ["acquisition", 12.3, 6.1, 18.9, "shifted", 0.001, 0.55, 0.97],
        ["annotation", -3.4, -8.2, 1.1, "measured", None, 0.97, 0.98],
        ["unresolved", 0.4, -3.0, 5.0, None, None, None, None],
        ["whole drop", 10.5, 3.1, 17.8, None, None, None, None],
    ]
    cases = [["target", f"03_{n:02d}", "5", 40.0 + n, 50.0 + n, 12.5, 9.25] for n in range(5)]
    cases += [["source", f"01_{n:02d}", "3", 60.0 + n, None, 10.0, 9.0] for n in range(15)]
    columns = ["environment", "case", "rater", "dice (points)", "dice by the other rater (points)"]
    made: dict[str, Any] = {
        "format": 1,
        "method": "shift",
        "image_id": "phantom",
        "verdict": "caution",
        "parameters": {
            "seed": 0,
            "source": {"where": {"centre": {"values": ["01"]}}, "rater": "3"},
            "target": {
                "where": {"centre": {"values": ["03"]}, "age": {"minimum": 30.0, "maximum": None}},
                "rater": "5",
            },
            "metric": "dice",
        },
        "overlays": {},
        "tables": {
            "shares": table(
                ["mechanism", "share (points)", "low", "high", "state", "p", "AUC of parents", "AUC with it"], shares
            ),
            "cases": table([*columns, "drawn (ml)", "predicted (ml)"], cases),
            **matrix(),
        },
        "figures": {},
        "flags": [
            {"subject": "acquisition", "message": "It costs 12.3 points (6.1 to 18.9). Harmonise the scanners <soon>."}
        ],
        "metrics": {
            "source_mean": 67.0,
            "target_mean": 56.5,
            "drop": 10.5,
            "drop_low": 3.1,
            "drop_high": 17.8,
            "source_cases": 15.0,
            "target_cases": 5.0,
        },
        "checks": [
            check("overlap", "reliable", "The sites overlap."),
            check("interval", "caution", "Few cases < 20."),
        ],
        "provenance": {"model": "tiny", "inputs": {"phantom/01_00/FLAIR": "0" * 64}},
    }
    return {**made, **changes}


def table(columns: list[str], rows: list[list[Any]]) -> dict[str, Any]:
    return {"title": "made by hand", "columns": columns, "rows": rows}


def check(name: str, verdict: str, reason: str) -> dict[str, Any]:
    return {"name": name, "value": 0.5, "limit": 1.0, "verdict": verdict, "reason": reason}


def matrix() -> dict[str, Any]:
    """The change from rater a to rater b costs 2 (b - a) points, give or take one; from 1 to 7 it is not known."""
    columns = ["source rater", *RATERS]
    tables: dict[str, list[list[Any]]] = {"raters": [], "raters_low": [], "raters_high": []}
    for (name, rows), one in itertools.product(tables.items(), RATERS):
        extra = {"raters": 0.0, "raters_low": -1.0, "raters_high": 1.0}[name]
        row: list[Any] = [one]
        for other in RATERS:
            known = 2.0 * (int(other) - int(one)) + (extra if one != other else 0.0)
            row.append(None if (one, other) == ("1", "7") else known)
        rows.append(row)
    return {name: table(columns, rows) for name, rows in tables.items()}
